// Whom we run as.
//
// What it is: the one change of identity, complete (real, effective and saved ids, and the groups),
//   before anything from outside is read.
// What it does not know: why; which files the new identity can read.
// Called by: both programs' main, once.
// Threads and lifetimes: before any thread.
// Failure: ConfigError with the remedy; nothing has been delivered by then.
// Why: Sendmail's F=S with U= leaves the real uid 0 and root's groups behind (deliver.c).
#pragma once

#include <unistd.h>

#include <string>

namespace lmtpq {

// Whom drop_privileges(user) will make us.
uid_t future_user(const std::string& user);

// Root's rights for as long as it lives, where the real user is root: keys are root's to read, and
// we are no longer root by the time we need them. Else it changes nothing.
class AsRoot {
 public:
  AsRoot();
  ~AsRoot();
  AsRoot(const AsRoot&) = delete;
  AsRoot& operator=(const AsRoot&) = delete;

 private:
  uid_t effective_;
};

// Becomes `user`; when empty and only the effective uid is not root's, becomes that one wholly.
void drop_privileges(const std::string& user);

}  // namespace lmtpq
