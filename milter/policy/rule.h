// One rule: its conditions, what it decides about the quota, and its limit.
//
// The limit is for mail that ignores the quota; the over-quota policy holds beyond it too.
// Immutable once read from its section (rule_parser.h); used from several threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/tag/over_quota_policy.h"
#include "milter/policy/limiter.h"
#include "milter/policy/message_facts.h"
#include "milter/policy/rule_condition.h"

namespace lmtpq::milter {

enum class Quota { kHonour, kIgnore };
inline constexpr const char* kQuotaNames[] = {"honour", "ignore"};

struct Rule {
  std::string name;
  Quota quota = Quota::kHonour;
  std::optional<OverQuotaPolicy> over_quota;  // none: the mailer's options decide
  std::optional<Limit> limit;
  std::vector<RuleCondition> conditions;

  // The first condition that does not hold; nullptr: the rule matches.
  const RuleCondition* mismatch(const MessageFacts& message, const RecipientFacts& recipient) const;
  // "ignore: client = 192.0.2.1, limit = 100/hour, over-quota = refuse", for the log at start.
  std::string summary() const;
  // The rule ignores the quota, and no condition proves who the client is.
  bool anyone_can_match() const;
};

}  // namespace lmtpq::milter
