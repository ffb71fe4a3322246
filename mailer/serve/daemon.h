// The daemon: everything that `lmtpq serve` runs.
//
// Opens the listening sockets; then run() starts the threads that accept and serve clients, clean
// up the pools, and show the status and the metrics, and handles signals in the main thread: SIGHUP
// reloads, SIGTERM and SIGINT drain.
//
// Made before the first thread, with the rights that the sockets need. ConfigError at start; a
// reload that fails keeps the previous configuration and logs the error. After run() it must not be
// destroyed: sessions that could not be ended may still use it (see main()).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mailer/serve/configuration/configuration.h"
#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/listeners/passed_sockets.h"
#include "mailer/serve/signals.h"

namespace lmtpq::mailer {

class Daemon {
 public:
  using Sockets = std::map<std::string, std::shared_ptr<ListeningSocket>>;  // by address

  Daemon(std::vector<std::string> arguments, DaemonSettings settings);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Called after privileges were given up. Returns the exit status.
  int run();
  // After a start that failed: removes the sockets' files.
  void abandon();

 private:
  struct Running;

  void start();
  void reload();
  void load();
  // Reports files that root could read at start, but the daemon's user cannot read at a SIGHUP.
  void warn_of_unreadable_files() const;
  // Logs each option that the reload cannot change.
  void warn_of_restart(const DaemonSettings& settings) const;
  int drain();
  void wait_for_clients(Deadline deadline);
  std::vector<std::shared_ptr<ListeningSocket>> listening() const;
  // Those that are open already stay.
  Sockets open_sockets(const DaemonSettings& settings) const;
  // Sockets that systemd passed, and that no listener uses: an error at start.
  void refuse_unused_sockets() const;
  void warn_of_unused_sockets() const;
  // Opens again those whose file was removed or replaced.
  void restore_sockets();

  const std::vector<std::string> arguments_;  // read again at each SIGHUP
  DaemonSettings first_;                      // run() moves them into the Configuration
  PassedSockets passed_;
  Sockets sockets_;
  std::optional<Signals> signals_;  // run() makes them
  std::unique_ptr<Running> running_;
};

}  // namespace lmtpq::mailer
