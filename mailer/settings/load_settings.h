// Loads the settings of a command from the defaults, the configuration file and the command line.
//
// All commands begin here. Throws ConfigError with the option or the file's line, and the remedy.
// Used once at the start; the daemon does so again at each SIGHUP, by one thread at a time. Secrets
// are read later (secrets.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// Returns the operands that are not destinations.
std::vector<std::string> load_settings(Command command, const std::vector<std::string>& arguments,
                                       Settings& settings);

// One address where the daemon listens.
struct ListenerSettings {
  std::string name;  // of its section; empty: it comes from --listen
  Destination address;
  std::string place;  // "FILE:LINE: [listener.NAME]", or that of --listen
  Settings settings;  // for the mail that is received there
};
// "[listener.NAME] (FILE:LINE)", or "--listen".
std::string name_of(const ListenerSettings& listener);

struct DaemonSettings {
  Settings process;  // for all listeners
  std::vector<ListenerSettings> listeners;
  Secret directory_password;  // for routes from LDAP
  // What [destination.NAME] sections are for.
  std::vector<Destination> in_sections;
  // A store that only a route names, with its settings and without its secrets. Throws ConfigError.
  std::function<Store(const Destination&)> store_for;
  // The same, and nothing is checked.
  std::function<Store(const Destination&)> options_for;
};
// With `findings` the errors go there, and what is wrong is left out.
DaemonSettings load_daemon_settings(const std::vector<std::string>& arguments,
                                    Findings* findings = nullptr);
// Throws ConfigError where there is none: what a daemon cannot be without.
void require_listeners(const DaemonSettings& settings);
// Whether the client waits longer than the store may take. Throws ConfigError.
void check_timeouts(const DaemonSettings& settings, const Store& store);

// Throws ConfigError where this process's user cannot write the log's file.
void require_writable_log(const Settings& settings);

// Warns of settings that are valid and will make mail wait one day.
void warn_of_daemon_settings(const DaemonSettings& settings, const Log& log);

void warn_of_spool(const Settings& settings, const Log& log);
// Warns of stores that no section fits although one is for another port of the same host: likely a
// typo, which leaves the store with less TLS than intended.
void warn_of_sections(const Settings& settings, const Log& log);

}  // namespace lmtpq::mailer
