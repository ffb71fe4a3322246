#include "privileges.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config.h"

namespace lmtpq {
namespace {

void become(const std::string& name, uid_t uid, gid_t gid) {
  // The effective uid must be root's for the rest, which Sendmail's setreuid(-1, U) has taken away.
  const bool done = seteuid(0) == 0 && initgroups(name.c_str(), gid) == 0 &&
                    setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
  if (!done) {
    throw ConfigError("cannot become user " + name + ": " + std::strerror(errno));
  }
}

}  // namespace

void drop_privileges(const std::string& user) {
  const uid_t effective = geteuid();
  if (user.empty()) {
    if (getuid() != 0 || effective == 0) {
      return;
    }
    const passwd* const entry = getpwuid(effective);
    const gid_t group = getegid();
    become(entry != nullptr ? entry->pw_name : std::to_string(effective), effective, group);
    return;
  }
  const passwd* const entry = getpwnam(user.c_str());
  if (entry == nullptr) {
    throw ConfigError("--user: no user " + user + " on this system");
  }
  if (getuid() == entry->pw_uid && effective == entry->pw_uid) {
    return;
  }
  if (getuid() != 0 && effective != 0) {
    throw ConfigError("--user: only root can become user " + user);
  }
  become(user, entry->pw_uid, entry->pw_gid);
}

}  // namespace lmtpq
