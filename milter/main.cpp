// Chooses the task, reads the settings, opens the socket as root, gives up privileges, goes into
// the background, serves; and catches what must not escape. Mistakes are told on standard error and
// in the log, and end the program with EX_CONFIG.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>

#include "common/log.h"
#include "common/privileges.h"
#include "common/tag/keyring.h"
#include "milter/callbacks.h"
#include "milter/daemon.h"
#include "milter/explain.h"
#include "milter/settings.h"
#include "milter/signals.h"
#include "milter/socket_name.h"

namespace lmtpq::milter {
namespace {

constexpr const char* kProgram = "lmtpq-milter";
constexpr const char* kVersion = LMTPQ_VERSION;

using Words = std::vector<std::string>;

long long count_of(std::size_t number) { return static_cast<long long>(number); }

void log_rules(const Configuration& configuration, const Log& log) {
  for (const Rule& rule : configuration.policy.rules()) {
    log.info(Record().add("event", "rule").add("rule", rule.name).add("reads", rule.summary()));
    if (rule.anyone_can_match()) {
      log.warning(Record()
                      .add("event", "rule")
                      .add("rule", rule.name)
                      .add("warning", "anyone can match it, and fill mailboxes beyond their quota")
                      .add("remedy", "add client, auth or tls-subject"));
    }
  }
  if (configuration.keys.empty()) {
    log.warning(Record()
                    .add("event", "keys")
                    .add("warning", "no keys: no tag is written, every quota is honoured")
                    .add("remedy", "lmtpq keygen > /etc/lmtpq/tag.keys, mode 600"));
  }
}

void log_start(const Loaded& loaded, const Log& log) {
  Record record;
  record.add("event", "start").add("version", kVersion);
  for (const auto& [name, text] : loaded.effective) {
    record.add(name, text);
  }
  log.info(record.add("keys", count_of(loaded.configuration->keys.keys().size())));
  log_rules(*loaded.configuration, log);
  if (open_to_network(SocketName::parse(loaded.settings.socket))) {
    log.warning(Record()
                    .add("event", "socket")
                    .add("socket", loaded.settings.socket)
                    .add("warning", "other hosts may connect, and whoever does gets tags signed")
                    .add("remedy", "unix:PATH, or inet:PORT@127.0.0.1, or a firewall"));
  }
}

// What root could read at start, the user that we became must read on SIGHUP.
void warn_of_reload(const Words& arguments, const Settings& settings, const Log& log) {
  try {
    load(arguments);
  } catch (const std::exception& error) {
    log.warning(Record()
                    .add("event", "reload")
                    .add("warning", "SIGHUP will fail, for this user")
                    .add("user", settings.user)
                    .add("error", error.what())
                    .add("remedy", "let its group read the file: chgrp, chmod 640"));
  }
}

void warn_of_fixed(const Settings& running, const Settings& fresh, const Log& log) {
  const struct {
    const char* name;
    bool changed;
  } fixed[] = {{"socket", running.socket != fresh.socket},
               {"user", running.user != fresh.user},
               {"pid-file", running.pid_file != fresh.pid_file},
               {"log", running.log != fresh.log},
               {"log-level", running.log_level != fresh.log_level}};
  for (const auto& [name, changed] : fixed) {
    if (changed) {
      log.warning(Record()
                      .add("event", "reload")
                      .add("option", name)
                      .add("warning", "its change takes a restart"));
    }
  }
}

void report_reload(const char* mistake, const Log& log) noexcept {
  try {
    log.error(Record()
                  .add("event", "reload-failed")
                  .add("error", mistake)
                  .add("effect", "all stays as it was"));
  } catch (const std::exception&) {
    // No memory for the line either: the milter goes on with what it has.
  }
}

void reload(const Words& arguments, const Settings& running, Service& service) noexcept {
  const Log& log = service.log();
  bool replaced = false;
  try {
    log.reopen();
    const Loaded fresh = load(arguments);
    service.replace(fresh.configuration);
    replaced = true;
    log.info(Record()
                 .add("event", "reload")
                 .add("rules", count_of(fresh.configuration->policy.rules().size()))
                 .add("keys", count_of(fresh.configuration->keys.keys().size())));
    warn_of_fixed(running, fresh.settings, log);
    log_rules(*fresh.configuration, log);
  } catch (const std::exception& error) {
    if (!replaced) {
      report_reload(error.what(), log);
    }
  }
}

void wake(const SocketName& socket) noexcept {
  try {
    knock(socket);
  } catch (const std::exception&) {
    // It then stops some seconds later.
  }
}

// Sendmail tells of a message in a dozen pieces. Woken by each of them, we would take its processor
// a dozen times; a batch process waits until the piece that Sendmail awaits the answer to, and
// reads all of them at once. That halves what a message costs us (docs/PERFORMANCE.md).
void let_others_go_first() {
  const sched_param none{};
  sched_setscheduler(0, SCHED_BATCH, &none);
}

// A start that fails leaves no socket behind.
struct OpenSocket {
  explicit OpenSocket(const std::string& name) { open_socket(name); }
  ~OpenSocket() { remove_socket(); }
  OpenSocket(const OpenSocket&) = delete;
  OpenSocket& operator=(const OpenSocket&) = delete;
};

// A descriptor for each of Sendmail's sessions; without one libmilter spins.
void allow_many_sessions() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int serve(const Words& arguments, const Loaded& loaded) {
  const Settings& settings = loaded.settings;
  const SocketName socket = SocketName::parse(settings.socket);
  signal(SIGPIPE, SIG_IGN);
  block_signals();
  PidFile pid_file(settings.pid_file);
  const OpenSocket open(settings.socket);
  hand_over(socket, settings.user);
  drop_privileges(settings.user);
  forbid_core_dumps();  // also for keys that a reload brings
  const Launch launch = settings.foreground ? Launch::in_foreground() : Launch::into_background();
  let_others_go_first();
  allow_many_sessions();
  const Log log(kProgram, settings.log, settings.log_level);
  Service service(loaded.configuration, log);
  log_start(loaded, log);
  if (!settings.user.empty()) {
    warn_of_reload(arguments, settings, log);
  }
  pid_file.write();
  launch.ready(settings.log == "stderr");
  start_hangup_thread([&] { reload(arguments, settings, service); }, [&] { wake(socket); });
  const bool stopped = lmtpq::milter::serve(service) || stopped_by() != 0;
  pid_file.remove();
  if (stopped) {
    log.info(Record().add("event", "stop").add("signal", stopped_by() == SIGINT ? "INT" : "TERM"));
  } else {
    log.error(Record().add("event", "stop").add("error", "libmilter gave up; see syslog"));
  }
  // libmilter's threads go on until the process ends, and use what is here: nothing is destroyed.
  _exit(stopped ? EX_OK : EX_SOFTWARE);
}

int check(const Loaded& loaded) {
  for (const Rule& rule : loaded.configuration->policy.rules()) {
    if (rule.anyone_can_match()) {
      std::printf("%s: warning: rule %s: anyone can match it; add client, auth or tls-subject\n",
                  loaded.settings.config_file.c_str(), rule.name.c_str());
    }
  }
  if (loaded.configuration->keys.empty()) {
    std::printf("%s: warning: no keys: no tag is written, every quota is honoured\n",
                loaded.settings.config_file.c_str());
  }
  std::printf("%s: %zu rules, %zu keys, ok\n", loaded.settings.config_file.c_str(),
              loaded.configuration->policy.rules().size(),
              loaded.configuration->keys.keys().size());
  return EX_OK;
}

int run_explain(const Loaded& loaded) {
  try {
    explain(loaded, std::cin, std::cout, time(nullptr));
    return EX_OK;
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "%s: %s\n", kProgram, error.what());
    return EX_USAGE;
  }
}

// Only who was to serve tells the log: the others have somebody who reads standard error.
void report(const char* mistake, const Words& arguments) {
  std::fprintf(stderr, "%s: %s\n", kProgram, mistake);
  const bool asked = std::any_of(arguments.begin(), arguments.end(), [](const std::string& word) {
    return word == "--check" || word == "--explain";
  });
  if (!asked) {
    Log(kProgram, "syslog", LogLevel::kInfo)
        .error(Record().add("event", "not-started").add("error", mistake));
  }
}

// SIGHUP reads the file again, and the working directory is another one then.
void make_absolute(const Settings& settings, Words& arguments) {
  if (!settings.config_file.starts_with('/')) {
    arguments.insert(std::find(arguments.begin(), arguments.end(), "--"),
                     "--config=" + std::filesystem::absolute(settings.config_file).string());
  }
}

int run(Words arguments) {
  try {
    const Loaded loaded = load(arguments);
    make_absolute(loaded.settings, arguments);
    switch (loaded.settings.task) {
      case Task::kCheck:
        return check(loaded);
      case Task::kExplain:
        return run_explain(loaded);
      case Task::kServe:
        break;
    }
    return serve(arguments, loaded);
  } catch (const std::exception& error) {
    report(error.what(), arguments);
    return EX_CONFIG;
  }
}

// Started without them, a socket or the pid file would get their numbers, and what is written
// there.
void fill_standard_descriptors() {
  int descriptor = 0;
  do {
    descriptor = open("/dev/null", O_RDWR);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor >= 0) {
    close(descriptor);
  }
}

}  // namespace
}  // namespace lmtpq::milter

int main(int argc, char** argv) {
  lmtpq::milter::fill_standard_descriptors();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto asked = [&](const char* word) {
    return std::find(arguments.begin(), arguments.end(), word) != arguments.end();
  };
  if (asked("--help")) {
    std::fputs(lmtpq::milter::help().c_str(), stdout);
    return EX_OK;
  }
  if (asked("--version")) {
    std::printf("%s %s\n", lmtpq::milter::kProgram, lmtpq::milter::kVersion);
    return EX_OK;
  }
  return lmtpq::milter::run(arguments);
}
