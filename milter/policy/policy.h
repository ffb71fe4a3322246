// Decides which recipients of a message may ignore the quota, and what becomes of their mail where
// they are over quota: of the ordered rules, the first that matches decides. Where none matches,
// the quota is honoured, and the mailer's options say what over quota means.
//
// A Policy has all rules of one configuration. It is immutable and shared by all threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/tag/tag_format.h"
#include "milter/policy/limiter.h"
#include "milter/policy/message_facts.h"
#include "milter/policy/rule.h"

namespace lmtpq::milter {

// kAmbiguousAddress: Sendmail may read the sender or the recipient differently (address_form.h).
enum class Why { kNoRule, kRule, kOverLimit, kOtherMailer, kAmbiguousAddress };
inline constexpr const char* kWhyNames[] = {"no rule", "rule", "over limit", "other mailer",
                                            "ambiguous address"};

// For one recipient.
struct Decision {
  Quota quota = Quota::kHonour;
  Why why = Why::kNoRule;
  const Rule* rule = nullptr;  // the rule that matched; lives as long as the policy

  const std::optional<OverQuotaPolicy>& over_quota() const;  // of the rule, also over its limit
};

struct Verdict {
  std::vector<Decision> recipients;  // in the message's order
  bool tagged = false;               // whether any recipient's mailer reads tags
  // kEverybody only when every recipient ignores the quota and has a mailer that reads tags. Such a
  // tag is valid for members of aliases too, which the milter does not see.
  QuotaScope scope = QuotaScope::kNobody;
  // Whose over-quota policy the rules decide; kEverybody: that of all, and it is the same one.
  QuotaScope over_quota = QuotaScope::kNobody;
};

class Policy {
 public:
  Policy() = default;
  Policy(std::vector<Rule> rules, std::vector<std::string> tag_mailers);

  const std::vector<Rule>& rules() const { return rules_; }
  // The header fields that conditions need.
  const std::vector<std::string>& header_names() const { return header_names_; }

  // Counts the message once against each limit of a rule that lets it ignore the quota.
  // `limiter` nullptr: nothing is counted (--explain).
  Verdict decide(const MessageFacts& message, Limiter* limiter, Limiter::Time now) const;
  bool reads_tags(const RecipientFacts& recipient) const;  // its mailer is one of tag_mailers

 private:
  std::vector<Rule> rules_;
  std::vector<std::string> tag_mailers_;
  std::vector<std::string> header_names_;
};

// The name under which a limit counts a message: the authenticated user, otherwise the verified
// certificate's subject, otherwise the envelope sender, and for the null sender the client's
// address. In lower case, with the kind in front: "from notice@example.org".
std::string limited_sender(const MessageFacts& message);

}  // namespace lmtpq::milter
