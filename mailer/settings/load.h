// From argv and the file to Settings that can be used.
//
// What it is: what all subcommands do first: the settings, their check, the secrets that they name,
//   and what is worth a warning.
// What it does not know: subcommands' work, privileges (main gives them up in between).
// Called by: both programs' main.
// Threads and lifetimes: once at start; the daemon again at each SIGHUP, in its main thread.
// Failure: ConfigError with the option or the file's line, and the remedy.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// Defaults, then the file, then argv; returns the operands that are no destinations.
std::vector<std::string> configure(Command command, const std::vector<std::string>& arguments,
                                   Settings& settings);

// One door of the daemon.
struct ListenerSettings {
  std::string name;  // of its section; empty: --listen's
  Destination address;
  Settings settings;  // what is done with the mail that comes in there
};
struct DaemonSettings {
  Settings process;  // what is set for all
  std::vector<ListenerSettings> listeners;
  Secret directory_password;  // of the map of routes
  // A store that only a map of routes names, with its login; ConfigError: it cannot be had.
  std::function<Store(const Destination&)> store_for;
};
DaemonSettings configure_daemon(const std::vector<std::string>& arguments);

// Before root's rights are given up, if we have them: the files may be root's alone. True when
// there were any.
bool read_secrets(Command command, Settings& settings);
void read_secrets(DaemonSettings& settings);

void warn_of_spool(const Settings& settings, const Log& log);
// Of a slip that would leave a store with less TLS than was meant.
void warn_of_sections(const Settings& settings, const Log& log);
// What root can read here the mailer may not.
void check_config_file(const Settings& settings);

}  // namespace lmtpq::mailer
