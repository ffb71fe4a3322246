// The rights that Sendmail gives a mailer with F=S and U=: another effective user and group, while
// root stays the real user, and no other groups.
#pragma once

#include <unistd.h>

#include <vector>

namespace lmtpq::mailer {

// For its lifetime. Changes nothing unless the real and the effective user are root. Throws
// ConfigError. For a process with one thread.
class AsEffectiveUser {
 public:
  AsEffectiveUser(uid_t user, gid_t group);
  ~AsEffectiveUser();
  AsEffectiveUser(const AsEffectiveUser&) = delete;
  AsEffectiveUser& operator=(const AsEffectiveUser&) = delete;

 private:
  void restore() const;

  bool changed_ = false;
  gid_t group_;
  std::vector<gid_t> groups_;
};

}  // namespace lmtpq::mailer
