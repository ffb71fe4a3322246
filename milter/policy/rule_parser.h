// Reads the rules from the [rule.NAME] sections of the configuration file.
//
// Throws ConfigError: "FILE:LINE: [rule.NAME] ...", with what was expected.
#pragma once

#include <vector>

#include "common/options/option_reader.h"
#include "milter/policy/rule.h"

namespace lmtpq::milter {

// The keys that a section may have.
std::vector<std::string> rule_keys();

// With `findings` the errors go there, and their rules are left out.
std::vector<Rule> parse_rules(const std::vector<FreeSection>& sections,
                              Findings* findings = nullptr);

}  // namespace lmtpq::milter
