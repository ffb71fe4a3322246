// The daemon: everything that `serve` has running.
//
// What it is: the listening sockets and the thread that accepts on them, the thread that looks
// after
//   the pools, and the main thread's loop of signals: SIGHUP reloads, SIGTERM and SIGINT drain.
// What it does not know: what a client's session does (Clients), how mail goes on (Delivery).
// Called by: main, once.
// Threads and lifetimes: made before the first thread; run() returns when all is over. Sessions
// that
//   could not be ended may still run then, so the object is never destroyed.
// Failure: ConfigError at start. A reload that fails leaves everything as it was, and says so.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mailer/serve/configuration/configuration.h"
#include "mailer/serve/listeners/clients.h"
#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/pools/pool_registry.h"

namespace lmtpq::mailer {

class Daemon {
 public:
  using Sockets = std::map<std::string, std::shared_ptr<ListeningSocket>>;  // by address

  // Opens the sockets: with the rights that are needed for that.
  Daemon(std::vector<std::string> arguments, DaemonSettings settings);
  // With the rights that are left.
  int run(const Log& log);

 private:
  struct Running;

  static Sockets open_sockets(const DaemonSettings& settings, const Sockets& open,
                              PassedSockets& passed);

  const std::vector<std::string> arguments_;  // read again at each SIGHUP
  DaemonSettings first_;
  PassedSockets passed_;
  Sockets sockets_;
};

}  // namespace lmtpq::mailer
