#include "mailer/check/effective_user.h"

#include <grp.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "common/config_error.h"
#include "common/privileges.h"

namespace lmtpq::mailer {

AsEffectiveUser::AsEffectiveUser(uid_t user, gid_t group) : group_(getegid()) {
  if (getuid() != 0 || geteuid() != 0) {
    return;
  }
  groups_.resize(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  const int number = getgroups(static_cast<int>(groups_.size()), groups_.data());
  groups_.resize(static_cast<std::size_t>(std::max(number, 0)));
  changed_ = true;
  if (setgroups(0, nullptr) != 0 || setegid(group) != 0 || seteuid(user) != 0) {
    const int error = errno;
    restore();
    throw ConfigError("cannot become user " + user_name(user) + ": " + std::strerror(error));
  }
}

AsEffectiveUser::~AsEffectiveUser() {
  if (changed_) {
    restore();
  }
}

void AsEffectiveUser::restore() const {
  if (seteuid(0) != 0 || setegid(group_) != 0 || setgroups(groups_.size(), groups_.data()) != 0) {
    std::abort();  // what follows would be judged by the rights of another user
  }
}

}  // namespace lmtpq::mailer
