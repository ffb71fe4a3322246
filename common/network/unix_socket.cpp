#include "common/network/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/config_error.h"
#include "common/few_descriptors.h"
#include "common/options/option_places.h"
#include "common/privileges.h"
#include "common/shortage.h"

namespace lmtpq {
namespace {

constexpr int kBacklog = 1024;
constexpr mode_t kLockMode = 0600;
constexpr std::chrono::seconds kPause{10};
constexpr UnixSocket::Access kSame;
constexpr const char* kOtherFile = "a file of this name exists and is not a socket; remove it";
constexpr const char* kBusy = "another program listens there; stop it first";

// With errno.
[[noreturn]] void refuse(const std::string& call, const std::string& remedy) {
  const int error = errno;
  const char* const few = remedy_for_few_descriptors(error);
  refuse_by_error(error, call + ": " + std::strerror(error) + (*few != '\0' ? few : remedy));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un made{};
  made.sun_family = AF_UNIX;
  if (path.size() >= sizeof made.sun_path) {
    throw ConfigError("the path is too long for a socket");
  }
  path.copy(made.sun_path, path.size());
  return made;
}

Descriptor new_socket() {
  return Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// connect(2), closed at once: 0, or errno.
int knock(const sockaddr_un& address) {
  const Descriptor dialled = new_socket();
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  return dialled.valid() && connect(dialled.number(), raw, sizeof address) == 0 ? 0 : errno;
}

// ss(8) shows the path with which a socket was bound, so it is the configured one where nobody can
// change where that leads.
sockaddr_un safe_address(const FilePlace& place, const std::string& path) {
  const sockaddr_un plain = address_of(path);
  if (!place.fixed && access("/proc/self/fd", X_OK) != 0) {
    throw ConfigError("another user can change a folder on the way, so /proc is needed; mount it");
  }
  return place.fixed ? plain : address_of(place.path());
}

}  // namespace

void check_socket_place(const std::string& path) {
  at_place('"' + path + '"', [&] {
    address_of(path);
    if (!place_of(path).folder.valid() || eaccess(folder_of(path).c_str(), W_OK | X_OK) != 0) {
      refuse("bind", remedy_at(path));
    }
    struct stat facts {};
    if (lstat(path.c_str(), &facts) == 0 && !S_ISSOCK(facts.st_mode)) {
      throw ConfigError(kOtherFile);
    }
    check_lock_place(path + ".lock");
  });
}

void check_socket_access(const std::string& path) {
  if (eaccess(path.c_str(), W_OK) == 0) {
    return;
  }
  const int error = errno;
  if (error != ENOENT || eaccess(folder_of(path).c_str(), X_OK) != 0) {
    throw ConfigError('"' + path + "\": " + error_as_user(error) +
                      (error == EACCES ? "; add this user to the group of the socket's folder"
                                       : "; start its server, or correct the path"));
  }
}

int knock_at(const std::string& path) { return knock(address_of(path)); }

UnixSocket::UnixSocket(std::string path, const Access& access)
    : path_(std::move(path)), access_(access) {
  try {
    open();
  } catch (...) {
    close();
    throw;
  }
}

UnixSocket::UnixSocket(std::string path, const Access& access, Descriptors descriptors)
    : path_(std::move(path)),
      access_(access),
      lock_(std::make_unique<LockFile>(path_ + ".lock", kLockMode, std::move(descriptors.lock))),
      socket_(std::move(descriptors.socket)),
      file_(std::move(descriptors.file)),
      shared_(true) {}

UnixSocket::~UnixSocket() { close(); }

UnixSocket::Numbers UnixSocket::numbers() const {
  return {number(), lock_ ? lock_->number() : -1, file_.number()};
}

void UnixSocket::lend(int number) {
  lent_ = number;
  socket_ = Descriptor();
}

void UnixSocket::close() {
  socket_ = Descriptor();  // first: to remove the files takes a free descriptor
  remove_own_file();
  if (lock_ && !shared_) {
    lock_->remove();
  }
  lock_.reset();
}

void UnixSocket::open() {
  // Before the lock: where descriptors are few, its end frees those that the removal of it takes.
  const FilePlace place = place_of(path_);
  const int error = errno;
  take_lock(place);
  if (!place.folder.valid()) {
    errno = error;
    refuse("bind", remedy_at(path_));
  }
  const sockaddr_un address = safe_address(place, path_);
  refuse_another(place, address);
  Descriptor made = new_socket();
  Descriptor spare = new_socket();  // for the file: what was bound must not stay for want of one
  if (!spare.valid()) {
    refuse("socket", "");
  }
  bind_file(made, address);
  spare = Descriptor();
  try {
    give_away(place);
    if (listen(made.number(), kBacklog) != 0) {
      refuse("listen", "");
    }
  } catch (...) {
    remove_own_file();
    throw;
  }
  if (number() < 0) {
    socket_ = std::move(made);
  } else {
    dup3(made.number(), number(), O_CLOEXEC);  // in one step: another thread may be polling it
  }
}

void UnixSocket::take_lock(const FilePlace& place) {
  if (lock_ && lock_->in_place()) {
    return;
  }
  lock_ = std::make_unique<LockFile>(path_ + ".lock", kLockMode, kBusy);
  struct stat folder {};
  if (lock_->is_new() && geteuid() == 0 && fstat(place.folder.number(), &folder) == 0) {
    // So that a start of the folder's owner, who could remove the file anyway, finds it locked.
    [[maybe_unused]] const int given = fchown(lock_->number(), folder.st_uid, folder.st_gid);
  }
}

// Throws unless there is no file, or one on which nobody listens: that one is removed.
void UnixSocket::refuse_another(const FilePlace& place, const sockaddr_un& address) const {
  struct stat facts {};
  const int folder = place.folder.number();
  if (fstatat(folder, place.name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    return;
  }
  if (!S_ISSOCK(facts.st_mode)) {
    throw ConfigError(kOtherFile);
  }
  switch (const int error = knock(address); error) {
    case ECONNREFUSED:
    case ENOENT:
      unlinkat(folder, place.name.c_str(), 0);
      return;
    case 0:
    case EAGAIN:  // its queue is full
      throw ConfigError(kBusy);
    case EMFILE:
    case ENFILE:
      errno = error;
      refuse("socket", "");
    default:
      throw ConfigError("another program may listen there (connect: " +
                        std::string(std::strerror(error)) + "); stop it, or remove the socket");
  }
}

void UnixSocket::bind_file(const Descriptor& made, const sockaddr_un& address) const {
  // A file that is made later has its own mode, and the umask of other threads does not widen it.
  const mode_t before = umask(0777 & ~access_.mode);
  const int bound =
      bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound != 0) {
    refuse("bind", remedy_at(path_));
  }
}

// Clients can connect only after this, with listen(2). By its name, mode and owner would be those
// of whatever the owner of the folder has put there.
void UnixSocket::give_away(const FilePlace& place) {
  Descriptor file(
      openat(place.folder.number(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat facts {};
  if (!file.valid() && *remedy_for_few_descriptors(errno) != '\0') {
    refuse("open", "");
  }
  if (!file.valid() || fstat(file.number(), &facts) != 0 || !S_ISSOCK(facts.st_mode) ||
      facts.st_uid != geteuid() || facts.st_nlink != 1) {
    throw ConfigError("another process replaced the socket at once; stop it");
  }
  file_ = std::move(file);
  const std::string by_number = "/proc/self/fd/" + std::to_string(file_.number());
  // Only a default ACL of the folder overrides the umask.
  if ((facts.st_mode & 0777) != access_.mode && chmod(by_number.c_str(), access_.mode) != 0) {
    refuse("chmod", "; remove the default ACL of its directory");
  }
  if ((access_.uid != kSame.uid || access_.gid != kSame.gid) &&
      fchownat(file_.number(), "", access_.uid, access_.gid, AT_EMPTY_PATH) != 0) {
    refuse("chown", "; start as root, or set a group of the program's user");
  }
}

bool UnixSocket::restore(const std::string& name, const Log& log) {
  if (shared_) {
    return false;
  }
  const char* const what = change();
  const auto now = std::chrono::steady_clock::now();
  logged_ = logged_ && what != nullptr;
  if (what == nullptr || now < next_try_) {
    return false;
  }
  Record record("socket-lost");
  record.add("socket", name).add("change", what);
  try {
    open();
  } catch (const std::exception& error) {
    next_try_ = now + kPause;
    if (!std::exchange(logged_, true)) {
      log.error(record.add("error", error.what()).add("effect", "clients cannot connect"));
    }
    return false;
  }
  logged_ = false;
  log.warning(record.add("effect", "opened again"));
  return true;
}

// What became of our file; nullptr: nothing, or it cannot be told.
const char* UnixSocket::change() const {
  struct stat ours {};
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) {
    return errno == ENOENT || errno == ENOTDIR ? "removed" : nullptr;
  }
  const bool same = fstat(file_.number(), &ours) == 0 && found.st_dev == ours.st_dev &&
                    found.st_ino == ours.st_ino;
  return same ? nullptr : "replaced";
}

void UnixSocket::remove_own_file() {
  if (file_.valid() && !shared_ && change() == nullptr) {
    remove_file(path_);
  }
  file_ = Descriptor();
}

}  // namespace lmtpq
