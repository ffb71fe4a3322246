#include "mailer/delivery/message_state.h"

#include <algorithm>
#include <ctime>
#include <set>

#include "common/ascii.h"
#include "mailer/io/waiting.h"
#include "mailer/message/message_age.h"
#include "mailer/message/over_quota.h"
#include "mailer/message/queue_id.h"

namespace lmtpq::mailer {
namespace {

// A trace id of the client's own MAIL command comes before one from the message's tag.
TraceId trace_for(const Settings& settings, const TraceId& clients, const TagVerdict& tags,
                  const TraceId& queue_id) {
  if (!settings.trace_id.empty()) {
    return settings.trace_id;
  }
  if (settings.trace != TraceSource::kOff && !clients.empty()) {
    return clients;
  }
  if (settings.trace == TraceSource::kTag && tags.valid) {
    return tags.valid->trace();
  }
  return settings.trace == TraceSource::kOff ? TraceId() : queue_id;
}

// RFC 5321 section 4.5.3.1.10; only by its enhanced code, since a plain 452 is as often a full
// mailbox.
bool too_many_recipients(const Answer& answer) {
  return answer.stage == Awaited::kRcpt && answer.reply.status == EnhancedStatus{4, 5, 3};
}

// RFC 9422, RCPTDOMAINMAX: the number of domains that one transaction may have recipients in.
class Domains {
 public:
  explicit Domains(std::optional<std::size_t> most) : most_(most) {}

  bool take(std::string_view domain) {
    if (!most_) {
      return true;
    }
    std::string name = lower_case(domain);
    if (taken_.size() < *most_) {
      taken_.insert(std::move(name));
      return true;
    }
    return taken_.contains(name);
  }

 private:
  std::optional<std::size_t> most_;
  std::set<std::string> taken_;
};

}  // namespace

MessageState::MessageState(const Envelope& envelope, const MailData& data, const Settings& settings,
                           OnDecided on_decided)
    : envelope_(envelope),
      body_(data.body()),
      text_(data.text()),
      settings_(settings),
      on_decided_(std::move(on_decided)),
      eight_bit_parts_(body_),
      queue_id_(mailer::queue_id(body_.head())),
      tags_(judge_tags(data, queue_id_, settings.keys, std::time(nullptr))),
      trace_(trace_for(settings, envelope.trace, tags_, queue_id_)),
      recipients_(envelope.recipients.size()) {}

bool MessageState::undecided() const {
  return std::any_of(recipients_.begin(), recipients_.end(),
                     [](const Recipient& r) { return !r.outcome; });
}

void MessageState::decide(std::size_t recipient, Outcome outcome) {
  recipients_[recipient].outcome = std::move(outcome);
  on_decided_(*this, recipient);
}

void MessageState::decide_rest(Trouble trouble, std::string_view detail) {
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    if (!recipients_[i].outcome) {
      decide(i, outcome_of(trouble, detail));
    }
  }
}

std::vector<Outcome> MessageState::outcomes() const {
  std::vector<Outcome> all;
  for (const Recipient& recipient : recipients_) {
    all.push_back(*recipient.outcome);
  }
  return all;
}

bool MessageState::wants_ignore_quota(std::size_t recipient) const {
  const mailer::Recipient& to = envelope_.recipients[recipient];
  switch (settings_.ignore_quota) {
    case IgnoreQuota::kAlways:
      return true;
    case IgnoreQuota::kTagged:
      return to.ignore_quota || (tags_.valid && tags_.valid->ignores_quota(to.mailbox.text()));
    case IgnoreQuota::kRetry:
      return recipients_[recipient].full;
    case IgnoreQuota::kNever:
      break;
  }
  return false;
}

IgnoreQuotaUse MessageState::next_ignore_quota_use(std::size_t recipient,
                                                   const Capabilities& store) const {
  const IgnoreQuotaUse last = recipients_[recipient].ignore_quota_use;
  if (!wants_ignore_quota(recipient) || last == IgnoreQuotaUse::kRefused) {
    return last;
  }
  if (!store.offers("IGNOREQUOTA")) {
    return IgnoreQuotaUse::kNotOffered;
  }
  return settings_.ignore_quota == IgnoreQuota::kRetry ? IgnoreQuotaUse::kRetried
                                                       : IgnoreQuotaUse::kSent;
}

