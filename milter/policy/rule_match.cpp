// Whether a rule matches a message and a recipient (declared in rule.h).

#include "milter/policy/rule.h"

#include <algorithm>

namespace lmtpq::milter {

const RuleCondition* Rule::mismatch(const MessageFacts& message,
                                    const RecipientFacts& recipient) const {
  for (const RuleCondition& condition : conditions) {
    if (!condition.holds(message, recipient)) {
      return &condition;
    }
  }
  return nullptr;
}

bool Rule::anyone_can_match() const {
  return quota == Quota::kIgnore &&
         std::all_of(conditions.begin(), conditions.end(),
                     [](const RuleCondition& condition) { return condition.forgeable(); });
}

}  // namespace lmtpq::milter
