#include "mailer/delivery/delivery.h"

#include <algorithm>
#include <exception>

#include "common/ascii.h"
#include "mailer/delivery/message_state.h"

namespace lmtpq::mailer {

struct Delivery::Attempt {
  Clock::time_point begun;       // the client began with the message
  Clock::time_point complete;    // its dot was in
  Clock::duration connecting{};  // all dials together
  Clock::time_point started;     // the transaction began
  Deadline latest_answer;        // the client may give up soon after
  TraceId trace;
  Lease upstream;  // in use; here, where an exception leaves it readable
  // Which connection comes next. Behind a kept one that died a new one: the others that are kept
  // may be as dead, or the message may be what kills them.
  ConnectionPool::Which which = ConnectionPool::Which::kAny;

  // Did the message at hand leave, dot and all? Not one that this connection carried before.
  bool dot_out() const {
    return upstream && upstream->dot_sent() && upstream->dot_time() >= started;
  }

  // Why the recipients that are left are where they are.
  Trouble trouble = Trouble::kUnreachable;
  std::string trouble_words;
};

namespace {

// 0.003
std::string seconds(Clock::duration span) {
  const auto milliseconds = std::chrono::round<std::chrono::milliseconds>(span).count();
  const std::string digits = std::to_string(milliseconds);
  const std::string padded = std::string(4 - std::min<std::size_t>(4, digits.size()), '0') + digits;
  return padded.substr(0, padded.size() - 3) + '.' + padded.substr(padded.size() - 3);
}

}  // namespace

Delivery::Delivery(const Settings& settings, PoolList& pools, const Log& log, Shared shared)
    : settings_(settings), pools_(pools), log_(log), shared_(shared) {}

Delivered Delivery::deliver(const Envelope& envelope, const MailData& data,
                            Clock::time_point begun) {
  return deliver(envelope, data, {begun, Clock::now()});
}

Delivered Delivery::deliver(const Envelope& envelope, const MailData& data,
                            const MessageTimes& times) {
  const Body& body = data.body();
  return go(envelope, data, times, [&](MessageState& progress, Attempt& clocks) {
    if (body.state() == Body::State::kTooLarge) {
      progress.decide_rest(Trouble::kTooLarge, std::to_string(body.size()) +
                                                   " bytes, allowed are " +
                                                   std::to_string(*settings_.max_message_size));
    } else if (body.state() == Body::State::kUnspooled) {
      progress.decide_rest(Trouble::kSpool, body.failure());
    } else {
      run(progress, clocks);
    }
  });
}

Delivered Delivery::settle(std::vector<Outcome> outcomes, const Envelope& envelope,
                           const MailData& data, const MessageTimes& times) {
  return go(envelope, data, times, [&](MessageState& progress, Attempt&) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      progress.decide(i, std::move(outcomes[i]));
    }
  });
}

Delivered Delivery::go(const Envelope& envelope, const MailData& data, const MessageTimes& times,
                       const Decide& decide) {
  Attempt clocks;
  clocks.begun = times.begun;
  clocks.complete = times.complete;
  clocks.started = Clock::now();
  clocks.latest_answer = clocks.complete + settings_.timeouts.answer();
  MessageState* told = nullptr;
  MessageState progress(envelope, data, settings_,
                        [&](std::size_t recipient) { log_outcome(*told, recipient, clocks); });
  told = &progress;
  clocks.trace = progress.trace();
  log_tags(progress);
  try {
    decide(progress, clocks);
  } catch (const std::exception& error) {
    // Out of memory, most likely. What the store answered stands; where it may have filed the
    // message unheard, the words must say so.
    progress.decide_rest(clocks.dot_out() ? Trouble::kUncertain : Trouble::kInternal, error.what());
    clocks.upstream = Lease();
  }
  return {progress.trace(), progress.outcomes()};
}

