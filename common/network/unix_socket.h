// A unix socket that this process listens on, and the file by which clients find it.
//
// Beside the file is PATH.lock, which is locked as long as the socket is in use: a second process
// that is started never takes the place of a first one. A file on which nobody listens is replaced,
// which only ECONNREFUSED proves. A file that is not our own is never removed.
//
// The folder may belong to another user than root: mode and owner are those of the file that this
// process has made, also where it is replaced in the same moment, and no link of that user on the
// way to it is followed.
//
// Two processes can share one for a moment, so that the second one takes it over without a gap: by
// copies of the descriptors (SCM_RIGHTS), of which the lock is one.
//
// Made and used by one thread; the descriptor may be polled in another one. ConfigError has what is
// wrong and the remedy, without the path.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/descriptor.h"
#include "common/log/log.h"
#include "common/open_file.h"

struct sockaddr_un;

namespace lmtpq {

class UnixSocket {
 public:
  struct Access {
    mode_t mode = 0600;
    uid_t uid = static_cast<uid_t>(-1);  // -1: this process's user
    gid_t gid = static_cast<gid_t>(-1);  // -1: this process's group
  };

  // Which another process can take over. The copies in that process are Descriptors.
  struct Numbers {
    int socket;
    int lock;
    int file;  // -1: the file was lost, and could not be opened again
  };
  struct Descriptors {
    Descriptor socket;
    Descriptor lock;
    Descriptor file;
  };

  UnixSocket(std::string path, const Access& access);
  // Takes over what another process has opened; it is shared until share(false).
  UnixSocket(std::string path, const Access& access, Descriptors descriptors);
  ~UnixSocket();
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  // Listens, and does not block. Stays the same when the socket is opened again.
  int number() const { return lent_ >= 0 ? lent_ : socket_.number(); }
  Numbers numbers() const;
  // Shared: another process has the descriptors too, so the files are neither opened again nor
  // removed by this one.
  void share(bool shared) { shared_ = shared; }
  // From now on the descriptor is this one, a copy that a library has made and closes.
  void lend(int number);
  // Opens the socket again if its file was removed, or replaced by one on which nobody listens, and
  // logs that; where it cannot be opened, tries every ten seconds. true: it was opened.
  bool restore(const std::string& name, const Log& log);
  // Listens no more, and removes both files unless the socket is shared.
  void close();

 private:
  void open();
  void take_lock(const FilePlace& place);
  void refuse_another(const FilePlace& place, const sockaddr_un& address) const;
  void bind_file(const Descriptor& made, const sockaddr_un& address) const;
  void give_away(const FilePlace& place);
  const char* change() const;
  void remove_own_file();

  const std::string path_;
  const Access access_;
  std::unique_ptr<LockFile> lock_;
  Descriptor socket_;
  int lent_ = -1;
  Descriptor file_;  // O_PATH; as long as it is open, no other file gets the number of the inode
  std::chrono::steady_clock::time_point next_try_;
  bool shared_ = false;
  bool logged_ = false;  // that it could not be opened again
};

// Whether this process's user can make a socket there. ConfigError with the path and the remedy.
void check_socket_place(const std::string& path);
// Whether this process's user could connect to a socket there; that nobody listens is no error.
// ConfigError with the path and the remedy.
void check_socket_access(const std::string& path);

// connect(2) to the socket at this path, closed at once: 0, or errno.
int knock_at(const std::string& path);

}  // namespace lmtpq
