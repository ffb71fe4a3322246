#include "milter/policy/rule_parser.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "common/ascii.h"
#include "common/escape.h"

namespace lmtpq::milter {
namespace {

Quota parse_quota(std::string_view value) {
  const auto known = std::find(std::begin(kQuotaNames), std::end(kQuotaNames), std::string(value));
  if (known == std::end(kQuotaNames)) {
    throw ConfigError("expected ignore or honour");
  }
  return static_cast<Quota>(known - std::begin(kQuotaNames));
}

bool same_test(const RuleCondition& a, const RuleCondition& b) {
  return a.kind() == b.kind() && same_word(a.header_name(), b.header_name());
}

// An error of `parse` begins with the value.
template <typename Parse>
auto at_value(const FreeSection::Line& line, Parse parse) {
  return at_place('"' + escaped(line.value) + '"', parse);
}

// Parses one section.
class RuleParser {
 public:
  explicit RuleParser(const FreeSection& section)
      : section_(section), heading_("[rule." + section.name + "]") {
    rule_.name = section.name;
  }

  Rule parse() {
    for (const FreeSection::Line& line : section_.lines) {
      const std::string place = line.place + heading_ + ' ' + escaped(line.name);
      at_place(place, [&] { take(line); });
    }
    check();
    return std::move(rule_);
  }

 private:
  void take(const FreeSection::Line& line) {
    if (line.name == "quota") {
      once(quota_.has_value());
      quota_ = at_value(line, [&] { return parse_quota(line.value); });
    } else if (line.name == "over-quota") {
      once(rule_.over_quota.has_value());
      rule_.over_quota = at_value(line, [&] { return OverQuotaPolicy::parse(line.value); });
    } else if (line.name == "limit") {
      once(rule_.limit.has_value());
      rule_.limit = at_value(line, [&] { return Limit::parse(line.value); });
    } else {
      take_condition(line);
    }
  }

  void take_condition(const FreeSection::Line& line) {
    std::optional<RuleCondition> condition =
        at_value(line, [&] { return RuleCondition::parse(line.name, line.value); });
    if (!condition) {
      throw ConfigError("unknown key");
    }
    once(std::any_of(rule_.conditions.begin(), rule_.conditions.end(),
                     [&](const RuleCondition& other) { return same_test(other, *condition); }));
    rule_.conditions.push_back(std::move(*condition));
  }

  static void once(bool given) {
    if (given) {
      throw ConfigError("appears twice in the rule; keep one of them");
    }
  }

  void check() {
    const std::string place = section_.place + heading_ + ' ';
    if (!quota_) {
      throw ConfigError(place + "has no quota; add quota = ignore or quota = honour");
    }
    rule_.quota = *quota_;
    if (rule_.quota == Quota::kHonour && rule_.limit) {
      throw ConfigError(place + "has a limit, which needs quota = ignore");
    }
    if (rule_.quota == Quota::kIgnore && rule_.conditions.empty()) {
      throw ConfigError(place + "has no condition; write from = * to match every message");
    }
  }

  const FreeSection& section_;
  const std::string heading_;
  Rule rule_;
  std::optional<Quota> quota_;
};

}  // namespace

std::vector<std::string> rule_keys() {
  std::vector<std::string> keys;
  for (const std::string name : kConditionNames) {
    keys.push_back(name == "header" ? "header NAME" : name);
  }
  keys.insert(keys.end(), {"limit", "over-quota", "quota"});
  return keys;
}

std::vector<Rule> parse_rules(const std::vector<FreeSection>& sections, Findings* findings) {
  std::vector<Rule> rules;
  rules.reserve(sections.size());
  for (const FreeSection& section : sections) {
    attempt(findings, [&] { rules.push_back(RuleParser(section).parse()); });
  }
  return rules;
}

std::string Rule::summary() const {
  std::string text = kQuotaNames[static_cast<std::size_t>(quota)];
  std::string separator = ": ";
  for (const RuleCondition& condition : conditions) {
    text += std::exchange(separator, ", ") + condition.text();
  }
  if (limit) {
    text += std::exchange(separator, ", ") + "limit = " + limit->text();
  }
  if (over_quota) {
    text += std::exchange(separator, ", ") + "over-quota = " + over_quota->text();
  }
  return separator == ": " ? text + ": every message" : text;
}

}  // namespace lmtpq::milter
