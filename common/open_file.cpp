#include "common/open_file.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/config_error.h"
#include "common/privileges.h"

namespace lmtpq {
namespace {

constexpr int kMaxLinks = 8;
constexpr int kMaxTries = 16;

// O_NONBLOCK: a named pipe without a reader must not stop mail; for files the flag has no effect.
constexpr int kAppend = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
constexpr int kReadAndWrite = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
constexpr mode_t kLogMode = 0640;

Descriptor failed(int error) {
  errno = error;
  return Descriptor();
}

// A regular file with several names may be somebody else's: a hard link needs no right to it.
Descriptor with_one_name(Descriptor file) {
  struct stat facts {};
  if (!file.valid() || fstat(file.number(), &facts) != 0) {
    return failed(errno);
  }
  return S_ISREG(facts.st_mode) && facts.st_nlink > 1 ? failed(EMLINK) : std::move(file);
}

// Where the link at this path leads. Empty: errno. Of one descriptor, since another link can be in
// its place a moment later.
std::string trusted_target(const std::string& path) {
  const Descriptor link(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat facts {};
  if (!link.valid() || fstat(link.number(), &facts) != 0) {
    return {};
  }
  if (!S_ISLNK(facts.st_mode) || (facts.st_uid != 0 && facts.st_uid != geteuid())) {
    errno = ELOOP;
    return {};
  }
  struct statfs where {};
  if (fstatfs(link.number(), &where) == 0 && where.f_type == PROC_SUPER_MAGIC) {
    return path;  // /proc/self/fd/2: the kernel follows it, its text is no path
  }
  std::array<char, PATH_MAX> text{};
  const ssize_t length = readlinkat(link.number(), "", text.data(), text.size());
  if (length <= 0) {
    return {};
  }
  const std::string target(text.data(), static_cast<std::size_t>(length));
  return target.starts_with('/') ? target : folder_of(path) + '/' + target;
}

// Follows the links of root and of this user; `name` is then that of the file.
Descriptor open_log(std::string& name, int flags) {
  for (int links = 0; links < kMaxLinks; ++links) {
    Descriptor file = with_one_name(Descriptor(open(name.c_str(), flags | O_NOFOLLOW, kLogMode)));
    if (file.valid() || errno != ELOOP) {
      return file;
    }
    const std::string target = trusted_target(name);
    if (target.empty()) {
      return Descriptor();
    }
    if (target == name) {
      return Descriptor(open(name.c_str(), flags, kLogMode));
    }
    name = target;
  }
  return failed(ELOOP);
}

// A pipe is not opened, since its reader would see the end of a writer. What /proc/self/fd leads to
// differs from process to process: a failure here says nothing about another one.
bool may_append(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) == 0 && S_ISFIFO(facts.st_mode)) {
    return eaccess(path.c_str(), W_OK) == 0;
  }
  std::string name = path;
  if (open_log(name, kAppend).valid()) {
    return true;
  }
  return errno == ENOENT ? eaccess(folder_of(name).c_str(), W_OK | X_OK) == 0
                         : name.starts_with("/proc/") && eaccess(path.c_str(), W_OK) == 0;
}

// Invalid: errno.
Descriptor open_lock(const std::string& path) {
  Descriptor file = with_one_name(Descriptor(open(path.c_str(), kReadAndWrite)));
  struct stat facts {};
  return file.valid() && fstat(file.number(), &facts) == 0 && !S_ISREG(facts.st_mode)
             ? failed(EINVAL)
             : std::move(file);
}

}  // namespace

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Descriptor open_to_append(const std::string& path) {
  std::string name = path;
  return open_log(name, kAppend | O_CREAT);
}

void require_writable(const std::string& path) {
  if (!path.starts_with('/') || may_append(path)) {
    return;
  }
  const bool other_kind = errno == EMLINK || errno == ELOOP || errno == EISDIR || errno == ENXIO;
  throw ConfigError('"' + path + "\": " + error_as_user(errno) +
                    (other_kind ? "; name a file with one name, and no link of another user"
                                : "; let this user write it, or name another file"));
}

void check_lock_place(const std::string& path) {
  if (open_lock(path).valid()) {
    return;
  }
  const bool missing = errno == ENOENT;
  if (!missing || eaccess(folder_of(path).c_str(), W_OK | X_OK) != 0) {
    throw ConfigError('"' + path + "\": " + error_as_user(errno) +
                      (missing ? "; let this user write in the folder, or name another file"
                               : "; stop the program of the other user, or remove the file"));
  }
}

LockFile::LockFile(const std::string& path, mode_t mode, const std::string& busy)
    : path_(path), mode_(mode) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    if (!open()) {
      continue;
    }
    if (flock(file_.number(), LOCK_EX | LOCK_NB) != 0) {
      throw ConfigError(busy);
    }
    if (in_place()) {
      return;
    }
  }
  throw ConfigError('"' + path + "\": is removed again and again; stop the program that does it");
}

LockFile::LockFile(const std::string& path, mode_t mode, Descriptor locked)
    : path_(path), mode_(mode), file_(std::move(locked)) {}

// false: the process that had the file has removed it in this moment.
bool LockFile::open() {
  file_ = Descriptor(::open(path_.c_str(), kReadAndWrite | O_CREAT | O_EXCL, mode_));
  is_new_ = file_.valid();
  bool gone = false;
  if (!is_new_ && errno == EEXIST) {
    file_ = open_lock(path_);
    gone = !file_.valid() && errno == ENOENT;
  }
  if (!file_.valid() && !gone) {
    throw ConfigError('"' + path_ + "\": " + std::strerror(errno));
  }
  return !gone;
}

bool LockFile::in_place() const {
  struct stat ours {};
  struct stat found {};
  return fstat(file_.number(), &ours) == 0 && lstat(path_.c_str(), &found) == 0 &&
         ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

bool LockFile::remove() const { return !in_place() || unlink(path_.c_str()) == 0; }

}  // namespace lmtpq
