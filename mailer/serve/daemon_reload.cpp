// SIGHUP: the daemon loads its configuration again.

#include <time.h>

#include <exception>
#include <utility>

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
  try {
    load();
  } catch (const std::exception& error) {
    running_->counters.reloaded(false);
    running_->log.error(Record("reload-failed")
                            .add("error", error.what())
                            .add("effect", "previous configuration kept"));
  }
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

// Whatever can fail comes before the new configuration is set.
void Daemon::load() {
  Running& running = *running_;
  DaemonSettings settings = load_daemon_settings(arguments_);
  read_secrets(settings);
  Sockets sockets = open_sockets(settings);
  refuse_new_directory(settings, running.current.get()->settings());
  const auto previous = running.current.get();
  const auto configuration = std::make_shared<Configuration>(std::move(settings), running.pools,
                                                             running.log, previous.get());
  const Settings& process = configuration->settings().process;
  const ServeSettings& before = previous->settings().process.serve;
  const bool new_control = process.serve.control != before.control;
  const bool new_metrics = process.serve.metrics != before.metrics;
  auto control = new_control ? make_control(process) : nullptr;
  auto metrics = new_metrics ? make_metrics(process) : nullptr;
  configuration->take_effect();
  running.current.set(configuration);
  signals_->set_drain(process.serve.drain);
  running.log.set_level(process.log_level);
  running.mailboxes.set_limit(process.serve.mailbox_limit);
  if (new_control) {
    running.control.swap(control);
  }
  if (new_metrics) {
    running.metrics.swap(metrics);
  }
  sockets_.swap(sockets);
  running.limits.take_over();
  running.acceptor->use(listening());
  running.counters.reloaded(true);
  warn_of_restart(configuration->settings());
  warn_of_unused_sockets();
  running.logged = log_reload(*configuration, running.pools, running.logged, running.log);
  warn_of_daemon_settings(configuration->settings(), running.log);
}

}  // namespace lmtpq::mailer
