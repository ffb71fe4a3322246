#include "mailer/serve/check/check_command.h"

#include <sysexits.h>
#include <unistd.h>

#include <cstdio>

#include "common/findings.h"
#include "common/options/option_table.h"
#include "common/privileges.h"
#include "mailer/serve/check/listening_check.h"
#include "mailer/serve/check/milter_check.h"
#include "mailer/serve/check/settings_check.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kUsage =
    "usage: lmtpq check [--config FILE] [--user USER] [--milter-config FILE]\n"
    "\n"
    "Checks the file of relay, deliver and serve, and that of lmtpq-milter, with all files that\n"
    "they name, as the user that will handle the mail. Connects to nothing. Prints each error and\n"
    "warning with file and line; exit status 78 if there is an error.\n\n";

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

struct CheckOptions {
  std::string config, user, milter_config;
};

OptionTable option_table(CheckOptions& options) {
  return under(
      "The check",
      {argv_only(value("config", "FILE", kDefaultConfigFile, "the file of relay, deliver and serve",
                       reader::text(options.config))),
       argv_only(value("user", "USER", "",
                       "read everything as this user; default: `user` of the file, otherwise the "
                       "user that runs the check",
                       reader::text(options.user))),
       argv_only(value("milter-config", "FILE", "",
                       "the file of lmtpq-milter, which is checked as the `user` that it names, "
                       "otherwise as USER; default: milter.conf in the folder of --config, if it "
                       "exists",
                       reader::text(options.milter_config)))});
}

int check_files(const OptionReader& reader, const CheckOptions& options) {
  Findings findings;
  // Before this process changes to another user.
  findings.attempt(
      [&] { check_milter(options.config, options.milter_config, options.user, findings); });
  std::vector<std::string> arguments;
  if (reader.named_in_arguments("config")) {
    arguments.push_back("--config=" + options.config);
  } else if (access(options.config.c_str(), F_OK) != 0) {
    findings.warning(options.config + ": does not exist; the defaults are checked");
  }
  if (!options.user.empty()) {
    arguments.push_back("--user=" + options.user);
  }
  return report(arguments, Listeners::kOptional, findings);
}

}  // namespace

int check_serve(const std::vector<std::string>& arguments) {
  Findings findings;
  return report(arguments, Listeners::kRequired, findings);
}

int check_all(const std::vector<std::string>& arguments) {
  CheckOptions options;
  OptionReader reader(option_table(options), {}, {"lmtpq check --help", "lmtpq(8)"});
  const auto wish = lmtpq::wished_help(arguments, [&] { return option_table(options); });
  if (wish != HelpWish::kNone) {
    std::printf("%s%s", kUsage, reader.help(wish).c_str());
    return EX_OK;
  }
  if (!arguments.empty() && arguments[0] == "--version") {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  const std::vector<std::string> operands = reader.take_arguments(arguments);
  if (!operands.empty()) {
    throw ConfigError("unexpected argument " + escaped(operands[0]) + "; only options are allowed");
  }
  reader.apply();
  return check_files(reader, options);
}

}  // namespace lmtpq::mailer
