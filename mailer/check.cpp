// lmtpq check: checks Sendmail's files. Ours are checked by lmtpq-serve.

#include <sysexits.h>

#include <cstdio>

#include "common/open_file.h"
#include "mailer/check/cf_check.h"
#include "mailer/check/check_options.h"
#include "mailer/check/queue_check.h"
#include "mailer/commands.h"
#include "mailer/settings/build_features.h"

namespace lmtpq::mailer {
namespace {

std::optional<int> run(const std::vector<std::string>& arguments) {
  if (const HelpWish wish = wished_check_help(arguments); wish != HelpWish::kNone) {
    std::fputs(check_help(wish).c_str(), stdout);
    return EX_OK;
  }
  if (!arguments.empty() && arguments[0] == "--version") {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  const CheckOptions options = read_check_options(arguments);
  if (!options.cf.empty()) {
    const std::string milter_config = options.milter_config.empty()
                                          ? folder_of(options.config) + "/milter.conf"
                                          : options.milter_config;
    return check_cf({options.cf, options.config, milter_config});
  }
  return options.queue.empty() ? std::nullopt : std::optional(check_queue(options.queue));
}

}  // namespace

std::optional<int> run_check(const std::vector<std::string>& arguments) {
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lmtpq: %s\n", error.what());
    return EX_CONFIG;
  }
}

}  // namespace lmtpq::mailer
