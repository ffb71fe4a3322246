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
#include <optional>
#include <utility>

#include "common/config_error.h"
#include "common/few_descriptors.h"
#include "common/privileges.h"
#include "common/shortage.h"

namespace lmtpq {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's
constexpr int kMaxTries = 16;

// O_NONBLOCK: a named pipe without a reader must not stop mail; for files the flag has no effect.
constexpr int kAppend = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
constexpr int kReadAndWrite = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
constexpr mode_t kLogMode = 0640;
// O_DIRECTORY: mounts what autofs has there.
constexpr int kFolder = O_PATH | O_DIRECTORY | O_CLOEXEC;

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

bool trusted(const struct stat& facts) { return facts.st_uid == 0 || facts.st_uid == geteuid(); }

bool only_we_write(const Descriptor& folder) {
  struct stat facts {};
  return fstat(folder.number(), &facts) == 0 && trusted(facts) &&
         (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Descriptor first_folder(const std::string& path) {
  return Descriptor(open(path.starts_with('/') ? "/" : ".", kFolder));
}

struct Link {
  std::string target;
  bool magic = false;  // /proc/self/fd/2: the kernel follows it, its text is no path
};

// Nullopt: errno. Of one descriptor, since another link can be in its place a moment later.
std::optional<Link> trusted_link(const FilePlace& place) {
  const Descriptor link(
      openat(place.folder.number(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat facts {};
  if (!link.valid() || fstat(link.number(), &facts) != 0) {
    return {};
  }
  if (!S_ISLNK(facts.st_mode) || !trusted(facts)) {
    errno = S_ISLNK(facts.st_mode) ? ELOOP : ENOTDIR;
    return {};
  }
  struct statfs where {};
  if (fstatfs(link.number(), &where) == 0 && where.f_type == PROC_SUPER_MAGIC) {
    return Link{"", true};
  }
  std::array<char, PATH_MAX> text{};
  const ssize_t length = readlinkat(link.number(), "", text.data(), text.size());
  if (length <= 0) {
    return {};
  }
  return Link{std::string(text.data(), static_cast<std::size_t>(length))};
}

// From place.folder to the folder or the link that place.name is there; `rest` is what follows.
Descriptor next_folder(FilePlace& place, std::string& rest, int& links) {
  Descriptor next(openat(place.folder.number(), place.name.c_str(), kFolder | O_NOFOLLOW));
  if (next.valid() || (errno != ENOTDIR && errno != ELOOP)) {
    return next;
  }
  const auto link = trusted_link(place);
  if (!link) {
    return failed(errno);
  }
  if (++links > kMaxLinks) {
    return failed(ELOOP);
  }
  if (link->magic) {
    return Descriptor(openat(place.folder.number(), place.name.c_str(), kFolder));
  }
  rest = link->target + rest;
  return rest.starts_with('/') ? first_folder(rest) : std::move(place.folder);
}

// Follows the links of root and of this user; `name` is then that of the file.
Descriptor open_log(std::string& name, int flags) {
  for (int links = 0; links < kMaxLinks; ++links) {
    const FilePlace place = place_of(name);
    if (!place.folder.valid()) {
      return failed(errno);
    }
    const int folder = place.folder.number();
    Descriptor file =
        with_one_name(Descriptor(openat(folder, place.name.c_str(), flags | O_NOFOLLOW, kLogMode)));
    if (file.valid() || errno != ELOOP) {
      return file;
    }
    const auto link = trusted_link(place);
    if (!link) {
      return failed(errno);
    }
    if (link->magic) {
      return Descriptor(openat(folder, place.name.c_str(), flags, kLogMode));
    }
    name = link->target.starts_with('/') ? link->target : folder_of(name) + '/' + link->target;
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
Descriptor open_lock(const FilePlace& place) {
  Descriptor file =
      with_one_name(Descriptor(openat(place.folder.number(), place.name.c_str(), kReadAndWrite)));
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

std::string FilePlace::path() const {
  return "/proc/self/fd/" + std::to_string(folder.number()) + '/' + name;
}

FilePlace place_of(const std::string& path) {
  FilePlace made{first_folder(path), {}};
  std::string rest = path;
  int links = 0;
  while (made.folder.valid()) {
    rest.erase(0, rest.find_first_not_of('/'));
    const std::size_t end = rest.find('/');
    made.name = rest.empty() ? "." : rest.substr(0, end);  // the path ends with a slash
    if (end == std::string::npos) {
      break;
    }
    rest.erase(0, end);
    made.fixed = made.fixed && only_we_write(made.folder);
    made.folder = next_folder(made, rest, links);
  }
  return made;
}

bool remove_file(const std::string& path) {
  const FilePlace place = place_of(path);
  return place.folder.valid() && unlinkat(place.folder.number(), place.name.c_str(), 0) == 0;
}

Descriptor open_to_append(const std::string& path) {
  std::string name = path;
  return open_log(name, kAppend | O_CREAT);
}

std::string remedy_at(const std::string& path) {
  const int error = errno;
  const std::string folder = folder_of(path);
  switch (error) {
    case EMFILE:
    case ENFILE:
      return remedy_for_few_descriptors(error);
    case ELOOP:
      return "; the path leads over a symbolic link of another user, name the folder itself";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; let the program's user write in " + folder + ", or start the program as root";
    case ENOENT:
    case ENOTDIR:
      return "; mkdir -p -m 755 " + folder + ", owned by the program's user (see tmpfiles.d)";
    default:
      return "";
  }
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

bool is_other_than_file(const std::string& path) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode);
}

void check_lock_place(const std::string& path) {
  const FilePlace place = place_of(path);
  if (place.folder.valid() && open_lock(place).valid()) {
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
  const FilePlace place = place_of(path_);
  if (!place.folder.valid()) {
    refuse(false);
  }
  file_ = Descriptor(
      openat(place.folder.number(), place.name.c_str(), kReadAndWrite | O_CREAT | O_EXCL, mode_));
  is_new_ = file_.valid();
  const bool exists = !is_new_ && errno == EEXIST;
  if (exists) {
    file_ = open_lock(place);
    if (!file_.valid() && errno == ENOENT) {
      return false;
    }
  }
  if (!file_.valid()) {
    refuse(exists);
  }
  return true;
}

// With errno. A file that exists is not what it should be, or another user's.
void LockFile::refuse(bool exists) const {
  const int number = errno;
  const std::string error = '"' + path_ + "\": " + std::strerror(number);
  switch (exists ? number : 0) {
    case 0:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
      refuse_by_error(number, error + remedy_at(path_));
    case EACCES:
    case EPERM:
      throw ConfigError(error + "; stop the program of the other user, or remove the file");
    case ELOOP:
      throw ConfigError(error + "; it is a symbolic link, which is not followed; remove it");
    default:
      throw ConfigError(error + "; only a file with one name can be locked; remove it");
  }
}

bool LockFile::in_place() const {
  struct stat ours {};
  struct stat found {};
  return fstat(file_.number(), &ours) == 0 && lstat(path_.c_str(), &found) == 0 &&
         ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

bool LockFile::remove() const { return !in_place() || remove_file(path_); }

}  // namespace lmtpq
