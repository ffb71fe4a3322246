// The control socket, which `serve --status` reads, and the daemon's one-second timer for rates.
//
// Each client of the socket is sent one snapshot as JSON and is closed. A client that does not read
// delays no other; it is disconnected after ten seconds, or when eight others have come. Only the
// socket's mode decides who may connect: the daemon's user, its group and root.
//
// One thread, from the constructor to stop(). ConfigError where the socket that the admin named
// cannot be made; at the default path that is a warning, `--status` is unavailable, and the thread
// tries again every ten seconds.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mailer/io/channel.h"
#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/status/snapshot.h"

namespace lmtpq::mailer {

class ControlSocket {
 public:
  // Empty path: no socket, only the timer.
  ControlSocket(const DaemonParts& daemon, const std::string& path, const OpenSocket& open,
                const Log& log);
  ~ControlSocket();
  // nullptr: there is none. Only while it is shared: otherwise the thread may make one.
  ListeningSocket* socket() const { return socket_.get(); }
  // ListeningSocket::share(). Afterwards the thread neither changes a shared socket nor makes one.
  void share(bool shared);
  // Ends the thread and removes the socket.
  void stop();

 private:
  void listen(const OpenSocket& open);
  // Opens again a socket that was lost, or one that could not be opened at start.
  void restore();
  void try_again();
  void run();
  struct Reader {
    Descriptor socket;
    std::string left;  // of the answer
    Deadline deadline;
  };
  void accept_reader();
  static bool send_more(Reader& reader);

  const DaemonParts daemon_;
  const std::string path_;
  const Log& log_;
  std::shared_ptr<ListeningSocket> socket_;
  Deadline next_try_ = Deadline::max();  // to open it, where that failed at start
  std::mutex restoring_;
  bool shared_ = false;
  Descriptor wakeup_fd_;         // eventfd(2): stop
  std::vector<Reader> readers_;  // the oldest first; the thread's
  std::thread thread_;
};

}  // namespace lmtpq::mailer
