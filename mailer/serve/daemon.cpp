#include "mailer/serve/daemon.h"

#include <signal.h>
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

constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::milliseconds kUpgradeTick{10};

}  // namespace

FixedOptions fixed_options(const Settings& process) {
  return {{"user", process.user},
          {"log", process.log},
          {"threads", std::to_string(process.serve.threads)}};
}

Daemon::Running::Running(DaemonSettings settings)
    : fixed(fixed_options(settings.process)),
      log("lmtpq", settings.process.log, settings.process.log_level),
      memory(memory_limit(settings.process.serve)),
      mailboxes(settings.process.serve.mailbox_limit),
      pools(log, counters),
      clients(current, log, {&mailboxes, &counters, &memory}, settings.process.serve.threads),
      limits(current, pools, clients, memory, log),
      parts{current,     clients,  pools, mailboxes,
            memory,      counters, log,   std::chrono::system_clock::now(),
            Clock::now()} {
  require_writable_log(settings.process);
  const auto configuration = std::make_shared<Configuration>(std::move(settings), pools, log);
  configuration->take_effect();
  current.set(configuration);
}

Daemon::Daemon(std::vector<std::string> arguments, DaemonSettings settings,
               Predecessor* predecessor, Signals& signals)
    : arguments_(std::move(arguments)),
      first_(std::move(settings)),
      predecessor_(predecessor),
      signals_(signals) {
  read_secrets(first_);  // what can fail comes before any socket is touched
  passed_ =
      PassedSockets::take(predecessor_ != nullptr ? predecessor_->passed() : passed_descriptors());
  require_descriptors(first_);
  sockets_ = open_sockets(first_, open_before());
  if (predecessor_ == nullptr) {
    refuse_unused_sockets();
  } else {
    growth_ = MemoryGrowth(predecessor_->memory_upgrade_not_before());
  }
}

Daemon::~Daemon() = default;

int Daemon::run() {
  try {
    start();
  } catch (...) {
    if (running_) {
      running_->log.flush();  // since main() destroys nothing
    }
    throw;
  }
  for (;;) {
    const auto which = reload_.valid() ? Signals::Which::kStop : Signals::Which::kAll;
    const int number = signals_.next(successor_ ? kUpgradeTick : kTick, which);
    if (number == SIGTERM || (successor_ && upgraded())) {
      return drain();
    }
    if (number == SIGHUP) {
      reload();
    } else if (number == SIGUSR2) {
      begin_upgrade(upgrade_record("signal"));
    }
    if (reload_.valid()) {
      look_at_reload();
    }
    if (Clock::now() >= next_look_) {
      next_look_ = Clock::now() + kTick;
      look();
    }
  }
}

void Daemon::look() {
  restore_sockets();
  running_->limits.look();
  look_at_memory();
  beat_service_manager("STATUS=" + std::to_string(running_->clients.count()) +
                       " clients\nWATCHDOG=1");
}

void Daemon::start() {
  running_ = std::make_unique<Running>(std::move(first_));
  Running& running = *running_;
  signals_.set_log(running.log);
  const auto configuration = running.current.get();
  const Settings& process = configuration->settings().process;
  warn_of_daemon_settings(configuration->settings(), running.log);
  if (!process.user.empty()) {
    warn_of_unreadable_files();
  }
  running.control = make_control(process);
  running.metrics = make_metrics(process);
  running.limits.take_over();
  running.acceptor.emplace(running.clients, running.log);
  running.janitor.emplace(running.pools);
  if (predecessor_ != nullptr) {
    take_over();
  }
  running.acceptor->use(listening());
  running.logged = log_start(*configuration, running.pools, running.log);
  signals_.set_drain(process.serve.drain);
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
  int signals_left = handed_over_ ? 2 : 1;
  while (!ended && Clock::now() < deadline) {
    beat_service_manager(handed_over_ ? "" : "WATCHDOG=1");
    ended =
        running_->clients.wait(std::min(deadline, Clock::now() + std::chrono::milliseconds(200)));
    if (signals_.next(std::chrono::milliseconds(0)) == SIGTERM && --signals_left == 0) {
      return;
    }
  }
}

int Daemon::drain() {
  Running& running = *running_;
  successor_.reset();  // ends a process that is not ready yet
  reload_ = {};        // what it has made, or will have made, is closed
  if (handed_over_) {
    signals_.end_without_signal();
    running_->janitor->keep_no_idle();  // the new process needs their places at the stores
  } else {
    share(false);
    notify_service_manager("STOPPING=1");
  }
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
  signals_.set_status(answered ? EX_OK : EX_TEMPFAIL);
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