void Delivery::run(MessageState& progress, Attempt& clocks) {
  const Claim claim = this->claim(progress, clocks);
  if (!claim) {
    progress.decide_rest(Trouble::kBusy, "deliveries to one of these mailboxes");
    return;
  }
  const std::vector<ConnectionPool*> order = pools_.order();
  std::size_t next = 0;
  while (progress.undecided()) {
    clocks.upstream = lease(order, next, clocks);
    if (!clocks.upstream) {
      progress.decide_rest(clocks.trouble, clocks.trouble_words);
      return;
    }
    attempt(progress, *clocks.upstream, clocks);
    if (clocks.upstream.reused() && clocks.trouble == Trouble::kLost) {
      clocks.which = ConnectionPool::Which::kNew;
    } else if (!clocks.upstream.reused() && clocks.trouble != Trouble::kLost) {
      --next;  // what is left is worth another transaction at the same place
    }
    clocks.upstream.give_back();
  }
}

// Taken before a connection is, which would else be held while we wait.
Claim Delivery::claim(const MessageState& progress, Attempt& clocks) const {
  if (shared_.mailboxes == nullptr) {
    return Claim::unneeded();
  }
  std::vector<std::string> mailboxes;
  for (const auto& recipient : progress.envelope().recipients) {
    std::string name = recipient.mailbox.text();
    std::transform(name.begin(), name.end(), name.begin(), ascii_lower);
    mailboxes.push_back(std::move(name));
  }
  const Clock::time_point start = Clock::now();
  // Granted later, it would leave no time for the store's answer.
  const Deadline latest = clocks.latest_answer - settings_.store_defaults.timeouts.data_done;
  Claim made = shared_.mailboxes->claim(std::move(mailboxes), latest);
  clocks.connecting += Clock::now() - start;
  return made;
}

// One transaction on a connection that has just proved alive.
void Delivery::attempt(MessageState& progress, Upstream& upstream, Attempt& clocks) {
  clocks.trouble = Trouble::kUnreachable;
  clocks.started = Clock::now();
  auto transaction = progress.next_transaction(upstream.client().capabilities(),
                                               upstream.settings().recipient_limit);
  if (!transaction) {
    return;
  }
  upstream.transact(std::move(*transaction), progress.body(),
                    clocks.latest_answer - upstream.settings().timeouts.data_done,
                    clocks.latest_answer);
  if (const auto& refusal = upstream.client().trace_refusal()) {
    log_.warning(Record("trace-refused")
                     .add("trace", progress.trace().text())
                     .add("relay", upstream.peer())
                     .add("trace-refused", refusal->summary()));
  }
  if (!progress.take_answers(upstream)) {
    return;
  }
  const std::string words = upstream.peer() + ": " + upstream.client().reason();
  if (upstream.dot_sent()) {
    progress.decide_unanswered(Trouble::kUncertain, words);
  } else if (!upstream.spool_failure().empty()) {
    progress.decide_rest(Trouble::kSpool, upstream.spool_failure());
  } else {
    clocks.trouble = Trouble::kLost;
    clocks.trouble_words = words;
  }
}

// One that is kept, of whichever store: it has proved that it takes mail. Else the stores in order,
// from the `next` one on, until one is ready.
Lease Delivery::lease(const std::vector<ConnectionPool*>& order, std::size_t& next,
                      Attempt& clocks) {
  const Clock::time_point start = Clock::now();
  Lease made = pools_.take_idle();
  while (!made && next < order.size()) {
    ConnectionPool& pool = *order[next++];
    const Deadline latest = clocks.latest_answer - pool.store().settings.timeouts.data_done;
    if (Clock::now() >= latest) {
      continue;
    }
    ConnectionPool::Failure failure;
    made = pool.take(latest, failure, clocks.which);
    clocks.which = ConnectionPool::Which::kAny;
    if (made && made.reused()) {
      --next;  // should it die, a fresh one is worth a dial
    }
    if (!made) {
      clocks.trouble = failure.trouble;
      clocks.trouble_words = failure.reason;
      log_.warning(Record("connection-failed")
                       .add("trace", clocks.trace.text())
                       .add("destination", pool.store().destination.text)
                       .add("failed", failure.reason));
    }
  }
  if (!made && clocks.trouble_words.empty()) {
    clocks.trouble = Trouble::kBusy;
    clocks.trouble_words = "no time is left to hear a store's answer";
  }
  clocks.connecting += Clock::now() - start;
  return made;
}

