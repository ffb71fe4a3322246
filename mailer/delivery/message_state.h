// One message on its road: what is known of it, and how far each recipient is.
//
// What it is: the message's ids and what its tags are worth, and per recipient the outcome, once
// there is one, and
//   what became of IGNOREQUOTA; what of it goes into the next transaction; what the answers mean.
// What it does not know: connections and their order (delivery), the log.
// Called by: delivery only.
// Threads and lifetimes: lives for one deliver() call; envelope, mail data and settings outlive it.
// Failure: none; every way ends in an Outcome.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "mailer/lmtp/envelope.h"
#include "mailer/message/mail_data.h"
#include "mailer/message/outcome.h"
#include "mailer/message/tag_verdict.h"
#include "mailer/settings/settings.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {

// What became of IGNOREQUOTA for one recipient, for the log.
enum class Bypass { kNotAsked, kSent, kNotOffered, kRefused, kIgnored };
inline constexpr const char* kBypassNames[] = {"no", "sent", "not-offered", "refused", "ignored"};

class MessageState {
 public:
  // `tell` hears of each outcome as it is made.
  using Tell = std::function<void(std::size_t recipient)>;
  MessageState(const Envelope& envelope, const MailData& data, const Settings& settings, Tell tell);

  bool undecided() const;
  void decide(std::size_t recipient, Outcome outcome);
  void decide_rest(Trouble trouble, std::string_view detail);

  // What this store cannot take is decided at once: a message over its SIZE, an address or header
  // that needs SMTPUTF8. The rest, if any, is the transaction, or `recipient_limit` of them are.
  std::optional<Transaction> next_transaction(
      const Capabilities& store,
      std::size_t recipient_limit = std::numeric_limits<std::size_t>::max());
  // After it: the answered recipients are decided, but for those worth another transaction (see the
  // .cpp). True when the store left some unanswered, for another connection or for:
  bool take_answers(const Upstream& upstream);
  void decide_unanswered(Trouble trouble, std::string_view detail);

  const Envelope& envelope() const { return envelope_; }
  const Body& body() const { return body_; }
  const TagVerdict& tags() const { return tags_; }
  const TraceId& trace() const { return trace_; }
  const TraceId& queue_id() const { return queue_id_; }
  const Outcome& outcome(std::size_t recipient) const { return *recipients_[recipient].outcome; }
  Bypass bypass(std::size_t recipient) const { return recipients_[recipient].bypass; }
  std::vector<Outcome> outcomes() const;

 private:
  struct Recipient {
    Bypass bypass = Bypass::kNotAsked;
    std::optional<Outcome> outcome;
  };
  void refuse_utf8(const Capabilities& store);
  bool wants_bypass(std::size_t recipient) const;
  bool needs_utf8() const;
  bool header_has_utf8() const;
  bool refuses_bypass(const Recipient& recipient, const Answer& answer) const;
  bool misjudged_size(const Answer& answer, const Capabilities& store) const;

  const Envelope& envelope_;
  const Body& body_;
  const Settings& settings_;
  Tell tell_;
  TraceId queue_id_;
  TagVerdict tags_;
  TraceId trace_;
  std::vector<Recipient> recipients_;
  std::vector<std::size_t> asked_;       // who is in the current transaction
  std::vector<std::size_t> unanswered_;  // who of them heard nothing
  bool declare_size_ = true;
  std::size_t most_recipients_ = std::numeric_limits<std::size_t>::max();  // in one transaction
};

}  // namespace lmtpq::mailer
