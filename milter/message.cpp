#include "milter/message.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "common/ascii.h"
#include "common/header.h"
#include "common/mailbox.h"
#include "milter/decision_log.h"
#include "milter/policy/address_form.h"

namespace lmtpq::milter {
namespace {

// MTAs other than Sendmail leave blanks between the name and the colon.
std::string_view trimmed_name(std::string_view name) {
  return name.substr(0, name.find_last_not_of(" \t\r\n") + 1);
}

TagClaims::Recipient named(const RecipientFacts& recipient) {
  return {recipient.given, recipient.resolved.empty() ? recipient.given : recipient.resolved};
}

void list_quota(const MessageFacts& facts, const Verdict& verdict, TagClaims& claims) {
  const std::size_t count = std::min(verdict.recipients.size(), facts.recipients.size());
  for (std::size_t i = 0; i < count && claims.listed.size() < kMaxListed; ++i) {
    if (verdict.recipients[i].quota == Quota::kIgnore && !facts.recipients[i].given.empty()) {
      claims.listed.push_back(named(facts.recipients[i]));
    }
  }
}

void list_over_quota(const MessageFacts& facts, const Verdict& verdict, TagClaims& claims) {
  const std::size_t count = std::min(verdict.recipients.size(), facts.recipients.size());
  bool room = true;
  for (std::size_t i = 0; i < count && room; ++i) {
    const auto& policy = verdict.recipients[i].over_quota();
    room = !policy || claims.list_over_quota(*policy, named(facts.recipients[i]));
  }
}

long long with_policy(const TagClaims& claims) {
  long long count = 0;
  for (const TagClaims::PolicyGroup& group : claims.over_quota_groups) {
    count += static_cast<long long>(group.members.size());
  }
  return count;
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
  // An address is dropped and not cut: its beginning could match a pattern that it does not match.
  if (longest > Mailbox::kMaxLength || facts_.recipients.size() == kMaxRecipients ||
      addresses_ + size > kMaxAddresses) {
    return;
  }
  addresses_ += size;
  recipient.form = form_of(recipient.given);
  recipient.given = comparable_address(recipient.given);
  if (recipient.given.empty()) {
    recipient.form = AddressForm::kAmbiguous;  // a recipient cannot be null
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
  const bool all_known = std::cmp_equal(recipients_, facts_.recipients.size());
  for (QuotaScope* const scope : {&verdict.scope, &verdict.over_quota}) {
    if (incomplete()) {
      *scope = QuotaScope::kNobody;
    } else if (*scope == QuotaScope::kEverybody && !all_known) {
      *scope = QuotaScope::kListed;
    }
  }
  return verdict;
}

bool Message::remove_old_tags(HeaderEdits& edits) const {
  bool done = true;
  // From the last to the first (header_edits.h); a failure does not stop the loop.
  for (int index = old_tags_; index > 0; --index) {
    done = edits.delete_field(std::string(kTagName), index) && done;
  }
  return done;
}

bool Message::decide(SharedState& state, HeaderEdits& edits, std::int64_t now,
                     Limiter::Time monotonic) {
  // First, so that no tag from outside stays if anything below fails.
  const bool cleaned = remove_old_tags(edits);
  const Verdict verdict = judge(&state.limiter(), monotonic);
  const TraceId trace = configuration_->trace.choose(facts_);
  Tagging tagging{no_tag(*configuration_, facts_, verdict), cleaned};
  if (cleaned && tagging.missing == nullptr) {
    const TagClaims claims = claims_for(*configuration_, facts_, verdict, trace, now);
    tagging.written =
        edits.insert_field(std::string(kTagName), sign_tag(claims, configuration_->keys.signer()));
    tagging.unlisted = verdict.scope == QuotaScope::kListed
                           ? ignoring(verdict) - static_cast<long long>(claims.listed.size())
                           : 0;
    tagging.without_policy =
        verdict.over_quota == QuotaScope::kListed ? with_policy(verdict) - with_policy(claims) : 0;
  }
  try {
    log_decision(state.log(), *this, verdict, trace, tagging);
  } catch (const std::exception&) {
    // Out of memory for the line; the tag is written all the same.
  }
  return cleaned && (tagging.written || tagging.missing != nullptr);
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
    return "no queue id";  // several messages can have the same Message-ID
  }
  if (!configuration.bind_queue_id && facts.message_id.empty()) {
    return "no Message-ID";  // the tag would be valid for every message
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
  if (verdict.scope == QuotaScope::kListed) {
    list_quota(facts, verdict, claims);
  }
  if (verdict.over_quota == QuotaScope::kEverybody) {
    claims.over_quota = verdict.recipients.front().over_quota();
  } else if (verdict.over_quota == QuotaScope::kListed) {
    list_over_quota(facts, verdict, claims);
  }
  return claims;
}

}  // namespace lmtpq::milter
