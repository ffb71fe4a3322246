#include "mailer/serve/daemon.h"

#include <signal.h>
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

constexpr std::chrono::seconds kGrace{5};  // to log and answer messages whose connections were cut

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGHUP, SIGTERM, SIGINT}) {
    sigaddset(&set, number);
  }
  return set;
}

// The next of our signals; 0: none came in this time.
int next_signal(timespec time) {
  const sigset_t set = our_signals();
  const int number = sigtimedwait(&set, nullptr, &time);
  return number > 0 ? number : 0;
}

void require_writable(const Settings& process) {
  if (process.log.starts_with('/') && eaccess(process.log.c_str(), W_OK) != 0) {
    throw ConfigError(process.places.of("log") + ": \"" + process.log +
                      "\": " + std::strerror(errno) +
                      "; let the daemon's user write it, or name another file");
  }
}

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
      parts{
          current, clients, pools, mailboxes, memory, counters, std::chrono::system_clock::now()} {
  require_writable(settings.process);
  current.set(std::make_shared<Configuration>(std::move(settings), pools, log));
}

Daemon::Daemon(std::vector<std::string> arguments, DaemonSettings settings)
    : arguments_(std::move(arguments)),
      first_(std::move(settings)),
      passed_(PassedSockets::take()),
      sockets_(open_sockets(first_, {}, passed_)) {
  read_secrets(first_);
  const sigset_t set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Daemon::~Daemon() = default;

Daemon::Sockets Daemon::open_sockets(const DaemonSettings& settings, const Sockets& open,
                                     PassedSockets& passed) {
  Sockets made;
  for (const ListenerSettings& listener : settings.listeners) {
    const std::string& address = listener.address.text;
    const auto old = open.find(address);
    if (old != open.end()) {
      made[address] = old->second;
    } else if (Descriptor socket = passed.find(listener); socket.valid()) {
      made[address] = std::make_shared<ListeningSocket>(listener.address, std::move(socket));
    } else {
      made[address] =
          std::make_shared<ListeningSocket>(listener.address, listener.settings.serve.listener);
    }
  }
  return made;
}

std::vector<std::shared_ptr<ListeningSocket>> Daemon::listening() const {
  std::vector<std::shared_ptr<ListeningSocket>> made;
  for (const auto& [address, socket] : sockets_) {
    made.push_back(socket);
  }
  return made;
}

int Daemon::run() {
  start();
  for (;;) {
    switch (next_signal({1, 0})) {
      case 0:
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
  for (const std::string& name : passed_.left()) {
    running.log.warning(
        Record("socket-unused")
            .add("socket", name)
            .add("effect", "clients that connect to it wait")
            .add("remedy", "add a [listener.NAME] with this address, or remove the socket unit"));
  }
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

// Until all have left, the deadline, or a second signal.
void Daemon::wait_for_clients(Deadline deadline) {
  bool ended = running_->clients.wait(Clock::now());
  while (!ended && Clock::now() < deadline) {
    notify_service_manager("WATCHDOG=1");
    ended =
        running_->clients.wait(std::min(deadline, Clock::now() + std::chrono::milliseconds(200)));
    const int number = next_signal({0, 0});
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
    // They do not read their replies, or something blocks their deliveries.
    running.log.warning(record.add("effect", "remaining clients get no reply; possible duplicate"));
  }
  return ended ? EX_OK : EX_TEMPFAIL;
}

}  // namespace lmtpq::mailer
