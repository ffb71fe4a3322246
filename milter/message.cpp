#include "milter/message.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "common/ascii.h"
#include "common/header.h"
#include "common/mailbox.h"
#include "milter/policy/address_form.h"

namespace lmtpq::milter {
namespace {

constexpr const char* kTooMuch = "too much header";
constexpr std::size_t kMaxShownRules = 8;

// Other MTAs than Sendmail leave blanks between the name and the colon.
std::string_view trimmed_name(std::string_view name) {
  return name.substr(0, name.find_last_not_of(" \t\r\n") + 1);
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ",") + word;
  }
  return text.empty() ? "-" : text;
}

std::string rule_names(const Verdict& verdict) {
  std::vector<std::string> names;
  for (const Decision& decision : verdict.recipients) {
    if (decision.rule == nullptr || contains(names, decision.rule->name)) {
      continue;
    }
    if (names.size() == kMaxShownRules) {
      names.push_back("...");
      break;
    }
    names.push_back(decision.rule->name);
  }
  return joined(names);
}

bool has(const Verdict& verdict, Why why) {
  return std::any_of(verdict.recipients.begin(), verdict.recipients.end(),
                     [why](const Decision& decision) { return decision.why == why; });
}

std::string reasons(const Verdict& verdict) {
  std::vector<std::string> words;
  for (const Why why :
       {Why::kNoRule, Why::kRule, Why::kOverLimit, Why::kOtherMailer, Why::kOddAddress}) {
    if (has(verdict, why)) {
      words.emplace_back(kWhyNames[static_cast<std::size_t>(why)]);
    }
  }
  return joined(words);
}

long long ignoring(const Verdict& verdict) {
  return std::count_if(verdict.recipients.begin(), verdict.recipients.end(),
                       [](const Decision& decision) { return decision.quota == Quota::kIgnore; });
}

const char* quota_word(const Verdict& verdict) {
  const long long count = ignoring(verdict);
  if (count == 0 || verdict.scope == QuotaScope::kNobody) {
    return "honour";
  }
  return std::cmp_equal(count, verdict.recipients.size()) ? "ignore" : "mixed";
}

std::string client_word(const ClientFacts& client) {
  return client.address ? client.address->text() : "local";
}

}  // namespace

Message::Message(ConfigurationPtr configuration, MessageFacts facts)
    : configuration_(std::move(configuration)), facts_(std::move(facts)) {
  facts_.sender_form = form_of(facts_.sender);
  facts_.sender = without_brackets(facts_.sender);
}

bool Message::wants(std::string_view name) const {
  const auto among = [name](const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(),
                       [name](const std::string& wanted) { return same_word(wanted, name); });
  };
  return among(configuration_->policy.header_names()) || among(configuration_->trace.field_names());
}

void Message::take_recipient(RecipientFacts recipient) {
  ++recipients_;
  const std::size_t longest =
      std::max({recipient.given.size(), recipient.resolved.size(), recipient.mailer.size()});
  const std::size_t size =
      recipient.given.size() + recipient.resolved.size() + recipient.mailer.size();
  // A name that is cut could match what the whole does not.
  if (longest > Mailbox::kMaxLength || facts_.recipients.size() == kMaxRecipients ||
      addresses_ + size > kMaxAddresses) {
    return;
  }
  addresses_ += size;
  recipient.form = form_of(recipient.given);
  recipient.given = comparable_address(recipient.given);
  if (recipient.given.empty()) {
    recipient.form = AddressForm::kOdd;  // a null recipient there is not
  }
  recipient.resolved = comparable_address(recipient.resolved);
  facts_.recipients.push_back(std::move(recipient));
}

void Message::take_field(std::string_view name, std::string_view value) {
  name = trimmed_name(name);
  if (same_word(name, kTagName)) {
    ++old_tags_;
    return;
  }
  if (same_word(name, "Message-ID") && !std::exchange(message_id_seen_, true)) {
    facts_.message_id = unfold(value);
  }
  if (!wants(name)) {
    return;
  }
  const std::size_t size = name.size() + value.size();
  if (size > kMaxField || kept_ + size > kMaxKept) {
    ++dropped_fields_;
    return;
  }
  kept_ += size;
  facts_.headers.push_back({std::string(name), unfold(value)});
}

void Message::take_queue_id(std::string_view queue_id) {
  if (!queue_id.empty()) {
    facts_.queue_id = queue_id;
  }
}

void Message::take_size(std::optional<std::uint64_t> size) {
  if (size) {
    facts_.size = size;
  }
}

Verdict Message::judge(Limiter* limiter, Limiter::Time now) const {
  Verdict verdict = configuration_->policy.decide(facts_, incomplete() ? nullptr : limiter, now);
  if (incomplete()) {
    verdict.scope = QuotaScope::kNobody;
  } else if (verdict.scope == QuotaScope::kEverybody &&
             std::cmp_greater(recipients_, facts_.recipients.size())) {
    verdict.scope = QuotaScope::kListed;
  }
  return verdict;
}

