// What the daemon consists of while it runs. Private to the daemon*.cpp.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "mailer/serve/configuration/settings_log.h"
#include "mailer/serve/daemon.h"
#include "mailer/serve/limits/resource_limits.h"
#include "mailer/serve/listeners/acceptor.h"
#include "mailer/serve/listeners/clients.h"
#include "mailer/serve/metrics/metrics_endpoint.h"
#include "mailer/serve/pools/pool_janitor.h"
#include "mailer/serve/status/control_socket.h"

namespace lmtpq::mailer {

// What is read only at start, by the names of the options.
using FixedOptions = std::map<std::string, std::string>;
FixedOptions fixed_options(const Settings& process);

// A change that a SIGHUP does not apply.
Record restart_needed(const std::string& option);

// Of the line that a new process was started: signal, replaced, memory.
Record upgrade_record(const char* reason);

// The parts that run, in the order in which they are made.
struct Daemon::Running {
  explicit Running(DaemonSettings settings);

  const FixedOptions fixed;
  Log log;
  CounterRegistry counters;
  MemoryBudget memory;
  MailboxLimiter mailboxes;
  PoolRegistry pools;
  CurrentConfiguration current;
  Clients clients;
  ResourceLimits limits;
  const DaemonParts parts;
  std::unique_ptr<ControlSocket> control;
  std::unique_ptr<MetricsEndpoint> metrics;  // nullptr: none is wanted
  std::optional<Acceptor> acceptor;
  std::optional<PoolJanitor> janitor;
  LoggedSettings logged;
};

struct Daemon::Prepared {
  std::shared_ptr<Configuration> configuration;
  Sockets sockets;
  bool new_control = false;
  bool new_metrics = false;
  std::unique_ptr<ControlSocket> control;
  std::unique_ptr<MetricsEndpoint> metrics;
};

}  // namespace lmtpq::mailer
