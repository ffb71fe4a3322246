#include "milter/policy/policy.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/ascii.h"

namespace lmtpq::milter {
namespace {

// A rule whose conditions on the message hold. Only those on the recipient are left, so that a
// message with thousands of recipients does not evaluate every rule and header for each of them.
struct Candidate {
  const Rule* rule;
  std::vector<const RuleCondition*> of_recipient;  // not evaluated yet
  bool used = false;                               // it decides for a recipient
  bool over_limit = false;

  bool holds(const MessageFacts& message, const RecipientFacts& recipient) const {
    return std::all_of(
        of_recipient.begin(), of_recipient.end(),
        [&](const RuleCondition* condition) { return condition->holds(message, recipient); });
  }
};

// Nothing: the rule matches for no recipient of this message.
std::optional<Candidate> candidate(const Rule& rule, const MessageFacts& message) {
  Candidate made{&rule, {}};
  for (const RuleCondition& condition : rule.conditions) {
    if (condition.kind() == ConditionKind::kRcpt) {
      made.of_recipient.push_back(&condition);
    } else if (!condition.holds(message, {})) {
      return std::nullopt;
    }
  }
  return made;
}

std::vector<Candidate> candidates(const std::vector<Rule>& rules, const MessageFacts& message) {
  std::vector<Candidate> made;
  for (const Rule& rule : rules) {
    std::optional<Candidate> next = candidate(rule, message);
    if (!next) {
      continue;
    }
    made.push_back(std::move(*next));
    // This rule matches every recipient: later rules are never reached.
    if (made.back().of_recipient.empty()) {
      break;
    }
  }
  return made;
}

const Candidate* first_match(std::vector<Candidate>& rules, const MessageFacts& message,
                             const RecipientFacts& recipient) {
  for (Candidate& rule : rules) {
    if (rule.holds(message, recipient)) {
      rule.used = true;
      return &rule;
    }
  }
  return nullptr;
}

// Counts the message once for each rule that lets any recipient ignore the quota.
void count(std::vector<Candidate>& rules, const MessageFacts& message, Limiter& limiter,
           Limiter::Time now) {
  for (Candidate& candidate : rules) {
    const Rule& rule = *candidate.rule;
    if (candidate.used && rule.quota == Quota::kIgnore && rule.limit) {
      candidate.over_limit = !limiter.take(rule.name, limited_sender(message), *rule.limit, now);
    }
  }
}

Decision decision_by(const Candidate& candidate) {
  if (candidate.over_limit) {
    return {Quota::kHonour, Why::kOverLimit, candidate.rule};
  }
  return {candidate.rule->quota, Why::kRule, candidate.rule};
}

QuotaScope scope(const std::vector<Decision>& decisions) {
  const auto ignoring = std::count_if(decisions.begin(), decisions.end(),
                                      [](const Decision& d) { return d.quota == Quota::kIgnore; });
  if (ignoring == 0) {
    return QuotaScope::kNobody;
  }
  return static_cast<std::size_t>(ignoring) == decisions.size() ? QuotaScope::kEverybody
                                                                : QuotaScope::kListed;
}

QuotaScope over_quota_scope(const std::vector<Decision>& decisions) {
  const auto decided = [](const Decision& d) { return d.over_quota().has_value(); };
  if (std::none_of(decisions.begin(), decisions.end(), decided)) {
    return QuotaScope::kNobody;
  }
  const auto same = [&](const Decision& d) {
    return d.over_quota() == decisions.front().over_quota();
  };
  return std::all_of(decisions.begin(), decisions.end(), same) ? QuotaScope::kEverybody
                                                               : QuotaScope::kListed;
}

// No name twice.
std::vector<std::string> header_names_of(const std::vector<Rule>& rules) {
  std::vector<std::string> names;
  for (const Rule& rule : rules) {
    for (const RuleCondition& condition : rule.conditions) {
      const auto same = [&](const std::string& name) {
        return same_word(name, condition.header_name());
      };
      if (condition.kind() == ConditionKind::kHeader &&
          std::none_of(names.begin(), names.end(), same)) {
        names.push_back(condition.header_name());
      }
    }
  }
  return names;
}

}  // namespace

const std::optional<OverQuotaPolicy>& Decision::over_quota() const {
  static const std::optional<OverQuotaPolicy> kNone;
  return rule == nullptr ? kNone : rule->over_quota;
}

Policy::Policy(std::vector<Rule> rules, std::vector<std::string> tag_mailers)
    : rules_(std::move(rules)),
      tag_mailers_(std::move(tag_mailers)),
      header_names_(header_names_of(rules_)) {}

Verdict Policy::decide(const MessageFacts& message, Limiter* limiter, Limiter::Time now) const {
  std::vector<Candidate> rules = candidates(rules_, message);
  const bool odd_sender = message.sender_form == AddressForm::kAmbiguous;
  Verdict verdict;
  std::vector<const Candidate*> matched;  // of each recipient; nullptr: none
  for (const RecipientFacts& recipient : message.recipients) {
    const bool ours = reads_tags(recipient);
    verdict.tagged = verdict.tagged || ours;
    const bool odd = odd_sender || recipient.form == AddressForm::kAmbiguous;
    matched.push_back(ours && !odd ? first_match(rules, message, recipient) : nullptr);
    verdict.recipients.push_back({Quota::kHonour,
                                  !ours ? Why::kOtherMailer
                                  : odd ? Why::kAmbiguousAddress
                                        : Why::kNoRule,
                                  nullptr});
  }
  if (limiter != nullptr) {
    count(rules, message, *limiter, now);
  }
  for (std::size_t i = 0; i < matched.size(); ++i) {
    if (matched[i] != nullptr) {
      verdict.recipients[i] = decision_by(*matched[i]);
    }
  }
  verdict.scope = scope(verdict.recipients);
  verdict.over_quota = over_quota_scope(verdict.recipients);
  return verdict;
}

bool Policy::reads_tags(const RecipientFacts& recipient) const {
  return std::any_of(tag_mailers_.begin(), tag_mailers_.end(), [&](const std::string& mailer) {
    return same_word(mailer, recipient.mailer);
  });
}

std::string limited_sender(const MessageFacts& message) {
  // The kind in front separates a user from a sender address that looks like the user's name.
  std::string sender = "from " + comparable_address(message.sender);
  if (!message.auth.empty()) {
    sender = "auth " + message.auth;
  } else if (!message.tls_subject.empty()) {
    sender = "tls-subject " + message.tls_subject;
  } else if (message.sender.empty()) {
    sender = "client " + (message.client.address ? message.client.address->text() : "local");
  }
  // Conditions ignore case; so must the count.
  return lower_case(sender);
}

}  // namespace lmtpq::milter