bool Message::remove_old_tags(Edits& edits) const {
  bool done = true;
  // From the last: some MTAs count anew after each (edits.h). All are tried, whatever fails.
  for (int index = old_tags_; index > 0; --index) {
    done = edits.delete_field(std::string(kTagName), index) && done;
  }
  return done;
}

bool Message::decide(Service& service, Edits& edits, std::int64_t now, Limiter::Time monotonic) {
  // First of all: whatever comes to pass below, nobody else's tag stays.
  const bool cleaned = remove_old_tags(edits);
  const Verdict verdict = judge(&service.limiter(), monotonic);
  const TraceId trace = configuration_->trace.choose(facts_);
  Tagging tagging{no_tag(*configuration_, facts_, verdict)};
  if (cleaned && tagging.missing == nullptr) {
    const TagClaims claims = claims_for(*configuration_, facts_, verdict, trace, now);
    tagging.done =
        edits.insert_field(std::string(kTagName), sign_tag(claims, configuration_->keys.signer()));
    tagging.unlisted = verdict.scope == QuotaScope::kListed
                           ? ignoring(verdict) - static_cast<long long>(claims.listed.size())
                           : 0;
  }
  try {
    log_decision(service.log(), verdict, trace, tagging);
  } catch (const std::exception&) {
    // No memory for the line; the decision stands all the same, and the tag is written.
  }
  return cleaned && (tagging.done || tagging.missing != nullptr);
}

void Message::log_decision(const Log& log, const Verdict& verdict, const TraceId& trace,
                           const Tagging& tagging) const {
  Record record;
  record.add("trace", trace.text())
      .add("qid", facts_.queue_id)
      .add("client", client_word(facts_.client))
      .add("auth", facts_.auth.empty() ? "-" : facts_.auth)
      .add("from", '<' + facts_.sender + '>')
      .add("rcpts", recipients_)
      .add("rule", rule_names(verdict))
      .add("quota", quota_word(verdict))
      .add("why", incomplete() ? kTooMuch : reasons(verdict))
      .add("tagged", tagging.done ? "yes" : "no");
  if (!tagging.done) {
    record.add("no_tag", tagging.missing != nullptr ? tagging.missing : "the MTA took no edits");
  }
  // Those whose quota is honoured for no other reason than a bound of ours.
  const long long left = recipients_ - static_cast<long long>(facts_.recipients.size());
  if (left + tagging.unlisted > 0) {
    record.add("rcpts_beyond_limit", left + tagging.unlisted);
  }
  record.add("old_tags", old_tags_).add("size", facts_.size ? std::to_string(*facts_.size) : "-");
  log.write(has(verdict, Why::kOverLimit) ? LogLevel::kWarning : LogLevel::kInfo, record);
  if (old_tags_ > 0) {
    log.warning(Record()
                    .add("event", "foreign-tags-removed")
                    .add("qid", facts_.queue_id)
                    .add("client", client_word(facts_.client))
                    .add("from", '<' + facts_.sender + '>')
                    .add("count", old_tags_));
  }
}

const char* no_tag(const Configuration& configuration, const MessageFacts& facts,
                   const Verdict& verdict) {
  if (configuration.keys.empty()) {
    return "no keys";
  }
  if (!verdict.tagged) {
    return "no recipient's mailer reads tags";
  }
  if (configuration.bind_queue_id && facts.queue_id.empty()) {
    return "no queue id";  // what binds it is missing, and a Message-ID can be had twice
  }
  if (!configuration.bind_queue_id && facts.message_id.empty()) {
    return "no Message-ID";  // it would fit every message
  }
  return nullptr;
}

TagClaims claims_for(const Configuration& configuration, const MessageFacts& facts,
                     const Verdict& verdict, const TraceId& trace, std::int64_t now) {
  TagClaims claims;
  claims.trace = trace;
  claims.quota = verdict.scope;
  claims.expiry = now + configuration.tag_lifetime.count();
  claims.message_id = facts.message_id;
  claims.queue_id = configuration.bind_queue_id ? facts.queue_id : "";
  if (verdict.scope != QuotaScope::kListed) {
    return claims;
  }
  const std::size_t count = std::min(verdict.recipients.size(), facts.recipients.size());
  for (std::size_t i = 0; i < count && claims.listed.size() < kMaxListed; ++i) {
    const RecipientFacts& recipient = facts.recipients[i];
    if (verdict.recipients[i].quota == Quota::kIgnore && !recipient.given.empty()) {
      claims.listed.push_back(
          {recipient.given, recipient.resolved.empty() ? recipient.given : recipient.resolved});
    }
  }
  return claims;
}

}  // namespace lmtpq::milter
