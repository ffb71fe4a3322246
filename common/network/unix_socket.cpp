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
#include "common/options/option_places.h"
#include "common/privileges.h"

namespace lmtpq {
namespace {

constexpr int kBacklog = 1024;
constexpr mode_t kLockMode = 0600;
constexpr std::chrono::seconds kPause{10};
constexpr UnixSocket::Access kSame;
constexpr const char* kOtherFile = "a file of this name exists and is not a socket; remove it";
constexpr const char* kBusy = "another program listens there; stop it first";

[[noreturn]] void refuse(const std::string& call, const std::string& remedy) {
  throw ConfigError(call + ": " + std::strerror(errno) + remedy);
}

// Of a file that cannot be made in this folder.
std::string remedy_in(const std::string& folder) {
  const int error = errno;
  std::string remedy =
      access(folder.c_str(), F_OK) == 0
          ? "; let the program's user write in " + folder + ", or start the program as root"
          : "; mkdir -p -m 755 " + folder + ", owned by the program's user (see tmpfiles.d)";
  errno = error;
  return remedy;
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

}  // namespace

void check_socket_place(const std::string& path) {
  at_place('"' + path + '"', [&] {
    address_of(path);
    if (eaccess(folder_of(path).c_str(), W_OK | X_OK) != 0) {
      refuse("bind", remedy_in(folder_of(path)));
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

int knock_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const Descriptor dialled = new_socket();
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  return connect(dialled.number(), raw, sizeof address) == 0 ? 0 : errno;
}

UnixSocket::UnixSocket(std::string path, const Access& access)
    : path_(std::move(path)), access_(access) {
  try {
    open();
  } catch (const ConfigError&) {
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
  remove_file();
  socket_ = Descriptor();
  if (lock_ && !shared_) {
    lock_->remove();
  }
  lock_.reset();
}

void UnixSocket::open() {
  take_lock();
  refuse_another();
  Descriptor made = bind_file();
  try {
    give_away();
    if (listen(made.number(), kBacklog) != 0) {
      refuse("listen", "");
    }
  } catch (const ConfigError&) {
    remove_file();
    throw;
  }
  if (number() < 0) {
    socket_ = std::move(made);
  } else {
    dup3(made.number(), number(), O_CLOEXEC);  // in one step: another thread may be polling it
  }
}

void UnixSocket::take_lock() {
  if (lock_ && lock_->in_place()) {
    return;
  }
  const std::string name = path_ + ".lock";
  try {
    lock_ = std::make_unique<LockFile>(name, kLockMode, kBusy);
  } catch (const ConfigError& error) {
    if (error.what() == std::string_view(kBusy)) {
      throw;
    }
    throw ConfigError(std::string(error.what()) +
                      (access(name.c_str(), F_OK) == 0
                           ? "; stop the program of the other user, or remove the file"
                           : remedy_in(folder_of(path_))));
  }
  struct stat folder {};
  if (lock_->is_new() && geteuid() == 0 && stat(folder_of(path_).c_str(), &folder) == 0) {
    // So that a start of the folder's owner, who could remove the file anyway, finds it locked.
    [[maybe_unused]] const int given = fchown(lock_->number(), folder.st_uid, folder.st_gid);
  }
}

// Throws unless there is no file, or one on which nobody listens: that one is removed.
void UnixSocket::refuse_another() const {
  struct stat facts {};
  if (lstat(path_.c_str(), &facts) != 0) {
    return;
  }
  if (!S_ISSOCK(facts.st_mode)) {
    throw ConfigError(kOtherFile);
  }
  switch (const int error = knock_at(path_); error) {
    case ECONNREFUSED:
    case ENOENT:
      unlink(path_.c_str());
      return;
    case 0:
    case EAGAIN:  // its queue is full
      throw ConfigError(kBusy);
    default:
      throw ConfigError("another program may listen there (connect: " +
                        std::string(std::strerror(error)) + "); stop it, or remove the socket");
  }
}

Descriptor UnixSocket::bind_file() {
  const sockaddr_un address = address_of(path_);
  Descriptor made = new_socket();
  // A file that is made later has its own mode, and the umask of other threads does not widen it.
  const mode_t before = umask(0777 & ~access_.mode);
  const int bound =
      bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound != 0) {
    refuse("bind", remedy_in(folder_of(path_)));
  }
  return made;
}

// Clients can connect only after this, with listen(2). By its name, mode and owner would be those
// of whatever the owner of the folder has put there.
void UnixSocket::give_away() {
  Descriptor file(::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat facts {};
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
  } catch (const ConfigError& error) {
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

void UnixSocket::remove_file() {
  if (file_.valid() && !shared_ && change() == nullptr) {
    unlink(path_.c_str());
  }
  file_ = Descriptor();
}

}  // namespace lmtpq
