// The daemon: everything that `lmtpq serve` runs.
//
// Opens the listening sockets; then run() starts the threads that accept and serve clients, clean
// up the pools, and show the status and the metrics, and handles signals in the main thread: SIGHUP
// reloads, SIGUSR2 upgrades, SIGTERM and SIGINT drain. What a reload reads, looks up and opens may
// block: a thread does that (prepare()), and the main thread applies it when it is there.
//
// In an upgrade a new process (Successor) takes over the sockets. It is made as always, with its
// Predecessor; this one drains as soon as the new one can serve.
//
// Made before all threads but that of the signals, with the rights that the sockets need.
// ConfigError at start; a reload that fails keeps the previous configuration and logs the error.
// After run() it must not be destroyed: sessions that could not be ended may still use it (see
// main()).
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mailer/serve/configuration/configuration.h"
#include "mailer/serve/limits/memory_growth.h"
#include "mailer/serve/limits/unused_heap.h"
#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/listeners/passed_sockets.h"
#include "mailer/serve/signals.h"
#include "mailer/serve/upgrade/executable.h"
#include "mailer/serve/upgrade/predecessor.h"
#include "mailer/serve/upgrade/successor.h"

namespace lmtpq::mailer {

class ControlSocket;
class MetricsEndpoint;

class Daemon {
 public:
  using Sockets = std::map<std::string, std::shared_ptr<ListeningSocket>>;  // by address

  // `predecessor`: the process that this one takes the place of, or nullptr. Must outlive it.
  Daemon(std::vector<std::string> arguments, DaemonSettings settings, Predecessor* predecessor,
         Signals& signals);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Called after privileges were given up. Returns the exit status.
  int run();
  // After a start that failed: removes the sockets' files.
  void abandon();

 private:
  struct Running;
  // What a reload has made, and not applied.
  struct Prepared;
  // Of the sockets: what open_sockets() has to know, also while the main thread uses them.
  struct OpenBefore {
    std::map<std::string, PassedSocket> sockets;  // by address; nullptr: our own
    PassedSockets passed;
  };

  void start();
  // Returns when this process is the one that serves.
  void take_over();
  void look();
  void reload();
  // On the main thread, until a reload has its outcome.
  void look_at_reload();
  void fail_reload(const std::string& error);
  // `record` is upgrade_record(), perhaps with figures.
  void begin_upgrade(Record record);
  // Each second.
  void look_at_memory();
  void upgrade_if_memory_leaks(std::uint64_t anonymous);
  void hand_over_sockets();
  // True: the new process serves from now on.
  bool upgraded();
  void fail_upgrade(const std::string& error);
  // ListeningSocket::share() for all sockets.
  void share(bool shared);
  // On a thread: changes nothing yet. Throws ConfigError, and whatever the system throws.
  std::unique_ptr<Prepared> prepare(const OpenBefore& before) const;
  void apply(Prepared made);
  // Reports files that root could read at start, but the daemon's user cannot read at a SIGHUP.
  void warn_of_unreadable_files() const;
  // Logs each option that the reload cannot change.
  void warn_of_restart(const DaemonSettings& settings) const;
  int drain();
  void wait_for_clients(Deadline deadline);
  std::vector<std::shared_ptr<ListeningSocket>> listening() const;
  std::shared_ptr<ListeningSocket> open_listener(const ListenerSettings& listener) const;
  // Opens it, unless it was handed over by the predecessor.
  std::shared_ptr<ListeningSocket> open_socket(const Destination& address,
                                               const ListenerOptions& settings) const;
  OpenSocket opener() const;
  std::unique_ptr<ControlSocket> make_control(const Settings& process) const;
  std::unique_ptr<MetricsEndpoint> make_metrics(const Settings& process) const;
  OpenBefore open_before() const;
  // Of those that are open already, only the place is there: nullptr.
  Sockets open_sockets(const DaemonSettings& settings, const OpenBefore& before) const;
  // Sockets that systemd passed, and that no listener uses: an error at start.
  void refuse_unused_sockets() const;
  void warn_of_unused_sockets() const;
  // Logs mode and owner of open sockets that are no longer as the options say.
  void warn_of_socket_options(const DaemonSettings& settings) const;
  // Opens again those whose file was removed or replaced.
  void restore_sockets();

  const std::vector<std::string> arguments_;  // read again at each SIGHUP
  DaemonSettings first_;                      // run() moves them into the Configuration
  Predecessor* const predecessor_;
  const Executable executable_;
  PassedSockets passed_;
  Sockets sockets_;
  Signals& signals_;
  std::unique_ptr<Running> running_;
  Clock::time_point next_look_;
  MemoryGrowth growth_;
  UnusedHeap heap_;
  std::optional<Successor> successor_;             // an upgrade has begun
  bool handed_over_ = false;                       // and has succeeded
  bool reload_later_ = false;                      // SIGHUP came during an upgrade
  std::future<std::unique_ptr<Prepared>> reload_;  // valid: a reload is being prepared
  Clock::time_point reload_is_slow_;               // from then on
  Clock::time_point reload_is_given_up_;
};

}  // namespace lmtpq::mailer
