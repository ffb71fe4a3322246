#include "mailer/serve/daemon.h"

#include <sysexits.h>

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

}  // namespace

FixedOptions fixed_options(const Settings& process) {
  const ServeSettings& serve = process.serve;
  return {{"user", process.user},
          {"log", process.log},
          {"log-level", std::to_string(static_cast<int>(process.log_level))},
          {"threads", std::to_string(serve.threads)},
          {"mailbox-limit", std::to_string(serve.mailbox_limit)},
          {"control", serve.control},
          {"metrics", serve.metrics}};
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
  require_writable_log(settings.process);
  current.set(std::make_shared<Configuration>(std::move(settings), pools, log));
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
  at_place(process.places.of("control"),
           [&] { running.control.emplace(running.parts, process.serve.control, running.log); });
  if (!process.serve.metrics.empty()) {
    at_place(process.places.of("metrics"),
             [&] { running.metrics.emplace(process.serve.metrics, running.parts); });
  }
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
