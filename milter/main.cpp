// lmtpq-milter: chooses the task, and turns errors into messages and exit codes.

#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "common/findings.h"
#include "common/log/log.h"
#include "common/network/unix_socket.h"
#include "common/open_file.h"
#include "common/privileges.h"
#include "common/process/daemon_signals.h"
#include "common/process/standard_output.h"
#include "common/shortage.h"
#include "common/version.h"
#include "milter/daemon.h"
#include "milter/explain.h"
#include "milter/libmilter_callbacks.h"
#include "milter/load_configuration.h"
#include "milter/process/signals.h"
#include "milter/process/socket_name.h"

namespace lmtpq::milter {
namespace {

constexpr const char* kProgram = "lmtpq-milter";

using Words = std::vector<std::string>;

bool contains(const Words& words, const char* word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// As the user that starts the milter.
void check_start(const Settings& settings, Findings& findings) {
  const SocketName socket = SocketName::parse(settings.socket);
  findings.attempt([&] {
    at_place(settings.places.of("socket"), [&] {
      socket.family == AF_UNIX ? check_socket_place(socket.path) : check_address(socket);
    });
  });
  if (!settings.pid_file.empty()) {
    findings.attempt([&] {
      at_place(settings.places.of("pid-file"), [&] { check_lock_place(settings.pid_file); });
    });
  }
}

void become_user(const Settings& settings, Findings& findings) {
  if (!settings.user.empty()) {
    at_place(settings.places.of("user"), [&] { drop_privileges(settings.user); });
  } else if (geteuid() == 0) {
    findings.warning(
        "checked as root, who can read everything; name the user that will run by --user: User= of "
        "the unit");
  }
}

void warn_of_policy(const Configuration& configuration, const std::string& file,
                    Findings& findings) {
  for (const Rule& rule : configuration.policy.rules()) {
    if (rule.anyone_can_match()) {
      findings.warning(file + ": rule " + rule.name +
                       ": anyone can match it; add client, auth or tls-subject");
    }
  }
  if (configuration.policy.rules().empty() && findings.errors() == 0) {
    findings.warning(file + ": no rules: every quota is honoured");
  }
  if (configuration.keys.empty() && findings.errors() == 0) {
    findings.warning(file + ": no keys: no tag is written, every quota is honoured");
  }
}

// `checked`: what the last line begins with.
void check(const Words& arguments, Findings& findings, std::string& checked) {
  Findings found_again;
  const LoadedConfiguration first = load_configuration(arguments, &found_again);
  checked = first.settings.config_file + ": ";
  check_start(first.settings, findings);
  become_user(first.settings, findings);
  const LoadedConfiguration loaded = load_configuration(arguments, &findings);
  findings.attempt([&] {
    at_place(loaded.settings.places.of("log"), [&] { require_writable(loaded.settings.log); });
  });
  const std::string& file = loaded.settings.config_file;
  const Configuration& configuration = *loaded.configuration;
  warn_of_policy(configuration, file, findings);
  checked += "user " + user_name(geteuid()) + ", " +
             std::to_string(configuration.policy.rules().size()) + " rules, " +
             std::to_string(configuration.keys.keys().size()) + " keys, ";
}

// As the user that will run the milter, to which it changes for good: whether a start with these
// arguments would succeed, and a reload later. One last line says what was found.
int check(const Words& arguments) {
  Findings findings;
  std::string checked;
  findings.attempt([&] { check(arguments, findings, checked); });
  findings.print(kProgram);
  std::printf("%s%s\n", checked.c_str(), findings.summary().c_str());
  return findings.errors() == 0 ? EX_OK : EX_CONFIG;
}

int run_explain(const LoadedConfiguration& loaded) {
  try {
    explain(loaded, std::cin, std::cout, time(nullptr));
    return EX_OK;
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "%s: %s\n", kProgram, error.what());
    return EX_USAGE;
  }
}

// --check and --explain are run by a person, who reads standard error; a failed start is logged.
void report(const char* error, const Words& arguments) {
  std::fprintf(stderr, "%s: %s\n", kProgram, error);
  if (!contains(arguments, "--check") && !contains(arguments, "--explain")) {
    Log(kProgram, "syslog", LogLevel::kInfo).error(Record("not-started").add("error", error));
  }
}

// On SIGHUP the file is read again, from another working directory.
void make_config_path_absolute(const Settings& settings, Words& arguments) {
  if (!settings.config_file.starts_with('/')) {
    arguments.insert(std::find(arguments.begin(), arguments.end(), "--"),
                     "--config=" + std::filesystem::absolute(settings.config_file).string());
  }
}

LoadedConfiguration load_to_start(const Words& arguments) {
  const StartGuard guard;
  return load_configuration(arguments);
}

// A signal that came before a daemon can handle it waits. What a person starts ends at once.
int run(Words arguments) {
  try {
    if (contains(arguments, "--check")) {
      unblock_daemon_signals();
      return check(arguments);
    }
    const LoadedConfiguration loaded = load_to_start(arguments);
    make_config_path_absolute(loaded.settings, arguments);
    switch (loaded.settings.task) {
      case Task::kCheck:
        unblock_daemon_signals();
        return check(arguments);
      case Task::kExplain:
        unblock_daemon_signals();
        return run_explain(loaded);
      case Task::kServe:
        break;
    }
    run_daemon(arguments, loaded);
  } catch (const ConfigError& error) {
    report(error.what(), arguments);
    return EX_CONFIG;
  } catch (const std::exception& error) {
    report(shortage_text(error).c_str(), arguments);
    return EX_TEMPFAIL;
  }
}

int run_program(const Words& arguments) {
  fill_standard_descriptors();
  if (const HelpWish wish = wished_help(arguments); wish != HelpWish::kNone) {
    std::fputs(help(wish).c_str(), stdout);
    return EX_OK;
  }
  if (contains(arguments, "--version")) {
    std::printf("%s %s\nwith: libmilter %s\n", kProgram, kVersion, libmilter_version().c_str());
    return EX_OK;
  }
  return run(arguments);
}

}  // namespace
}  // namespace lmtpq::milter

int main(int argc, char** argv) {
  lmtpq::block_daemon_signals();
  const int status = lmtpq::milter::run_program({argv + 1, argv + argc});
  const bool written = static_cast<bool>(std::cout.flush());
  return lmtpq::status_of_output("lmtpq-milter", written || status != EX_OK ? status : EX_IOERR);
}
