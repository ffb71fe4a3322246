// Changes the user that the process runs as: real, effective and saved ids, and the groups.
//
// Both programs do this once, before the first thread and before they read anything from outside.
// Sendmail's F=S with U= changes the effective user only, and leaves the real uid 0 and root's
// groups (deliver.c). Errors are ConfigError: "NAME": what is wrong, and the remedy. The caller
// puts the place of the option in front.
#pragma once

#include <unistd.h>

#include <string>

namespace lmtpq {

// The name of a user, or the number where it has none.
std::string user_name(uid_t user);

// "Permission denied as user NAME", of an errno and this process's user.
std::string error_as_user(int error);

// The user after drop_privileges(user).
uid_t future_user(const std::string& user);

// Restores root's rights for its lifetime if the real user is root; otherwise changes nothing. For
// reading keys that only root may read.
class AsRoot {
 public:
  AsRoot();
  ~AsRoot();
  AsRoot(const AsRoot&) = delete;
  AsRoot& operator=(const AsRoot&) = delete;

 private:
  uid_t effective_;
};

// Changes to `user`. Empty: to the effective user if only the real one is root, otherwise nothing.
void drop_privileges(const std::string& user);

}  // namespace lmtpq
