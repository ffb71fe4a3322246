// Runs `lmtpq-milter --check`: the milter is another program, and only it can load its file.
#pragma once

#include <string>

#include "common/findings.h"

namespace lmtpq::mailer {

// `config` is that of lmtpq; `milter_config` empty: milter.conf in the same folder, if it exists.
// The milter prints what it finds; one more error says that there was any. It is looked for beside
// this program and in PREFIX/sbin; where it is not installed, a warning says that the file was not
// checked. Throws ConfigError where it cannot be run.
void check_milter(const std::string& config, const std::string& milter_config,
                  const std::string& user, Findings& findings);

}  // namespace lmtpq::mailer