bool MessageState::needs_utf8() const {
  return envelope_.charset == AddressCharset::kUtf8 || envelope_.sender.needs_utf8() ||
         std::any_of(envelope_.recipients.begin(), envelope_.recipients.end(),
                     [](const auto& to) { return to.mailbox.needs_utf8(); });
}

void MessageState::refuse_utf8(const Capabilities& store) {
  if (store.offers("SMTPUTF8")) {
    return;
  }
  if (envelope_.sender.needs_utf8()) {
    decide_rest(Trouble::kNeedsUtf8, "the sender's address needs it");
  } else if (envelope_.charset == AddressCharset::kUtf8 &&
             settings_.utf8_headers == Utf8Headers::kRefuse && eight_bit_parts_.in_header()) {
    decide_rest(Trouble::kNeedsUtf8, "the message's header needs it (see --utf8-headers)");
  }
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    if (!recipients_[i].outcome && envelope_.recipients[i].mailbox.needs_utf8()) {
      decide(i, outcome_of(Trouble::kNeedsUtf8, "the recipient's address needs it"));
    }
  }
}

std::optional<Transaction> MessageState::next_transaction(
    const Capabilities& store, std::size_t recipient_limit,
    const std::function<bool(std::size_t recipient)>& may_go) {
  const std::size_t most =
      std::min({most_recipients_, recipient_limit, store.rcpt_max().value_or(recipient_limit)});
  const auto limit = store.size_limit();
  if (limit && body_.size() > *limit) {
    decide_rest(Trouble::kTooLarge, std::to_string(body_.size()) + " bytes; the store's limit is " +
                                        std::to_string(*limit));
  }
  refuse_utf8(store);
  Transaction transaction;
  transaction.sender = envelope_.sender;
  transaction.body = envelope_.body;
  transaction.charset = needs_utf8() ? AddressCharset::kUtf8 : AddressCharset::kAscii;
  transaction.size = declare_size_ ? std::optional(body_.size()) : std::nullopt;
  transaction.trace = trace_;
  transaction.hops = envelope_.hops;
  asked_.clear();
  progress_ = {};
  const std::vector<Relief> reliefs = eight_bit_parts_.reliefs_at(store);
  Domains domains(store.rcpt_domain_max());
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    pace();
    Recipient& recipient = recipients_[i];
    if (recipient.outcome || asked_.size() == most || (may_go && !may_go(i)) ||
        !domains.take(envelope_.recipients[i].mailbox.domain())) {
      continue;
    }
    recipient.ignore_quota_use = next_ignore_quota_use(i, store);
    recipient.reliefs = reliefs;
    transaction.recipients.push_back(
        {envelope_.recipients[i].mailbox, recipient.sends_ignore_quota()});
    asked_.push_back(i);
  }
  return asked_.empty() ? std::nullopt : std::optional(std::move(transaction));
}

// draft-murchison-lmtp-ignorequota defines no reply for a client that may not use IGNOREQUOTA.
// Whatever 5xx the store sends, the extension must not cost the recipient the message.
bool MessageState::refuses_ignore_quota(const Recipient& recipient, const Answer& answer) {
  const Reply& reply = answer.reply;
  return recipient.sends_ignore_quota() && answer.stage == Awaited::kRcpt && reply.klass() == 5 &&
         (reply.code < 510 || reply.code == 555 ||
          (reply.status && (reply.status->subject == 5 || reply.status->subject == 7)));
}

// Whether the recipient goes into another transaction because of this reply: without IGNOREQUOTA,
// as the store refused that, or with it, as the mailbox is over quota. Each happens once.
bool MessageState::changes_ignore_quota(Recipient& recipient, const Answer& answer,
                                        const Capabilities& store) const {
  if (refuses_ignore_quota(recipient, answer)) {
    recipient.ignore_quota_use = IgnoreQuotaUse::kRefused;
    return true;
  }
  if (settings_.ignore_quota != IgnoreQuota::kRetry || recipient.full || !outcome_of(answer).full) {
    return false;
  }
  recipient.full = store.offers("IGNOREQUOTA");
  if (!recipient.full) {
    recipient.ignore_quota_use = IgnoreQuotaUse::kNotOffered;
  }
  return recipient.full;
}

