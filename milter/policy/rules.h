// The rules as they stand in the configuration file.
//
// What it is: `[rule.NAME]` sections to Rules.
// What it does not know: files (config), what a condition's value means (condition, limiter).
// Called by: settings.
// Threads and lifetimes: a pure function.
// Failure: ConfigError: "FILE:LINE: [rule.NAME] ...", with what was expected.
#pragma once

#include <vector>

#include "common/config/config.h"
#include "milter/policy/policy.h"

namespace lmtpq::milter {

std::vector<Rule> parse_rules(const std::vector<FreeSection>& sections);

}  // namespace lmtpq::milter
