// A deadline for all that libldap reads and writes on one handle's connection.
//
// What it is: a layer of I/O beneath TLS (lber's Sockbuf_IO) that waits for the socket until the
//   deadline, and then says that time is up.
// What it does not know: LDAP, TLS.
// Called by: ldap_routes.cpp, for each handle. LDAP_OPT_TIMEOUT bounds what libldap waits for, not
//   what it does then: a handshake with GnuTLS (Debian's libldap) reads a silent peer's socket over
//   and over, for ever and as fast as it can, and the rest of half a message is read without limit.
// Threads and lifetimes: one thread's at a time; outlives its handle.
// Failure: libldap sees ETIMEDOUT, and says that it cannot contact the server.
#pragma once

#include <ldap.h>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class LdapDeadline {
 public:
  LdapDeadline() = default;
  LdapDeadline(const LdapDeadline&) = delete;
  LdapDeadline& operator=(const LdapDeadline&) = delete;

  // Before the handle connects; false: libldap does not want it.
  bool attach(LDAP* handle);
  void set(Deadline deadline) { deadline_ = deadline; }

 private:
  friend struct LdapDeadlineLayer;

  Deadline deadline_ = Deadline::max();
  ldap_conncb callbacks_{};
};

}  // namespace lmtpq::mailer
