// Who looks at the daemon's figures each second, and tells them to whoever asks.
//
// What it is: the control socket, whose every client gets one snapshot and is closed; and the
//   second's tick of the tallies.
// What it does not know: what the figures mean, who shows them.
// Called by: the daemon.
// Threads and lifetimes: one thread of its own, from the constructor to stop(). Who asks is served
//   in turn, each for two seconds at most.
// Failure: ConfigError for a socket that the admin named; without that of the default path a
//   warning, and nobody is told.
// Rules: only the socket's mode says who may ask: our user, our group and root.
#pragma once

#include <optional>
#include <thread>

#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/observe/snapshot.h"

namespace lmtpq::mailer {

class ControlSocket {
 public:
  ControlSocket(const DaemonParts& daemon, const std::string& path, const Log& log);
  ~ControlSocket();
  // The socket is gone then.
  void stop();

 private:
  void listen(const std::string& path);
  void run();
  void tell(const Descriptor& client) const;

  const DaemonParts daemon_;
  const Log& log_;
  std::optional<ListeningSocket> socket_;
  Descriptor wakeup_fd_;  // eventfd(2): stop
  std::thread thread_;
};

}  // namespace lmtpq::mailer
