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
constexpr int kAppend = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
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

}  // namespace

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Descriptor open_to_append(const std::string& path) {
  std::string name = path;
  for (int links = 0; links < kMaxLinks; ++links) {
    Descriptor file = with_one_name(Descriptor(open(name.c_str(), kAppend | O_NOFOLLOW, kLogMode)));
    if (file.valid() || errno != ELOOP) {
      return file;
    }
    const std::string target = trusted_target(name);
    if (target.empty()) {
      return Descriptor();
    }
    if (target == name) {
      return Descriptor(open(name.c_str(), kAppend, kLogMode));
    }
    name = target;
  }
  return failed(ELOOP);
}

void require_writable(const std::string& path) {
  if (!path.starts_with('/') || eaccess(path.c_str(), W_OK) == 0 ||
      (errno == ENOENT && eaccess(folder_of(path).c_str(), W_OK | X_OK) == 0)) {
    return;
  }
  throw ConfigError('"' + path + "\": " + error_as_user(errno) +
                    "; let this user write it, or name another file");
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
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
  file_ = Descriptor(::open(path_.c_str(), kFlags | O_CREAT | O_EXCL, mode_));
  is_new_ = file_.valid();
  bool gone = false;
  if (!is_new_ && errno == EEXIST) {
    file_ = with_one_name(Descriptor(::open(path_.c_str(), kFlags)));
    gone = !file_.valid() && errno == ENOENT;
  }
  struct stat facts {};
  if (file_.valid() && fstat(file_.number(), &facts) == 0 && !S_ISREG(facts.st_mode)) {
    file_ = failed(EINVAL);
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