// The most specific policy counts: the tag is about this message and recipient, the listener's
// section about this kind of mail, the store's settings about all of it.
Outcome MessageState::outcome_for(std::size_t recipient, const Answer& answer,
                                  const StoreSettings& store) {
  Outcome outcome = outcome_of(answer);
  if (!outcome.full) {
    return outcome;
  }
  if (recipients_[recipient].sends_ignore_quota()) {
    recipients_[recipient].ignore_quota_use = IgnoreQuotaUse::kIgnored;
  }
  const auto tagged = tags_.valid
                          ? tags_.valid->over_quota(envelope_.recipients[recipient].mailbox.text())
                          : std::nullopt;
  const OverQuotaPolicy policy = tagged.value_or(settings_.over_quota.value_or(store.over_quota));
  const bool aged = policy.age.count() > 0;
  return apply(policy,
               aged ? message_age(body_.head(), std::time(nullptr)) : std::chrono::seconds(),
               std::move(outcome));
}

// Cyrus's strtoul() check can reject a good SIZE (it reads a stale errno), so the transaction is
// repeated once without SIZE.
bool MessageState::misjudged_size(const Answer& answer, const Capabilities& store) const {
  const auto limit = store.size_limit();
  return declare_size_ && answer.stage == Awaited::kMail && answer.reply.code == 552 &&
         store.offers("SIZE") && (!limit || body_.size() <= *limit);
}

// Worth another transaction, on this connection or the next: a recipient whose IGNOREQUOTA was
// refused (without it), or who is over quota (with it, for --ignore-quota=retry), recipients over
// the store's limit for one transaction (as long as each transaction completes at least one
// recipient), a message whose size was refused although it is below the store's own limit.
void MessageState::take_answer(std::size_t asked, const Upstream& upstream) {
  const Answer& answer = *upstream.client().answers()[asked];
  const Capabilities& store = upstream.client().capabilities();
  const std::size_t recipient = asked_[asked];
  if (changes_ignore_quota(recipients_[recipient], answer, store)) {
    progress_.any = true;
  } else if (misjudged_size(answer, store)) {
    progress_.retry_without_size = true;
  } else if (too_many_recipients(answer)) {
    progress_.too_many.push_back(asked);
  } else {
    progress_.any = true;
    decide(recipient, outcome_for(recipient, answer, upstream.settings()));
  }
}

void MessageState::take_early_answers(const Upstream& upstream) {
  if (upstream.client().state() != ClientState::kFinal) {
    return;
  }
  const auto& answers = upstream.client().answers();
  while (progress_.taken < asked_.size() && answers[progress_.taken]) {
    take_answer(progress_.taken++, upstream);
  }
}

bool MessageState::take_answers(const Upstream& upstream) {
  const auto& answers = upstream.client().answers();
  unanswered_.clear();
  while (progress_.taken < asked_.size()) {
    const std::size_t k = progress_.taken++;
    if (answers[k]) {
      take_answer(k, upstream);
    } else {
      unanswered_.push_back(asked_[k]);
    }
  }
  end_transaction(upstream);
  return !unanswered_.empty();
}

void MessageState::end_transaction(const Upstream& upstream) {
  const auto& answers = upstream.client().answers();
  declare_size_ = declare_size_ && !progress_.retry_without_size;
  if (!progress_.too_many.empty()) {
    // Without a limit, naming all the others again each time would be quadratic in their number.
    const auto refused = std::count_if(answers.begin(), answers.end(), [](const auto& answer) {
      return answer && answer->stage == Awaited::kRcpt;
    });
    const std::size_t taken = answers.size() - static_cast<std::size_t>(refused);
    most_recipients_ = 2 * std::max<std::size_t>(1, taken);
  }
  for (const std::size_t k : progress_.too_many) {
    if (!progress_.any) {
      decide(asked_[k], outcome_of(*answers[k]));
    }
  }
}

void MessageState::decide_unanswered(Trouble trouble, std::string_view detail) {
  for (const std::size_t recipient : unanswered_) {
    decide(recipient, outcome_of(trouble, detail));
  }
}

}  // namespace lmtpq::mailer
