// The options of `lmtpq check`, for lmtpq, which checks Sendmail's files itself, and for
// lmtpq-serve, which checks ours.
#pragma once

#include <string>
#include <vector>

#include "common/options/option_reader.h"

namespace lmtpq::mailer {

struct CheckOptions {
  std::string config, user, milter_config;
  std::string cf, queue;      // empty: not asked for
  bool config_named = false;  // the command line has --config
};

// Throws ConfigError.
CheckOptions read_check_options(const std::vector<std::string>& arguments);

HelpWish wished_check_help(const std::vector<std::string>& arguments);
std::string check_help(HelpWish wish);

}  // namespace lmtpq::mailer
