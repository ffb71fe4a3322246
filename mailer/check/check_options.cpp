#include "mailer/check/check_options.h"

#include "common/escape.h"
#include "common/options/option_table.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kUsage =
    "usage: lmtpq check [--config FILE] [--user USER] [--milter-config FILE]\n"
    "       lmtpq check --cf FILE [--config FILE] [--milter-config FILE]\n"
    "       lmtpq check --queue DIR\n"
    "\n"
    "Checks the file of relay, deliver and serve, and that of lmtpq-milter, with all files that\n"
    "they name, as the user that will handle the mail. Connects to nothing. Prints each error and\n"
    "warning with file and line; exit status 78 if there is an error.\n"
    "\n"
    "With --cf it checks whether a sendmail.cf is complete for lmtpq, before Sendmail is "
    "restarted;\n"
    "with --queue it counts the messages that wait, and those with a tag: exit status 1 if any "
    "has.\n\n";

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
                       reader::text(options.milter_config))),
       argv_only(value("cf", "FILE", "",
                       "check this sendmail.cf: mailers, milter, flags, macros, and that mail for "
                       "local users has a mailer",
                       reader::text(options.cf))),
       argv_only(value("queue", "DIR", "",
                       "count the messages in this queue folder of Sendmail, and those with a tag",
                       reader::text(options.queue)))});
}

OptionReader reader_of(CheckOptions& options) {
  return OptionReader(option_table(options), {}, {"lmtpq check --help", "lmtpq(8)"});
}

void refuse_combination(const CheckOptions& options) {
  const bool own = options.cf.empty() && options.queue.empty();
  if (!options.cf.empty() && !options.queue.empty()) {
    throw ConfigError("--cf and --queue are two checks; run them one after the other");
  }
  if (!own && !options.user.empty()) {
    throw ConfigError(
        "--user has no effect on --cf and --queue: U= of the mailer counts; remove it");
  }
}

}  // namespace

CheckOptions read_check_options(const std::vector<std::string>& arguments) {
  CheckOptions options;
  OptionReader reader = reader_of(options);
  const std::vector<std::string> operands = reader.take_arguments(arguments);
  if (!operands.empty()) {
    throw ConfigError("unexpected argument " + escaped(operands[0]) + "; only options are allowed");
  }
  reader.apply();
  for (const char* const name : {"cf", "queue"}) {
    if (reader.named_in_arguments(name) && reader.argument_or_default(name).empty()) {
      throw ConfigError(std::string("--") + name + ": expected a path");
    }
  }
  options.config_named = reader.named_in_arguments("config");
  refuse_combination(options);
  return options;
}

HelpWish wished_check_help(const std::vector<std::string>& arguments) {
  CheckOptions options;
  return lmtpq::wished_help(arguments, [&] { return option_table(options); });
}

std::string check_help(HelpWish wish) {
  CheckOptions options;
  return kUsage + reader_of(options).help(wish);
}

}  // namespace lmtpq::mailer
