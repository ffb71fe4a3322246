// How far the delivery of one message is: its ids, whether its tag is valid, and for each recipient
// the outcome and what became of IGNOREQUOTA.
//
// Chooses the recipients of the next transaction and maps the store's replies to outcomes. Lives
// for one Delivery::deliver(); envelope, mail data and settings outlive it.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "mailer/lmtp/envelope.h"
#include "mailer/message/mail_data.h"
#include "mailer/message/outcome.h"
#include "mailer/message/relief.h"
#include "mailer/message/tag_validation.h"
#include "mailer/settings/settings.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {

// What became of IGNOREQUOTA for one recipient, for the log.
enum class IgnoreQuotaUse { kNotAsked, kSent, kNotOffered, kRefused, kIgnored, kRetried };
inline constexpr const char* kIgnoreQuotaUseNames[] = {"no",      "sent",    "not-offered",
                                                       "refused", "ignored", "retried"};

class MessageState {
 public:
  // Called with each outcome as soon as it is decided.
  using OnDecided = std::function<void(const MessageState& message, std::size_t recipient)>;
  MessageState(const Envelope& envelope, const MailData& data, const Settings& settings,
               OnDecided on_decided);

  bool undecided() const;
  void decide(std::size_t recipient, Outcome outcome);
  // All that are not decided yet.
  void decide_rest(Trouble trouble, std::string_view detail);

  // Refuses at once what this store cannot take: a message over its SIZE, an address or header that
  // needs SMTPUTF8. The transaction has `recipient_limit` of the other recipients at most, and only
  // those that `may_go` (nullptr: all); nullopt: there is none.
  std::optional<Transaction> next_transaction(
      const Capabilities& store,
      std::size_t recipient_limit = std::numeric_limits<std::size_t>::max(),
      const std::function<bool(std::size_t recipient)>& may_go = nullptr);
  // The recipients of that transaction.
  const std::vector<std::size_t>& asked() const { return asked_; }
  // While the store files the message: decides the recipients whose answers have come, up to the
  // first that has none, except those that are worth another transaction (see the .cpp). Does
  // nothing before the end of data, where an answer may still turn out to be another's.
  void take_early_answers(const Upstream& upstream);
  // After the transaction: the same for all others. True: the store left some unanswered, because
  // the connection was lost.
  bool take_answers(const Upstream& upstream);
  void decide_unanswered(Trouble trouble, std::string_view detail);

  const Envelope& envelope() const { return envelope_; }
  const MessageSpool& body() const { return body_; }
  const TextReport& text() const { return text_; }
  const TagVerdict& tags() const { return tags_; }
  const TraceId& trace() const { return trace_; }
  const TraceId& queue_id() const { return queue_id_; }
  const Outcome& outcome(std::size_t recipient) const { return *recipients_[recipient].outcome; }
  IgnoreQuotaUse ignore_quota_use(std::size_t recipient) const {
    return recipients_[recipient].ignore_quota_use;
  }
  // What the store that was last asked for this recipient did not offer.
  const std::vector<Relief>& reliefs(std::size_t recipient) const {
    return recipients_[recipient].reliefs;
  }
  std::vector<Outcome> outcomes() const;

 private:
  struct Recipient {
    IgnoreQuotaUse ignore_quota_use = IgnoreQuotaUse::kNotAsked;
    bool full = false;  // over quota without IGNOREQUOTA, which --ignore-quota=retry sends next
    std::vector<Relief> reliefs;
    std::optional<Outcome> outcome;

    bool sends_ignore_quota() const {
      return ignore_quota_use == IgnoreQuotaUse::kSent ||
             ignore_quota_use == IgnoreQuotaUse::kRetried;
    }
  };
  // What the answers of the current transaction have brought so far.
  struct Progress {
    std::size_t taken = 0;              // how many of asked_ need no further look
    std::vector<std::size_t> too_many;  // indices in asked_: over the store's limit
    bool any = false;                   // a recipient is decided, or asked differently next
    bool retry_without_size = false;
  };
  void take_answer(std::size_t asked, const Upstream& upstream);
  void end_transaction(const Upstream& upstream);
  void refuse_utf8(const Capabilities& store);
  bool wants_ignore_quota(std::size_t recipient) const;
  bool needs_utf8() const;
  IgnoreQuotaUse next_ignore_quota_use(std::size_t recipient, const Capabilities& store) const;
  static bool refuses_ignore_quota(const Recipient& recipient, const Answer& answer);
  bool changes_ignore_quota(Recipient& recipient, const Answer& answer,
                            const Capabilities& store) const;
  Outcome outcome_for(std::size_t recipient, const Answer& answer, const StoreSettings& store);
  bool misjudged_size(const Answer& answer, const Capabilities& store) const;

  const Envelope& envelope_;
  const MessageSpool& body_;
  const TextReport& text_;
  const Settings& settings_;
  OnDecided on_decided_;
  EightBitParts eight_bit_parts_;
  TraceId queue_id_;
  TagVerdict tags_;
  TraceId trace_;
  std::vector<Recipient> recipients_;
  std::vector<std::size_t> asked_;  // the recipients of the current transaction
  Progress progress_;
  std::vector<std::size_t> unanswered_;  // those of them without a reply
  bool declare_size_ = true;
  std::size_t most_recipients_ = std::numeric_limits<std::size_t>::max();  // in one transaction
};

}  // namespace lmtpq::mailer
