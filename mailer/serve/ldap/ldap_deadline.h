// A deadline for everything that libldap reads and writes on one handle's connection.
//
// A layer of I/O below TLS (lber's Sockbuf_IO) that waits for the socket until the deadline, and
// then fails with ETIMEDOUT, which libldap reports as "Can't contact LDAP server". LDAP_OPT_TIMEOUT
// does not suffice: in a handshake with GnuTLS (Debian's libldap) a silent peer's socket is read
// forever and without a pause, and the rest of half a message is read without limit.
//
// One thread at a time; outlives its handle.
#pragma once

#include <ldap.h>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class LdapDeadline {
 public:
  LdapDeadline() = default;
  LdapDeadline(const LdapDeadline&) = delete;
  LdapDeadline& operator=(const LdapDeadline&) = delete;

  // Call it before the handle connects. False: libldap does not accept it.
  bool attach(LDAP* handle);
  void set(Deadline deadline) { deadline_ = deadline; }

 private:
  friend struct LdapDeadlineLayer;

  Deadline deadline_ = Deadline::max();
  ldap_conncb callbacks_{};
};

}  // namespace lmtpq::mailer
