#include "mailer/delivery/unread_replies.h"

#include <utility>

namespace lmtpq::mailer {
namespace {

constexpr const char* kNotRead = "did not read the reply";
constexpr const char* kGoneAfter = "disconnected after the reply";
constexpr const char* kGoneBefore = "disconnected before the reply was sent";

// A store has the message for this recipient, or may have it.
bool is_filed(const Outcome& outcome) {
  return outcome.fate == Fate::kDelivered || outcome.trouble == Trouble::kUncertain;
}

// Those from the `first` on, as many as a log line shows.
std::string filed(const Envelope& envelope, const std::vector<Outcome>& outcomes,
                  std::size_t first) {
  std::string all;
  for (std::size_t i = first; i < outcomes.size() && all.size() <= Record::kMaxValue; ++i) {
    if (is_filed(outcomes[i])) {
      all += (all.empty() ? "" : " ") + envelope.recipients[i].mailbox.path();
    }
  }
  return all;
}

}  // namespace

void ClientNames::add_to(Record& record) const {
  if (!client.empty()) {
    record.add("client", client).add("listener", listener);
  }
}

void UnreadReplies::add(const Envelope& envelope, const DeliveryResult& result,
                        const SessionClient& client) {
  std::string to = filed(envelope, result.outcomes, client.read());
  if (!to.empty()) {
    messages_.push_back(
        {result.trace, result.queue_id, result.outcomes.size(), client.answered(), std::move(to)});
  }
}

void UnreadReplies::lost(Client client) {
  for (const Message& message : messages_) {
    const bool after = message.answered == message.recipients;
    report(message, client == Client::kUnread ? kNotRead : after ? kGoneAfter : kGoneBefore);
  }
  clear();
}

void UnreadReplies::lost(const std::string& failure) {
  for (const Message& message : messages_) {
    report(message, failure + " after the reply");
  }
  clear();
}

// The client will send the message again, also for recipients that were delivered.
void UnreadReplies::report(const Message& message, const std::string& reason) const {
  agent_.reply_lost();
  Record record("reply-lost");
  record.add("trace", message.trace.text()).add("qid", message.queue_id.text());
  names_.add_to(record);
  log_.warning(record.add("error", reason + "; possible duplicate")
                   .add("recipients", static_cast<long long>(message.recipients))
                   .add("written", static_cast<long long>(message.answered))
                   .add("to", message.filed));
}

}  // namespace lmtpq::mailer
