#include "milter/policy/rule.h"

#include <algorithm>
#include <utility>

namespace lmtpq::milter {

const Condition* Rule::mismatch(const MessageFacts& message,
                                const RecipientFacts& recipient) const {
  for (const Condition& condition : conditions) {
    if (!condition.holds(message, recipient)) {
      return &condition;
    }
  }
  return nullptr;
}

std::string Rule::summary() const {
  std::string text = kQuotaNames[static_cast<std::size_t>(quota)];
  std::string separator = ": ";
  for (const Condition& condition : conditions) {
    text += std::exchange(separator, ", ") + condition.text();
  }
  if (limit) {
    text += std::exchange(separator, ", ") + "limit = " + limit->text();
  }
  return conditions.empty() && !limit ? text + ": every message" : text;
}

bool Rule::anyone_can_match() const {
  return quota == Quota::kIgnore &&
         std::all_of(conditions.begin(), conditions.end(),
                     [](const Condition& condition) { return condition.forgeable(); });
}

}  // namespace lmtpq::milter
