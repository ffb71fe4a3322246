#include "mailer/delivery/delivery_log.h"

#include "mailer/store/connector.h"

namespace lmtpq::mailer {
namespace {

// read/queue/connect/lhlo/tls/auth/envelope/data/reply. Whatever no other stage accounts for is in
// `queue`, so that the sum is all the time from the client's MAIL.
std::string delays(const Attempt& attempt, Clock::time_point now) {
  const StageTimes stages = attempt.stages(now);
  std::string text;
  append_seconds(text, attempt.complete - attempt.begun);
  text += '/';
  append_seconds(text, now - attempt.complete - stages.total());
  for (const Clock::duration spent : stages) {
    text += '/';
    append_seconds(text, spent);
  }
  return text;
}

Record tag_record(const MessageState& message) {
  Record made("tag-rejected");
  return made.add("trace", message.trace().text()).add("qid", message.queue_id().text());
}

void add_connection(const Upstream& upstream, Record& record) {
  const std::string& mechanism = upstream.mechanism();
  record.add("tls", tls_summary(upstream)).add("auth", mechanism.empty() ? "none" : mechanism);
}

// What is not as the client sent it, or may be why the store refuses it.
void add_text(const TextReport& text, Record& record) {
  if (text.folded_lines > 0) {
    record.add("folded-lines", static_cast<long long>(text.folded_lines));
  }
  if (text.nuls > 0) {
    record.add("nul", static_cast<long long>(text.nuls));
  }
  if (text.nuls_stripped > 0) {
    record.add("nul-stripped", static_cast<long long>(text.nuls_stripped));
  }
}

}  // namespace

void DeliveryLog::tags(const MessageState& message) const {
  const TagVerdict& tags = message.tags();
  if (tags.valid) {
    count_tag("valid");
  }
  for (const RejectedTag& tag : tags.rejected) {
    rejected_tag(message, tag);
  }
  if (tags.unread > 0) {
    log_.warning(tag_record(message)
                     .add("reason", kTagFaultNames[static_cast<int>(TagFault::kTwoTags)])
                     .add("more", static_cast<long long>(tags.unread)));
  }
}

void DeliveryLog::rejected_tag(const MessageState& message, const RejectedTag& tag) const {
  const char* const reason = kTagFaultNames[static_cast<int>(tag.fault)];
  log_.warning(tag_record(message).add("reason", reason).add("tag-key", tag.key));
  count_tag(reason);
}

void DeliveryLog::count_tag(std::string_view verdict) const {
  if (events_ != nullptr) {
    events_->tag_judged(verdict);
  }
}

void DeliveryLog::store_failed(const MessageState& message, const Store& store,
                               const std::string& reason) const {
  log_.warning(Record("store-failed")
                   .add("trace", message.trace().text())
                   .add("qid", message.queue_id().text())
                   .add("destination", store.destination.text)
                   .add("error", reason));
}

void DeliveryLog::connection_lost(const MessageState& message, const Attempt& attempt,
                                  const std::string& reason) const {
  const Lease& lost = attempt.connection;
  log_.info(Record("connection-lost")
                .add("trace", message.trace().text())
                .add("qid", message.queue_id().text())
                .add("destination", lost.store().destination.text)
                .add("relay", lost->peer())
                .add("idle", seconds_text(lost.idle()))
                .add("spent", seconds_text(Clock::now() - attempt.started))
                .add("conn-use", lost->transactions())
                .add("error", reason));
}

void DeliveryLog::trace_refused(const MessageState& message, const Upstream& upstream) const {
  log_.warning(Record("trace-refused")
                   .add("trace", message.trace().text())
                   .add("relay", upstream.peer())
                   .add("reply", upstream.client().trace_refusal()->summary()));
}

void DeliveryLog::outcome(const MessageState& message, std::size_t recipient,
                          const Attempt& attempt) const {
  const Outcome& outcome = message.outcome(recipient);
  const Upstream* const upstream = attempt.connection ? &*attempt.connection : nullptr;
  const Clock::time_point now = Clock::now();
  const Clock::time_point end_of_data = attempt.message_sent() ? upstream->dot_time() : now;
  Record record("delivery");
  record.add("trace", message.trace().text())
      .add("qid", message.queue_id().text())
      .add("sessionid", upstream != nullptr ? upstream->client().session() : "")
      .add("from", message.envelope().sender.path())
      .add("to", message.envelope().recipients[recipient].mailbox.path())
      .add("relay", upstream != nullptr ? upstream->peer() : "none")
      .add("status", kFateNames[static_cast<int>(outcome.fate)])
      .add("dsn", outcome.status.text())
      .add("reply", reply_text(outcome))
      .add("delays", delays(attempt, now))
      .add("size", static_cast<long long>(message.body().size()))
      .add("conn-use", upstream != nullptr ? upstream->transactions() : 0)
      .add("ignorequota",
           kIgnoreQuotaUseNames[static_cast<int>(message.ignore_quota_use(recipient))]);
  if (outcome.over_quota != OverQuotaAction::kStore) {
    record.add("over-quota", kFateNames[static_cast<int>(outcome.fate)]);
  }
  if (upstream != nullptr) {
    add_connection(*upstream, record);
  } else {
    record.add("tls", "none").add("auth", "none");
  }
  record.add("tag-key", message.tags().valid ? message.tags().valid->key_id() : "");
  if (!message.reliefs(recipient).empty()) {
    record.add("relief", names_of(message.reliefs(recipient)));
  }
  add_text(message.text(), record);
  if (upstream != nullptr && upstream->mechanism().empty() && asks_for_login(outcome)) {
    record.add("hint", "no login is configured for this destination");
  }
  log_.write(outcome.fate == Fate::kTemporary ? LogLevel::kWarning : LogLevel::kInfo, record);
  if (events_ != nullptr) {
    count_outcome(message, recipient, attempt, end_of_data, now);
  }
}

void DeliveryLog::count_outcome(const MessageState& message, std::size_t recipient,
                                const Attempt& attempt, Clock::time_point end_of_data,
                                Clock::time_point now) const {
  DeliveryEvents::Fact fact{
      {},
      message.outcome(recipient),
      kIgnoreQuotaUseNames[static_cast<int>(message.ignore_quota_use(recipient))],
      attempt.connecting,
      {},
      message.reliefs(recipient)};
  if (attempt.connection) {
    fact.destination = attempt.connection.store().destination.text;
  }
  if (attempt.message_sent()) {
    fact.transfer = {end_of_data - attempt.started, now - end_of_data};
  }
  events_->decided(fact);
}

}  // namespace lmtpq::mailer
