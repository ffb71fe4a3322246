// SIGHUP: the daemon loads its configuration again.
//
// A thread prepares all that can fail or block, and has no part of what the main thread uses. A
// SIGTERM does not wait for it. Another SIGHUP or SIGUSR2 does: Signals keeps them. A reload that
// is not ready in kMost is given up, so that they have their effect; its thread may hang forever.

#include <time.h>

#include <exception>
#include <thread>
#include <utility>

#include "common/config_error.h"

#include "mailer/serve/daemon.h"
#include "mailer/serve/running_daemon.h"
#include "mailer/serve/systemd/service_manager.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
namespace {

void notify_reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  notify_service_manager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

constexpr std::chrono::seconds kSlow{10};
constexpr std::chrono::seconds kMost{30};

// libldap must be initialized before there are threads.
void refuse_new_directory(const DaemonSettings& now, const DaemonSettings& before) {
  if (before.process.routes.directory.uris.empty() && !now.process.routes.directory.uris.empty()) {
    throw ConfigError(now.process.places.of("route-ldap") +
                      ": restart the daemon to begin with an LDAP directory");
  }
}

}  // namespace

Record restart_needed(const std::string& option) {
  return Record("restart-needed")
      .add("option", option)
      .add("effect", "the change takes effect after a restart");
}

void Daemon::warn_of_unreadable_files() const {
  try {
    DaemonSettings settings = load_daemon_settings(arguments_);
    require_listeners(settings);
    read_secrets(settings);
  } catch (const std::exception& error) {
    running_->log.warning(
        Record("reload-will-fail")
            .add("user", running_->current.get()->settings().process.user)
            .add("error", error.what())
            .add("remedy", "let the user's group read the file: chgrp, chmod 640"));
  }
}

void Daemon::reload() {
  if (successor_) {
    reload_later_ = true;
    return;
  }
  notify_reloading();
  running_->log.reopen();
  if (executable_.replaced()) {
    begin_upgrade(upgrade_record("replaced"));
    return;
  }
  std::packaged_task<std::unique_ptr<Prepared>()> task(
      [this, before = open_before()] { return prepare(before); });
  auto made = task.get_future();
  try {
    std::thread([this, task = std::move(task)]() mutable {
      task();
      signals_.wake();
    }).detach();
    reload_ = std::move(made);
    reload_is_slow_ = Clock::now() + kSlow;
    reload_is_given_up_ = Clock::now() + kMost;
  } catch (const std::system_error& error) {
    fail_reload(error.what());
  }
}

void Daemon::look_at_reload() {
  if (reload_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (Clock::now() >= reload_is_slow_) {
      reload_is_slow_ = Clock::time_point::max();
      running_->log.warning(
          Record("reload-slow")
              .add("effect", "previous configuration in use; another SIGHUP or SIGUSR2 waits")
              .add("remedy", "see whether the DNS and the disks of the files answer"));
    }
    if (Clock::now() >= reload_is_given_up_) {
      reload_ = {};  // what its thread will have made, if it ever ends, is closed
      fail_reload("not ready after " + std::to_string(kMost.count()) +
                  " s; see whether the DNS and the disks of the files answer, and reload again");
    }
    return;
  }
  try {
    apply(std::move(*reload_.get()));
    notify_service_manager("READY=1");
  } catch (const std::exception& error) {
    fail_reload(error.what());
  }
}

void Daemon::fail_reload(const std::string& error) {
  running_->counters.reloaded(false);
  running_->log.error(
      Record("reload-failed").add("error", error).add("effect", "previous configuration kept"));
  notify_service_manager("READY=1");
}

void Daemon::warn_of_restart(const DaemonSettings& settings) const {
  const Running& running = *running_;
  const FixedOptions wanted = fixed_options(settings.process);
  for (const auto& [option, value] : running.fixed) {
    if (wanted.at(option) != value) {
      running.log.warning(restart_needed(option));
    }
  }
  warn_of_socket_options(settings);
}

// The same as at a start. Files and sockets last: a socket is in others' sight.
std::unique_ptr<Daemon::Prepared> Daemon::prepare(const OpenBefore& before) const {
  const Running& running = *running_;
  DaemonSettings settings = load_daemon_settings(arguments_);
  require_listeners(settings);
  read_secrets(settings);
  const auto previous = running.current.get();
  refuse_new_directory(settings, previous->settings());
  if (settings.process.log != running.fixed.at("log")) {
    require_writable_log(settings.process);
  }
  auto made = std::make_unique<Prepared>();
  made->configuration = std::make_shared<Configuration>(std::move(settings), running_->pools,
                                                        running.log, previous.get());
  const Settings& process = made->configuration->settings().process;
  const ServeSettings& former = previous->settings().process.serve;
  made->sockets = open_sockets(made->configuration->settings(), before);
  made->new_control = process.serve.control != former.control;
  made->new_metrics = process.serve.metrics != former.metrics;
  made->control = made->new_control ? make_control(process) : nullptr;
  made->metrics = made->new_metrics ? make_metrics(process) : nullptr;
  warn_of_daemon_settings(made->configuration->settings(), running.log);
  return made;
}

void Daemon::apply(Prepared made) {
  Running& running = *running_;
  const Settings& process = made.configuration->settings().process;
  for (auto& [address, socket] : made.sockets) {
    socket = socket ? socket : sockets_.at(address);
  }
  made.configuration->take_effect();
  running.current.set(made.configuration);
  signals_.set_drain(process.serve.drain);
  running.log.set_level(process.log_level);
  running.mailboxes.set_limit(process.serve.mailbox_limit);
  if (made.new_control) {
    running.control.swap(made.control);
  }
  if (made.new_metrics) {
    running.metrics.swap(made.metrics);
  }
  sockets_.swap(made.sockets);
  running.limits.take_over();
  running.acceptor->use(listening());
  running.counters.reloaded(true);
  warn_of_restart(made.configuration->settings());
  warn_of_unused_sockets();
  running.logged = log_reload(*made.configuration, running.pools, running.logged, running.log);
  trim_heap();  // of the configuration before
}

}  // namespace lmtpq::mailer
