#include "mailer/keys/key_file_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/config_error.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kAcl = "system.posix_acl_access";

[[noreturn]] void refuse(const std::string& path, const std::string& remedy) {
  throw ConfigError(path + ": " + std::strerror(errno) + remedy);
}

[[noreturn]] void cannot_write(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), path + ": nothing was changed");
}

bool write_whole(const Descriptor& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.number(), text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      return false;
    }
    text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  return true;
}

// After the mode, since an ACL has it too.
bool copy_acl(const Descriptor& from, const Descriptor& into) {
  std::array<char, 4096> acl{};
  const ssize_t size = fgetxattr(from.number(), kAcl, acl.data(), acl.size());
  if (size < 0) {
    return errno == ENODATA || errno == EOPNOTSUPP;
  }
  return fsetxattr(into.number(), kAcl, acl.data(), static_cast<std::size_t>(size), 0) == 0;
}

}  // namespace

KeyFileWriter::KeyFileWriter(const std::string& path)
    : path_(path), place_(place_of(path)), new_name_(place_.name + ".new") {
  if (!place_.folder.valid()) {
    refuse(path, remedy_at(path));
  }
  locked_ = Descriptor(openat(at(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!locked_.valid()) {
    refuse(path, remedy_at(path));
  }
  if (flock(locked_.number(), LOCK_EX | LOCK_NB) != 0) {
    throw ConfigError(path + ": another process changes a key file in " + folder_of(path) +
                      "; run this again when it has ended");
  }
}

bool KeyFileWriter::create(std::string_view text, uid_t owner, gid_t group, mode_t mode) {
  struct stat facts {};
  if (fstatat(at(), place_.name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0) {
    return false;
  }
  write(text, owner, group, mode);
  // Unlike rename(2), link(2) never takes the place of a file that somebody else has just made.
  const bool made = linkat(at(), new_name_.c_str(), at(), place_.name.c_str(), 0) == 0;
  const int error = errno;
  unlinkat(at(), new_name_.c_str(), 0);
  errno = error;
  if (!made && errno != EEXIST) {
    cannot_write(path_);
  }
  sync_folder();
  return made;
}

Secret KeyFileWriter::read() {
  old_ = Descriptor(
      openat(at(), place_.name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
  struct stat facts {};
  if (!old_.valid() || fstat(old_.number(), &facts) != 0) {
    refuse(path_, errno == ELOOP    ? "; it is a symbolic link: name the file itself"
                  : errno == ENOENT ? "; make it: lmtpq keygen --install " + path_
                                    : "; run this as root");
  }
  if (S_ISREG(facts.st_mode) && facts.st_nlink > 1) {
    throw ConfigError(path_ + ": has another name too, which would keep the old keys; remove it");
  }
  // By its descriptor, as another file could be in this place by now. Its owner may be the only one
  // who reads it, such as the milter's user.
  const std::string opened = "/proc/self/fd/" + std::to_string(old_.number());
  try {
    return read_secret_file(opened, facts.st_uid, "the keys");
  } catch (const ConfigError& error) {
    std::string text = error.what();
    for (std::size_t at = 0; (at = text.find(opened, at)) != std::string::npos;
         at += path_.size()) {
      text.replace(at, opened.size(), path_);
    }
    throw ConfigError(text);
  }
}

void KeyFileWriter::replace(std::string_view text) {
  struct stat facts {};
  if (fstat(old_.number(), &facts) != 0) {
    cannot_write(path_);
  }
  write(text, facts.st_uid, facts.st_gid, facts.st_mode & 07777);
  if (renameat(at(), new_name_.c_str(), at(), place_.name.c_str()) != 0) {
    const int error = errno;
    unlinkat(at(), new_name_.c_str(), 0);
    errno = error;
    cannot_write(path_);
  }
  sync_folder();
}

void KeyFileWriter::write(std::string_view text, uid_t owner, gid_t group, mode_t mode) {
  unlinkat(at(), new_name_.c_str(), 0);  // of a process that was killed: we have the lock
  const Descriptor file(
      openat(at(), new_name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) {
    cannot_write(path_);
  }
  const bool done = write_whole(file, text) && fchown(file.number(), owner, group) == 0 &&
                    fchmod(file.number(), mode) == 0 && (!old_.valid() || copy_acl(old_, file)) &&
                    fsync(file.number()) == 0;
  if (!done) {
    const int error = errno;
    unlinkat(at(), new_name_.c_str(), 0);
    errno = error;
    cannot_write(path_);
  }
}

// The name of the file must survive a crash too, or a key that signs would be lost.
void KeyFileWriter::sync_folder() {
  if (fsync(locked_.number()) != 0 && errno != EINVAL) {
    throw std::system_error(errno, std::generic_category(), folder_of(path_));
  }
}

}  // namespace lmtpq::mailer
