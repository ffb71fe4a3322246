// A deadline for everything that libldap reads and writes on one handle's connection, and a limit
// to the bytes that it reads.
//
// A layer of I/O below TLS (lber's Sockbuf_IO) that waits for the socket until the deadline, and
// then fails with ETIMEDOUT, which libldap reports as "Can't contact LDAP server". LDAP_OPT_TIMEOUT
// does not suffice: in a handshake with GnuTLS (Debian's libldap) a silent peer's socket is read
// forever and without a pause, and the rest of half a message is read without limit.
//
// libldap reads whatever comes: a message of 2 GiB, or entries without end. At the limit reading
// fails in the same way, and is_passed() says so.
//
// One thread at a time; outlives its handle.
#pragma once

#include <ldap.h>

#include <algorithm>
#include <cstddef>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class LdapLimits {
 public:
  LdapLimits() = default;
  LdapLimits(const LdapLimits&) = delete;
  LdapLimits& operator=(const LdapLimits&) = delete;

  // Call it before the handle connects. False: libldap does not accept it.
  bool attach(LDAP* handle);
  // For what begins now. Counted under TLS.
  void set(Deadline deadline, std::size_t bytes) {
    deadline_ = deadline;
    left_ = bytes;
  }
  // Adds to the bytes that are left, up to `most`.
  void allow(std::size_t bytes, std::size_t most) { left_ = std::min(left_ + bytes, most); }
  // The peer sends more than it may.
  bool is_passed() const { return passed_; }

 private:
  friend struct LdapLimitsLayer;

  Deadline deadline_ = Deadline::max();
  std::size_t left_ = 0;
  bool passed_ = false;
  ldap_conncb callbacks_{};
};

}  // namespace lmtpq::mailer
