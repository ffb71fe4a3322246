// Which messages may ignore the quota: ordered rules, the first that matches decides.
//
// What it is: Rule (conditions, a verdict, a limit), Policy (the rules of one configuration) and
//   its pure decision for a message: a Decision for each recipient, and the scope of the tag.
// What it does not know: libmilter, tags' bytes, the configuration file's syntax (rules.h).
// Called by: Message at the end of the message; --explain.
// Threads and lifetimes: immutable once made; shared by all threads, replaced whole on reload.
// Failure: none. Where no rule matches, the quota is honoured.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/tag/tag.h"
#include "milter/policy/condition.h"
#include "milter/policy/facts.h"
#include "milter/policy/limiter.h"

namespace lmtpq::milter {

enum class Quota { kHonour, kIgnore };
inline constexpr const char* kQuotaNames[] = {"honour", "ignore"};

struct Rule {
  std::string name;
  Quota quota = Quota::kHonour;
  std::optional<Limit> limit;
  std::vector<Condition> conditions;

  // The first condition that does not hold; nullptr: the rule matches.
  const Condition* mismatch(const MessageFacts& message, const RecipientFacts& recipient) const;
  // "ignore: client = 192.0.2.1, from = notice@*, limit = 100/hour", for the log at start.
  std::string summary() const;
  // Ignores the quota, and nothing in it proves who the client is.
  bool anyone_can_match() const;
};

// kOddAddress: the sender's or the recipient's may mean another one (address_form.h).
enum class Why { kNoRule, kRule, kOverLimit, kOtherMailer, kOddAddress };
inline constexpr const char* kWhyNames[] = {"no rule", "rule", "over limit", "other mailer",
                                            "odd address"};

// Of one recipient.
struct Decision {
  Quota quota = Quota::kHonour;
  Why why = Why::kNoRule;
  const Rule* rule = nullptr;  // the one that matched; lives as long as the policy
};

struct Verdict {
  std::vector<Decision> recipients;  // in the message's order
  bool tagged = false;               // whether any recipient goes to a mailer that reads tags
  // kEverybody only when every recipient ignores the quota and goes to one of our mailers: such a
  // tag holds for alias members too, of whom the milter never hears.
  QuotaScope scope = QuotaScope::kNobody;
};

class Policy {
 public:
  Policy() = default;
  Policy(std::vector<Rule> rules, std::vector<std::string> tag_mailers);

  const std::vector<Rule>& rules() const { return rules_; }
  // The header fields that rules ask for.
  const std::vector<std::string>& header_names() const { return header_names_; }

  // Counts the message against the limits of the rules that let it past the quota, once each.
  // `limiter` nullptr: nothing is counted (--explain).
  Verdict decide(const MessageFacts& message, Limiter* limiter, Limiter::Time now) const;
  bool reads_tags(const RecipientFacts& recipient) const;  // resolves to one of our mailers

 private:
  std::vector<Rule> rules_;
  std::vector<std::string> tag_mailers_;
  std::vector<std::string> header_names_;
};

// Whom a limit counts: who proved an identity by that (auth before tls-subject), everybody else by
// the envelope's sender, the null sender by the client's address. In small letters, with the kind
// in front: "from notice@example.org".
std::string limited_sender(const MessageFacts& message);

}  // namespace lmtpq::milter