void Delivery::log_tags(const MessageState& progress) const {
  const auto record = [&] {
    Record made("tag-rejected");
    made.add("trace", progress.trace().text()).add("qid", progress.queue_id().text());
    return made.add("tag", "rejected");
  };
  const auto count = [&](std::string_view verdict) {
    if (shared_.meter != nullptr) {
      shared_.meter->tag_judged(verdict);
    }
  };
  if (progress.tags().valid) {
    count("valid");
  }
  for (const RejectedTag& tag : progress.tags().rejected) {
    log_.warning(
        record().add("reason", kTagFaultNames[static_cast<int>(tag.fault)]).add("key", tag.key));
    count(kTagFaultNames[static_cast<int>(tag.fault)]);
  }
  if (progress.tags().unread > 0) {
    log_.warning(record()
                     .add("reason", kTagFaultNames[static_cast<int>(TagFault::kTwoTags)])
                     .add("more", static_cast<long long>(progress.tags().unread)));
  }
}

void Delivery::log_outcome(const MessageState& progress, std::size_t recipient,
                           const Attempt& clocks) const {
  const Outcome& outcome = progress.outcome(recipient);
  const Upstream* const upstream = clocks.upstream ? &*clocks.upstream : nullptr;
  const Clock::time_point now = Clock::now();
  const Clock::time_point dot = clocks.dot_out() ? upstream->dot_time() : now;
  const std::string delays = seconds(clocks.complete - clocks.begun) + '/' +
                             seconds(clocks.connecting) + '/' + seconds(dot - clocks.started) +
                             '/' + seconds(now - dot);
  Record record("delivery");
  record.add("trace", progress.trace().text())
      .add("qid", progress.queue_id().text())
      .add("sessionid", upstream != nullptr ? upstream->client().session() : "")
      .add("from", progress.envelope().sender.path())
      .add("to", progress.envelope().recipients[recipient].mailbox.path())
      .add("relay", upstream != nullptr ? upstream->peer() : "none")
      .add("status", kFateNames[static_cast<int>(outcome.fate)])
      .add("dsn", outcome.status.text())
      .add("reply", reply_text(outcome))
      .add("delays", delays)
      .add("size", static_cast<long long>(progress.body().size()))
      .add("conn_use", upstream != nullptr ? upstream->transactions() : 0)
      .add("ignorequota", kBypassNames[static_cast<int>(progress.bypass(recipient))])
      .add("tls", upstream != nullptr ? tls_summary(*upstream) : "none")
      .add("auth",
           upstream != nullptr && !upstream->mechanism().empty() ? upstream->mechanism() : "none")
      .add("tag", progress.tags().valid ? progress.tags().valid->key_id() : "");
  if (upstream != nullptr && upstream->mechanism().empty() && asks_for_login(outcome)) {
    record.add("hint", "no login is configured for this destination");
  }
  log_.write(outcome.fate == Fate::kTemporary ? LogLevel::kWarning : LogLevel::kInfo, record);
  if (shared_.meter != nullptr) {
    measure(progress, recipient, clocks, dot, now);
  }
}

void Delivery::measure(const MessageState& progress, std::size_t recipient, const Attempt& clocks,
                       Clock::time_point dot, Clock::time_point now) const {
  DeliveryEvents::Fact fact{{},
                            progress.outcome(recipient),
                            kBypassNames[static_cast<int>(progress.bypass(recipient))],
                            clocks.connecting,
                            {}};
  if (clocks.upstream) {
    fact.destination = clocks.upstream.store().destination.text;
  }
  if (clocks.dot_out()) {
    fact.transfer = {dot - clocks.started, now - dot};
  }
  shared_.meter->decided(fact);
}

}  // namespace lmtpq::mailer
