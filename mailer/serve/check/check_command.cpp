#include "mailer/serve/check/check_command.h"

#include <sysexits.h>
#include <unistd.h>

#include <cstdio>

#include "common/findings.h"
#include "common/privileges.h"
#include "mailer/check/check_options.h"
#include "mailer/serve/check/listening_check.h"
#include "mailer/serve/check/milter_check.h"
#include "mailer/serve/check/settings_check.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {
namespace {

enum class Listeners { kRequired, kOptional };

// First as the user that starts us, which opens the sockets, then as the one that handles the mail.
// `checked`: what the last line begins with.
void check(const std::vector<std::string>& arguments, Listeners listeners, Findings& findings,
           std::string& checked) {
  Findings found_again;
  const DaemonSettings first = load_daemon_settings(arguments, &found_again);
  checked = first.process.config_file + ": ";
  check_listening(first, findings);
  const std::string& user = first.process.user;
  if (!user.empty()) {
    at_place(first.process.places.of("user"), [&] { drop_privileges(user); });
  } else if (geteuid() == 0) {
    findings.warning(
        "checked as root, who can read everything; name the user that will run by "
        "--user: User= of the unit, U= of the mailer");
  }
  const DaemonSettings settings = load_daemon_settings(arguments, &findings);
  if (listeners == Listeners::kRequired) {
    findings.attempt([&] { require_listeners(settings); });
  }
  const std::size_t stores = check_settings(settings, findings);
  checked += "user " + user_name(geteuid()) + ", " + std::to_string(settings.listeners.size()) +
             " listeners, " + std::to_string(stores) + " stores, ";
}

int report(const std::vector<std::string>& arguments, Listeners listeners, Findings& findings) {
  std::string checked;
  findings.attempt([&] { check(arguments, listeners, findings, checked); });
  findings.print("lmtpq");
  std::printf("%s%s\n", checked.c_str(), findings.summary().c_str());
  return findings.errors() == 0 ? EX_OK : EX_CONFIG;
}

}  // namespace

int check_serve(const std::vector<std::string>& arguments) {
  Findings findings;
  return report(arguments, Listeners::kRequired, findings);
}

int check_all(const std::vector<std::string>& words) {
  const CheckOptions options = read_check_options(words);
  Findings findings;
  // Before this process changes to another user.
  findings.attempt(
      [&] { check_milter(options.config, options.milter_config, options.user, findings); });
  std::vector<std::string> arguments;
  if (options.config_named) {
    arguments.push_back("--config=" + options.config);
  } else if (access(options.config.c_str(), F_OK) != 0) {
    findings.warning(options.config + ": does not exist; the defaults are checked");
  }
  if (!options.user.empty()) {
    arguments.push_back("--user=" + options.user);
  }
  return report(arguments, Listeners::kOptional, findings);
}

}  // namespace lmtpq::mailer
