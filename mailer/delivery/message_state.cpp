#include "mailer/delivery/message_state.h"

#include <algorithm>
#include <ctime>
#include <set>

#include "common/ascii.h"
#include "mailer/message/queue_id.h"

namespace lmtpq::mailer {
namespace {

bool eight_bit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

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
    std::string name(domain);
    std::transform(name.begin(), name.end(), name.begin(), ascii_lower);
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
    case IgnoreQuota::kNever:
      break;
  }
  return false;
}

bool MessageState::needs_utf8() const {
  return envelope_.charset == AddressCharset::kUtf8 || envelope_.sender.needs_utf8() ||
         std::any_of(envelope_.recipients.begin(), envelope_.recipients.end(),
                     [](const auto& to) { return to.mailbox.needs_utf8(); });
}

bool MessageState::header_has_utf8() const {
  const std::string_view head = body_.head();
  const std::size_t end = head.starts_with("\r\n") ? 0 : head.find("\r\n\r\n");
  // Only the beginning of a long header is kept; assume the worst of the rest.
  return eight_bit(head.substr(0, end)) ||
         (end == std::string_view::npos && body_.size() > head.size());
}

void MessageState::refuse_utf8(const Capabilities& store) {
  if (store.offers("SMTPUTF8")) {
    return;
  }
  if (envelope_.sender.needs_utf8()) {
    decide_rest(Trouble::kNeedsUtf8, "the sender's address needs it");
  } else if (envelope_.charset == AddressCharset::kUtf8 &&
             settings_.utf8_headers == Utf8Headers::kRefuse && header_has_utf8()) {
    decide_rest(Trouble::kNeedsUtf8, "the message's header needs it (see --utf8-headers)");
  }
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    if (!recipients_[i].outcome && envelope_.recipients[i].mailbox.needs_utf8()) {
      decide(i, outcome_of(Trouble::kNeedsUtf8, "the recipient's address needs it"));
    }
  }
}

std::optional<Transaction> MessageState::next_transaction(const Capabilities& store,
                                                          std::size_t recipient_limit) {
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
  Domains domains(store.rcpt_domain_max());
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    Recipient& recipient = recipients_[i];
    if (recipient.outcome || asked_.size() == most ||
        !domains.take(envelope_.recipients[i].mailbox.domain())) {
      continue;
    }
    if (wants_ignore_quota(i) && recipient.ignore_quota_use != IgnoreQuotaUse::kRefused) {
      recipient.ignore_quota_use =
          store.offers("IGNOREQUOTA") ? IgnoreQuotaUse::kSent : IgnoreQuotaUse::kNotOffered;
    }
    transaction.recipients.push_back(
        {envelope_.recipients[i].mailbox, recipient.ignore_quota_use == IgnoreQuotaUse::kSent});
    asked_.push_back(i);
  }
  return asked_.empty() ? std::nullopt : std::optional(std::move(transaction));
}

// draft-murchison-lmtp-ignorequota defines no reply for a client that may not use IGNOREQUOTA.
// Whatever 5xx the store sends, the extension must not cost the recipient the message.
bool MessageState::refuses_ignore_quota(const Recipient& recipient, const Answer& answer) const {
  const Reply& reply = answer.reply;
  return recipient.ignore_quota_use == IgnoreQuotaUse::kSent && answer.stage == Awaited::kRcpt &&
         reply.klass() == 5 &&
         (reply.code < 510 || reply.code == 555 ||
          (reply.status && (reply.status->subject == 5 || reply.status->subject == 7)));
}

// Cyrus's strtoul() check can reject a good SIZE (it reads a stale errno), so the transaction is
// repeated once without SIZE.
bool MessageState::misjudged_size(const Answer& answer, const Capabilities& store) const {
  const auto limit = store.size_limit();
  return declare_size_ && answer.stage == Awaited::kMail && answer.reply.code == 552 &&
         store.offers("SIZE") && (!limit || body_.size() <= *limit);
}

// Worth another transaction, on this connection or the next: a recipient whose IGNOREQUOTA was
// refused (without it), recipients over the store's limit for one transaction (as long as each
// transaction completes at least one recipient), a message whose size was refused although it is
// below the store's own limit.
bool MessageState::take_answers(const Upstream& upstream) {
  const auto& answers = upstream.client().answers();
  std::vector<std::size_t> too_many;
  unanswered_.clear();
  bool any_decided = false;
  bool retry_without_size = false;
  for (std::size_t k = 0; k < asked_.size(); ++k) {
    Recipient& recipient = recipients_[asked_[k]];
    if (!answers[k]) {
      unanswered_.push_back(asked_[k]);
    } else if (refuses_ignore_quota(recipient, *answers[k])) {
      recipient.ignore_quota_use = IgnoreQuotaUse::kRefused;
    } else if (misjudged_size(*answers[k], upstream.client().capabilities())) {
      retry_without_size = true;
    } else if (too_many_recipients(*answers[k])) {
      too_many.push_back(k);
    } else {
      Outcome outcome = outcome_of(*answers[k]);
      if (recipient.ignore_quota_use == IgnoreQuotaUse::kSent && over_quota(outcome.status)) {
        recipient.ignore_quota_use = IgnoreQuotaUse::kIgnored;
      }
      decide(asked_[k], std::move(outcome));
      any_decided = true;
    }
  }
  declare_size_ = declare_size_ && !retry_without_size;
  if (!too_many.empty()) {
    // Without a limit, naming all the others again each time would be quadratic in their number.
    const auto refused = std::count_if(answers.begin(), answers.end(), [](const auto& answer) {
      return answer && answer->stage == Awaited::kRcpt;
    });
    const std::size_t taken = answers.size() - static_cast<std::size_t>(refused);
    most_recipients_ = 2 * std::max<std::size_t>(1, taken);
  }
  for (const std::size_t k : too_many) {
    if (!any_decided) {
      decide(asked_[k], outcome_of(*answers[k]));
    }
  }
  return !unanswered_.empty();
}

void MessageState::decide_unanswered(Trouble trouble, std::string_view detail) {
  for (const std::size_t recipient : unanswered_) {
    decide(recipient, outcome_of(trouble, detail));
  }
}

}  // namespace lmtpq::mailer
