#include "mailer/serve/daemon.h"

#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "mailer/serve/running_daemon.h"
#include "mailer/serve/systemd/service_manager.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
namespace {

// To answer messages whose connections to the stores were cut, and then to log those whose clients
// do not read the answer.
constexpr std::chrono::seconds kGrace{5};
constexpr std::chrono::seconds kLogGrace{5};

// The log makes the file with its first line.
bool can_write(const std::string& file) {
  if (eaccess(file.c_str(), W_OK) == 0) {
    return true;
  }
  const std::string folder = file.substr(0, file.rfind('/') + 1);
  return errno == ENOENT && eaccess(folder.c_str(), W_OK | X_OK) == 0;
}

void require_writable(const Settings& process) {
  if (process.log.starts_with('/') && !can_write(process.log)) {
    throw ConfigError(process.places.of("log") + ": \"" + process.log +
                      "\": " + std::strerror(errno) +
                      "; let the daemon's user write it, or name another file");
  }
}

}  // namespace

FixedOptions fixed_options(const Settings& process) {
  return {{"user", process.user},
          {"log", process.log},
          {"threads", std::to_string(process.serve.threads)}};
}

std::unique_ptr<ControlSocket> make_control(const Settings& process, const DaemonParts& parts) {
  return at_place(process.places.of("control"), [&] {
    return std::make_unique<ControlSocket>(parts, process.serve.control, parts.log);
  });
}

std::unique_ptr<MetricsEndpoint> make_metrics(const Settings& process, const DaemonParts& parts) {
  const std::string& address = process.serve.metrics;
  return at_place(process.places.of("metrics"), [&] {
    return address.empty() ? nullptr : std::make_unique<MetricsEndpoint>(address, parts);
  });
}

Daemon::Running::Running(DaemonSettings settings)
    : fixed(fixed_options(settings.process)),
      log("lmtpq", settings.process.log, settings.process.log_level),
      memory(memory_limit(settings.process.serve)),
      mailboxes(settings.process.serve.mailbox_limit),
      pools(log, counters),
      clients(current, log, {&mailboxes, &counters, &memory}, settings.process.serve.threads),
      limits(current, pools, clients, memory, log),
      parts{current, clients,  pools, mailboxes,
            memory,  counters, log,   std::chrono::system_clock::now()} {
  require_writable(settings.process);
  const auto configuration = std::make_shared<Configuration>(std::move(settings), pools, log);
  configuration->take_effect();
  current.set(configuration);
}

Daemon::Daemon(std::vector<std::string> arguments, DaemonSettings settings)
    : arguments_(std::move(arguments)), first_(std::move(settings)) {
  read_secrets(first_);  // what can fail comes before any socket is touched
  passed_ = PassedSockets::take();
  sockets_ = open_sockets(first_);
  refuse_unused_sockets();
  Signals::block();
}

Daemon::~Daemon() = default;

int Daemon::run() {
  signals_.emplace(first_.process.serve.drain);
  try {
    start();
  } catch (...) {
    if (running_) {
      running_->log.flush();  // since main() destroys nothing
    }
    throw;
  }
  for (;;) {
    switch (signals_->next(std::chrono::seconds(1))) {
      case 0:
        restore_sockets();
        running_->limits.look();
        notify_service_manager("STATUS=" + std::to_string(running_->clients.count()) +
                               " clients\nWATCHDOG=1");
        break;
      case SIGHUP:
        reload();
        break;
      default:
        return drain();
    }
  }
}

void Daemon::start() {
  running_ = std::make_unique<Running>(std::move(first_));
  Running& running = *running_;
  signals_->set_log(running.log);
  const auto configuration = running.current.get();
  const Settings& process = configuration->settings().process;
  warn_of_daemon_settings(configuration->settings(), running.log);
  if (!process.user.empty()) {
    warn_of_unreadable_files();
  }
  running.control = make_control(process, running.parts);
  running.metrics = make_metrics(process, running.parts);
  running.limits.take_over();
  running.acceptor.emplace(running.clients, running.log);
  running.janitor.emplace(running.pools);
  running.acceptor->use(listening());
  running.logged = log_start(*configuration, running.pools, running.log);
  notify_service_manager("READY=1");
}

void Daemon::abandon() {
  sockets_.clear();
  if (running_ && running_->control) {
    running_->control->stop();
  }
}

// Until all have left, the deadline, or a second signal.
void Daemon::wait_for_clients(Deadline deadline) {
  bool ended = running_->clients.wait(Clock::now());
  while (!ended && Clock::now() < deadline) {
    notify_service_manager("WATCHDOG=1");
    ended =
        running_->clients.wait(std::min(deadline, Clock::now() + std::chrono::milliseconds(200)));
    const int number = signals_->next(std::chrono::milliseconds(0));
    if (number == SIGTERM || number == SIGINT) {
      return;
    }
  }
}

int Daemon::drain() {
  Running& running = *running_;
  notify_service_manager("STOPPING=1");
  const Deadline deadline = Clock::now() + running.current.get()->settings().process.serve.drain;
  // Closed at once: new clients must not wait for us, and the next daemon may listen there.
  running.acceptor->use({});
  sockets_.clear();
  passed_ = PassedSockets();
  running.clients.drain();
  const auto number_of_clients = [&] { return static_cast<long long>(running.clients.count()); };
  running.log.info(Record("draining").add("clients", number_of_clients()));
  wait_for_clients(deadline);
  bool ended = running.clients.wait(Clock::now());
  if (!ended) {
    running.log.warning(Record("closing-clients")
                            .add("clients", number_of_clients())
                            .add("effect", "messages in progress are deferred"));
    running.clients.cut();
    running.pools.cut();
    ended = running.clients.wait(Clock::now() + kGrace);
  }
  const bool answered = ended;
  if (!answered) {
    running.clients.disconnect();
    ended = running.clients.wait(Clock::now() + kLogGrace);
  }
  signals_->set_status(answered ? EX_OK : EX_TEMPFAIL);
  for (const auto& pool : running.pools.all()) {
    pool->close_idle();
  }
  running.control->stop();
  running.metrics.reset();
  Record record("stopped");
  record.add("clients", number_of_clients());
  if (ended) {
    running.log.info(record);
  } else {
    // Something blocks their deliveries.
    running.log.warning(record.add("effect", "remaining clients get no reply; possible duplicate"));
  }
  running.log.flush();
  return answered ? EX_OK : EX_TEMPFAIL;
}

}  // namespace lmtpq::mailer
