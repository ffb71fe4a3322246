#include "mailer/serve/daemon.h"

#include <signal.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <exception>
#include <utility>

#include "mailer/serve/configuration/config_log.h"
#include "mailer/serve/listeners/acceptor.h"
#include "mailer/serve/observe/control_socket.h"
#include "mailer/serve/observe/metrics.h"
#include "mailer/serve/pools/pool_janitor.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
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

// What is no mistake, and will make mail wait one day.
void warn(const DaemonSettings& settings, const Log& log) {
  warn_of_spool(settings.process, log);
  for (const Listener& listener : settings.listeners) {
    warn_of_sections(listener.settings, log);
  }
}

// libldap must be begun with before there are threads.
void refuse_new_directory(const DaemonSettings& now, const DaemonSettings& before) {
  if (before.process.routes.directory.uris.empty() && !now.process.routes.directory.uris.empty()) {
    throw ConfigError("route-ldap: a directory is asked only after a restart");
  }
}

// What root could read at start, the user that we became must read on SIGHUP.
void warn_of_reload(const std::vector<std::string>& arguments, const Log& log) {
  try {
    DaemonSettings settings = load_daemon_settings(arguments);
    read_secrets(settings);
  } catch (const std::exception& error) {
    log.warning(Record("reload")
                    .add("warning", "SIGHUP will fail, for this user")
                    .add("error", error.what())
                    .add("remedy", "let its group read the file: chgrp, chmod 640"));
  }
}

}  // namespace

// What runs, in the order in which it is made.
struct Daemon::Running {
  Running(const Log& the_log, DaemonSettings settings)
      : log(the_log),
        mailboxes(settings.process.serve.mailbox_limit),
        book(log, meter),
        clients(present, log, {&mailboxes, &meter}, settings.process.serve.threads),
        watched{present, clients, book, mailboxes, meter, std::chrono::system_clock::now()} {
    present.set(std::make_shared<Configuration>(std::move(settings), book, log));
  }

  void reload(Daemon& daemon, Acceptor& acceptor);
  int drain(Daemon& daemon, Acceptor& acceptor, ControlSocket& watch);

  const Log& log;
  CounterRegistry meter;
  MailboxLimiter mailboxes;
  PoolRegistry book;
  CurrentConfiguration present;
  Clients clients;
  const DaemonParts watched;
  Announced announced;
};

Daemon::Daemon(std::vector<std::string> arguments, DaemonSettings settings)
    : arguments_(std::move(arguments)),
      first_(std::move(settings)),
      passed_(PassedSockets::take()),
      sockets_(open_sockets(first_, {}, passed_)) {
  read_secrets(first_);
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
    log.warning(
        Record("socket-unused").add("passed", name).add("effect", "no listener has this address"));
  }
  const Settings& process = running.present.get()->settings().process;
  warn(running.present.get()->settings(), log);
  if (!process.user.empty()) {
    warn_of_reload(arguments_, log);
  }
  ControlSocket& watch = *new ControlSocket(running.watched, process.serve.control, log);
  if (!process.serve.metrics.empty()) {
    new Endpoint(process.serve.metrics, running.watched);
  }
  Acceptor& acceptor = *new Acceptor(running.clients, log);
  new PoolJanitor(running.book);
  acceptor.use(listed(sockets_));
  running.announced = announce_start(*running.present.get(), running.book, log);
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
        return running.drain(*this, acceptor, watch);
    }
  }
}

void Daemon::Running::reload(Daemon& daemon, Acceptor& acceptor) {
  notify_reloading();
  log.reopen();
  try {
    DaemonSettings settings = load_daemon_settings(daemon.arguments_);
    read_secrets(settings);
    Sockets sockets = open_sockets(settings, daemon.sockets_, daemon.passed_);
    refuse_new_directory(settings, present.get()->settings());
    present.set(std::make_shared<Configuration>(std::move(settings), book, log));
    acceptor.use(listed(sockets));
    daemon.sockets_.swap(sockets);
    meter.reloaded(true);
    announced = announce_reload(*present.get(), book, announced, log);
    warn(present.get()->settings(), log);
  } catch (const std::exception& error) {
    meter.reloaded(false);
    log.error(Record("reload").add("error", error.what()).add("effect", "all stays as it was"));
  }
  sd_notify(0, "READY=1");
}

int Daemon::Running::drain(Daemon& daemon, Acceptor& acceptor, ControlSocket& watch) {
  sd_notify(0, "STOPPING=1");
  const Clock::time_point start = Clock::now();
  const Deadline deadline = start + present.get()->settings().process.serve.drain;
  // Closed at once: who dials now must not wait for us, and the next daemon may listen there.
  acceptor.use({});
  daemon.sockets_.clear();
  clients.drain();
  log.info(Record("draining").add("clients", static_cast<long long>(clients.count())));
  bool ended = clients.wait(Clock::now());
  while (!ended && Clock::now() < deadline) {
    sd_notify(0, "WATCHDOG=1");
    ended = clients.wait(std::min(deadline, Clock::now() + std::chrono::milliseconds(200)));
    const sigset_t set = our_signals();
    const timespec now{};
    const int number = sigtimedwait(&set, nullptr, &now);
    if (number == SIGTERM || number == SIGINT) {
      break;
    }
  }
  if (!ended) {
    log.warning(Record("cutting")
                    .add("clients", static_cast<long long>(clients.count()))
                    .add("effect", "messages under way are deferred"));
    clients.cut();
    book.cut();
    ended = clients.wait(Clock::now() + kGrace);
  }
  for (const auto& pool : book.all()) {
    pool->close_idle();
  }
  watch.stop();
  Record record("stopped");
  record.add("clients", static_cast<long long>(clients.count()));
  if (ended) {
    log.info(record);
  } else {
    // They do not take what they are told, or something holds up their deliveries.
    log.warning(record.add("effect", "who is left is told nothing: possible duplicate"));
  }
  return ended ? EX_OK : EX_TEMPFAIL;
}

}  // namespace lmtpq::mailer
