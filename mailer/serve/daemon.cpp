#include "daemon.h"

#include <signal.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <exception>
#include <utility>

#include "acceptor.h"
#include "keeper.h"

namespace lmtpq {
namespace {

constexpr std::chrono::seconds kGrace{5};  // for what was cut to be logged and answered

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGHUP, SIGTERM, SIGINT}) {
    sigaddset(&set, number);
  }
  return set;
}

// The next of our signals; 0: none came within a second.
int next_signal() {
  const sigset_t set = our_signals();
  const timespec second{1, 0};
  const int number = sigtimedwait(&set, nullptr, &second);
  return number > 0 ? number : 0;
}

void notify_reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", microseconds);
}

std::vector<std::shared_ptr<ListeningSocket>> listed(const Daemon::Sockets& sockets) {
  std::vector<std::shared_ptr<ListeningSocket>> made;
  for (const auto& [address, socket] : sockets) {
    made.push_back(socket);
  }
  return made;
}

void read_all_secrets(DaemonSettings& settings) {
  for (Listener& listener : settings.listeners) {
    read_secrets(Command::kServe, listener.settings);
  }
}

}  // namespace

// What runs, in the order in which it is made.
struct Daemon::Running {
  Running(const Log& the_log, DaemonSettings settings)
      : log(the_log),
        mailboxes(settings.process.serve.mailbox_limit),
        book(log, meter),
        clients(present, log, {&mailboxes, &meter}, settings.process.serve.threads) {
    present.set(std::make_shared<Site>(std::move(settings), book));
  }

  void reload(Daemon& daemon, Acceptor& acceptor);
  int drain(Acceptor& acceptor);

  const Log& log;
  Meter meter;
  MailboxLimiter mailboxes;
  PoolBook book;
  PresentSite present;
  Clients clients;
};

Daemon::Daemon(std::vector<std::string> arguments, DaemonSettings settings)
    : arguments_(std::move(arguments)),
      first_(std::move(settings)),
      passed_(PassedSockets::take()),
      sockets_(open_sockets(first_, {}, passed_)) {
  read_all_secrets(first_);
  const sigset_t set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Daemon::Sockets Daemon::open_sockets(const DaemonSettings& settings, const Sockets& open,
                                     PassedSockets& passed) {
  Sockets made;
  for (const Listener& listener : settings.listeners) {
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

int Daemon::run(const Log& log) {
  Running& running = *new Running(log, std::move(first_));  // see the header: never destroyed
  for (const std::string& name : passed_.left()) {
    log.warning(Record().add("passed", name).add("effect", "no listener has this address"));
  }
  Acceptor& acceptor = *new Acceptor(running.clients, log);
  new Keeper(running.book);
  acceptor.use(listed(sockets_));
  log.info(
      Record().add("event", "serving").add("listeners", static_cast<long long>(sockets_.size())));
  sd_notify(0, "READY=1");
  for (;;) {
    switch (next_signal()) {
      case 0:
        sd_notifyf(0, "STATUS=%zu clients\nWATCHDOG=1", running.clients.count());
        break;
      case SIGHUP:
        running.reload(*this, acceptor);
        break;
      default:
        return running.drain(acceptor);
    }
  }
}

void Daemon::Running::reload(Daemon& daemon, Acceptor& acceptor) {
  notify_reloading();
  log.reopen();
  try {
    DaemonSettings settings = configure_daemon(daemon.arguments_);
    read_all_secrets(settings);
    Sockets sockets = open_sockets(settings, daemon.sockets_, daemon.passed_);
    present.set(std::make_shared<Site>(std::move(settings), book));
    acceptor.use(listed(sockets));
    daemon.sockets_.swap(sockets);
    log.info(Record()
                 .add("event", "reloaded")
                 .add("listeners", static_cast<long long>(daemon.sockets_.size())));
  } catch (const std::exception& error) {
    log.error(Record()
                  .add("event", "reload")
                  .add("error", error.what())
                  .add("effect", "all stays as it was"));
  }
  sd_notify(0, "READY=1");
}

int Daemon::Running::drain(Acceptor& acceptor) {
  sd_notify(0, "STOPPING=1");
  const Clock::time_point start = Clock::now();
  const Deadline deadline = start + present.get()->settings().process.serve.drain;
  acceptor.use({});
  clients.drain();
  log.info(
      Record().add("event", "draining").add("clients", static_cast<long long>(clients.count())));
  bool ended = clients.wait(Clock::now());
  while (!ended && Clock::now() < deadline) {
    ended = clients.wait(std::min(deadline, Clock::now() + std::chrono::milliseconds(200)));
    const sigset_t set = our_signals();
    const timespec now{};
    const int number = sigtimedwait(&set, nullptr, &now);
    if (number == SIGTERM || number == SIGINT) {
      break;
    }
  }
  if (!ended) {
    log.warning(Record()
                    .add("event", "cutting")
                    .add("clients", static_cast<long long>(clients.count()))
                    .add("effect", "messages under way are deferred"));
    clients.cut();
    for (const auto& pool : book.all()) {
      pool->cut();
    }
    ended = clients.wait(Clock::now() + kGrace);
  }
  for (const auto& pool : book.all()) {
    pool->drop_idle();
  }
  log.info(
      Record().add("event", "stopped").add("clients", static_cast<long long>(clients.count())));
  return ended ? EX_OK : EX_TEMPFAIL;
}

}  // namespace lmtpq
