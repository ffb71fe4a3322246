#include "common/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/config_error.h"

namespace lmtpq {
namespace {

void become(const std::string& name, uid_t uid, gid_t gid) {
  // The other calls need root as effective user, which Sendmail's setreuid(-1, U) has changed.
  const bool done = seteuid(0) == 0 && initgroups(name.c_str(), gid) == 0 &&
                    setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
  if (!done) {
    throw ConfigError('"' + name + "\": cannot become this user: " + std::strerror(errno));
  }
}

const passwd& entry_of(const std::string& user) {
  const passwd* const entry = getpwnam(user.c_str());
  if (entry == nullptr) {
    throw ConfigError('"' + user +
                      "\": no such user on this system; create it, or correct the name");
  }
  return *entry;
}

}  // namespace

std::string user_name(uid_t user) {
  const passwd* const entry = getpwuid(user);
  return entry == nullptr ? std::to_string(user) : entry->pw_name;
}

std::string error_as_user(int error) {
  return std::string(std::strerror(error)) + " as user " + user_name(geteuid());
}

uid_t future_user(const std::string& user) {
  return user.empty() ? geteuid() : entry_of(user).pw_uid;
}

AsRoot::AsRoot() : effective_(geteuid()) {
  if (getuid() == 0 && effective_ != 0 && seteuid(0) != 0) {
    throw ConfigError(std::string("cannot use root's rights: ") + std::strerror(errno));
  }
}

AsRoot::~AsRoot() {
  if (geteuid() != effective_ && seteuid(effective_) != 0) {
    std::abort();  // never continue as root
  }
}

void drop_privileges(const std::string& user) {
  const uid_t effective = geteuid();
  if (user.empty()) {
    if (getuid() != 0 || effective == 0) {
      return;
    }
    become(user_name(effective), effective, getegid());
    return;
  }
  const passwd& entry = entry_of(user);
  if (getuid() == entry.pw_uid && effective == entry.pw_uid) {
    return;
  }
  if (getuid() != 0 && effective != 0) {
    throw ConfigError('"' + user +
                      "\": only root can become another user; start as root, or as this user");
  }
  become(user, entry.pw_uid, entry.pw_gid);
}

}  // namespace lmtpq
