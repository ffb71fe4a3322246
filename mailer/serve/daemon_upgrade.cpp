// An upgrade: a new process takes over the sockets, without a moment in which nobody listens.
//
// 1. The daemon starts the program that is now at its path (Successor), and sends it copies of all
//    sockets, of their lock files, and of the sockets that systemd passed.
// 2. The new process loads its configuration and makes all its parts. Whatever fails ends it, and
//    the daemon goes on: nothing has changed.
// 3. When it is ready, the daemon stops accepting; clients wait in the sockets' queues. It tells
//    systemd the new main process, and tells that process to serve.
// 4. The daemon drains as after SIGTERM, but leaves the sockets' files alone.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "mailer/serve/daemon.h"
#include "mailer/serve/running_daemon.h"
#include "mailer/serve/systemd/service_manager.h"
#include "mailer/serve/upgrade/upgrade_message.h"

namespace lmtpq::mailer {
namespace {

std::string octal(mode_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%o", mode);
  return text;
}

void notify_main_process(pid_t pid) { notify_service_manager("MAINPID=" + std::to_string(pid)); }

}  // namespace

Record upgrade_record(const char* reason) { return Record("upgrade").add("reason", reason); }

void Daemon::begin_upgrade(Record record) {
  const Log& log = running_->log;
  if (successor_) {
    log.warning(Record("upgrade-ignored").add("effect", "the upgrade in progress goes on"));
    return;
  }
  share(true);
  try {
    if (getpid() == 1) {
      throw std::runtime_error("process 1 cannot be replaced; restart the container");
    }
    successor_.emplace(executable_, arguments_);
    hand_over_sockets();
    log.info(record.add("program", executable_.path())
                 .add("new-pid", static_cast<long long>(successor_->pid())));
  } catch (const std::exception& error) {
    fail_upgrade(error.what());
  }
}

void Daemon::look_at_memory() {
  const std::uint64_t anonymous = anonymous_memory();
  if (heap_.grew(unused_memory(anonymous), Clock::now())) {
    trim_heap();
  }
  upgrade_if_memory_leaks(anonymous);
}

void Daemon::upgrade_if_memory_leaks(std::uint64_t anonymous) {
  const MemoryBudget& memory = running_->memory;
  const auto configuration = running_->current.get();
  const auto rule = memory_growth_rule(configuration->settings().process.serve, memory.limit());
  const std::uint64_t used = memory.used();
  if (!successor_ && !reload_.valid() &&
      growth_.exceeds(anonymous - std::min(anonymous, used), rule, Clock::now())) {
    begin_upgrade(upgrade_record("memory")
                      .add("anonymous", static_cast<long long>(anonymous))
                      .add("used", static_cast<long long>(used))
                      .add("limit", static_cast<long long>(rule.most)));
  }
}

void Daemon::share(bool shared) {
  for (const auto& [address, socket] : sockets_) {
    socket->share(shared);
  }
  running_->control->share(shared);
  if (running_->metrics) {
    running_->metrics->socket().share(shared);
  }
}

void Daemon::hand_over_sockets() {
  const auto hand = [this](const ListeningSocket& socket) {
    successor_->send(
        {upgrade_words::kSocket, socket.address().text, octal(socket.mode()), socket.owner()},
        socket.numbers());
  };
  for (const PassedSockets::Passed& passed : passed_.all()) {
    successor_->send({upgrade_words::kPassed, passed.name}, {passed.socket->number()});
  }
  for (const auto& [address, socket] : sockets_) {
    if (!socket->passed()) {
      hand(*socket);
    }
  }
  if (running_->control->socket() != nullptr) {
    hand(*running_->control->socket());
  }
  if (running_->metrics) {
    hand(running_->metrics->socket());
  }
  const auto not_before = std::chrono::floor<std::chrono::seconds>(growth_.not_before());
  successor_->send(
      {upgrade_words::kNotBefore, std::to_string(not_before.time_since_epoch().count())});
  successor_->send({upgrade_words::kAll});
}

bool Daemon::upgraded() {
  switch (successor_->look()) {
    case Successor::State::kStarting:
      return false;
    case Successor::State::kFailed:
      fail_upgrade(successor_->failure());
      return false;
    case Successor::State::kReady:
      break;
  }
  const pid_t pid = successor_->pid();
  running_->acceptor->use({});
  notify_main_process(pid);
  if (!successor_->release()) {
    notify_main_process(getpid());
    running_->acceptor->use(listening());
    fail_upgrade("the new process ended before it began to serve");
    return false;
  }
  handed_over_ = true;
  running_->control->stop();
  running_->metrics.reset();
  running_->log.info(Record("upgraded")
                         .add("new-pid", static_cast<long long>(pid))
                         .add("effect", "this process ends when its clients have left"));
  if (reload_later_) {
    kill(pid, SIGHUP);  // it may have read its files before the change
  }
  return true;
}

void Daemon::fail_upgrade(const std::string& error) {
  successor_.reset();
  share(false);
  running_->counters.reloaded(false);
  running_->log.error(Record("upgrade-failed")
                          .add("program", executable_.path())
                          .add("error", error)
                          .add("effect", "this process goes on; nothing changed"));
  notify_service_manager("READY=1");
  if (std::exchange(reload_later_, false)) {
    reload();
  }
}

void Daemon::take_over() {
  predecessor_->wait_for_go();
  share(false);
  warn_of_socket_options(running_->current.get()->settings());
  warn_of_unused_sockets();
  for (HandedSocket& handed : predecessor_->left()) {
    const std::string text = handed.address;
    try {
      ListeningSocket(parse_destination(text), std::move(handed)).share(false);
    } catch (const std::exception&) {
      // Its files stay; nobody listens there any more.
    }
  }
}

}  // namespace lmtpq::mailer
