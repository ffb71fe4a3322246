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

Delivery::Delivery(const Settings& settings, PoolList& pools, const Log& log,
                   DeliveryServices services)
    : settings_(settings), pools_(pools), log_(log), services_(services) {}

Delivered Delivery::deliver(const Envelope& envelope, const MailData& data,
                            Clock::time_point begun) {
  return deliver(envelope, data, {begun, Clock::now()});
}

Delivered Delivery::deliver(const Envelope& envelope, const MailData& data,
                            const MessageTimes& times) {
  const Body& body = data.body();
  return go(envelope, data, times, [&](MessageState& state, Attempt& attempt) {
    if (body.state() == Body::State::kTooLarge) {
      state.decide_rest(Trouble::kTooLarge, std::to_string(body.size()) + " bytes, allowed are " +
                                                std::to_string(*settings_.max_message_size));
    } else if (body.state() == Body::State::kUnspooled) {
      state.decide_rest(Trouble::kSpool, body.failure());
    } else {
      run(state, attempt);
    }
  });
}

Delivered Delivery::settle(std::vector<Outcome> outcomes, const Envelope& envelope,
                           const MailData& data, const MessageTimes& times) {
  return go(envelope, data, times, [&](MessageState& state, Attempt&) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      state.decide(i, std::move(outcomes[i]));
    }
  });
}

Delivered Delivery::go(const Envelope& envelope, const MailData& data, const MessageTimes& times,
                       const Decide& decide) {
  Attempt attempt;
  attempt.begun = times.begun;
  attempt.complete = times.complete;
  attempt.started = Clock::now();
  attempt.latest_answer = attempt.complete + settings_.timeouts.answer();
  MessageState* told = nullptr;
  MessageState state(envelope, data, settings_,
                     [&](std::size_t recipient) { log_outcome(*told, recipient, attempt); });
  told = &state;
  attempt.trace = state.trace();
  log_tags(state);
  try {
    decide(state, attempt);
  } catch (const std::exception& error) {
    // Out of memory, most likely. What the store answered stands; where it may have filed the
    // message unheard, the words must say so.
    state.decide_rest(attempt.dot_out() ? Trouble::kUncertain : Trouble::kInternal, error.what());
    attempt.upstream = Lease();
  }
  return {state.trace(), state.outcomes()};
}

void Delivery::run(MessageState& state, Attempt& attempt) {
  const Claim claim = this->claim(state, attempt);
  if (!claim) {
    state.decide_rest(Trouble::kBusy, "deliveries to one of these mailboxes");
    return;
  }
  const std::vector<ConnectionPool*> order = pools_.order();
  std::size_t next = 0;
  while (state.undecided()) {
    attempt.upstream = lease(order, next, attempt);
    if (!attempt.upstream) {
      state.decide_rest(attempt.trouble, attempt.trouble_words);
      return;
    }
    transact(state, *attempt.upstream, attempt);
    if (attempt.upstream.kept() && attempt.trouble == Trouble::kLost) {
      attempt.which = ConnectionPool::Which::kNew;
    } else if (!attempt.upstream.kept() && attempt.trouble != Trouble::kLost) {
      --next;  // what is left is worth another transaction at the same place
    }
    attempt.upstream.give_back();
  }
}

// Taken before a connection is, which would else be held while we wait.
Claim Delivery::claim(const MessageState& state, Attempt& attempt) const {
  if (services_.mailboxes == nullptr) {
    return Claim::unneeded();
  }
  std::vector<std::string> mailboxes;
  for (const auto& recipient : state.envelope().recipients) {
    std::string name = recipient.mailbox.text();
    std::transform(name.begin(), name.end(), name.begin(), ascii_lower);
    mailboxes.push_back(std::move(name));
  }
  const Clock::time_point start = Clock::now();
  // Granted later, it would leave no time for the store's answer.
  const Deadline latest = attempt.latest_answer - settings_.store.timeouts.data_done;
  Claim made = services_.mailboxes->claim(std::move(mailboxes), latest);
  attempt.connecting += Clock::now() - start;
  return made;
}

// One transaction on a connection that has just proved alive.
void Delivery::transact(MessageState& state, Upstream& upstream, Attempt& attempt) {
  attempt.trouble = Trouble::kUnreachable;
  attempt.started = Clock::now();
  auto transaction =
      state.next_transaction(upstream.client().capabilities(), upstream.settings().recipient_limit);
  if (!transaction) {
    return;
  }
  upstream.transact(std::move(*transaction), state.body(),
                    attempt.latest_answer - upstream.settings().timeouts.data_done,
                    attempt.latest_answer);
  if (const auto& refusal = upstream.client().trace_refusal()) {
    log_.warning(Record()
                     .add("trace", state.trace().text())
                     .add("relay", upstream.peer())
                     .add("trace-refused", refusal->summary()));
  }
  if (!state.take_answers(upstream)) {
    return;
  }
  const std::string words = upstream.peer() + ": " + upstream.client().reason();
  if (upstream.dot_sent()) {
    state.decide_unanswered(Trouble::kUncertain, words);
  } else if (!upstream.spool_failure().empty()) {
    state.decide_rest(Trouble::kSpool, upstream.spool_failure());
  } else {
    attempt.trouble = Trouble::kLost;
    attempt.trouble_words = words;
  }
}

// One that is kept, of whichever store: it has proved that it takes mail. Else the stores in order,
// from the `next` one on, until one is ready.
Lease Delivery::lease(const std::vector<ConnectionPool*>& order, std::size_t& next,
                      Attempt& attempt) {
  const Clock::time_point start = Clock::now();
  Lease made = pools_.take_kept();
  while (!made && next < order.size()) {
    ConnectionPool& pool = *order[next++];
    const Deadline latest = attempt.latest_answer - pool.store().settings.timeouts.data_done;
    if (Clock::now() >= latest) {
      continue;
    }
    ConnectionPool::Failure failure;
    made = pool.take(latest, failure, attempt.which);
    attempt.which = ConnectionPool::Which::kAny;
    if (made && made.kept()) {
      --next;  // should it die, a fresh one is worth a dial
    }
    if (!made) {
      attempt.trouble = failure.trouble;
      attempt.trouble_words = failure.words;
      log_.warning(Record()
                       .add("trace", attempt.trace.text())
                       .add("destination", pool.store().destination.text)
                       .add("failed", failure.words));
    }
  }
  if (!made && attempt.trouble_words.empty()) {
    attempt.trouble = Trouble::kBusy;
    attempt.trouble_words = "no time is left to hear a store's answer";
  }
  attempt.connecting += Clock::now() - start;
  return made;
}

void Delivery::log_tags(const MessageState& state) const {
  const auto record = [&] {
    Record made;
    made.add("trace", state.trace().text()).add("qid", state.queue_id().text());
    return made.add("tag", "rejected");
  };
  const auto count = [&](std::string_view verdict) {
    if (services_.events != nullptr) {
      services_.events->tag_judged(verdict);
    }
  };
  if (state.tags().valid) {
    count("valid");
  }
  for (const RejectedTag& tag : state.tags().rejected) {
    log_.warning(
        record().add("reason", kTagFaultNames[static_cast<int>(tag.fault)]).add("key", tag.key));
    count(kTagFaultNames[static_cast<int>(tag.fault)]);
  }
  if (state.tags().unread > 0) {
    log_.warning(record()
                     .add("reason", kTagFaultNames[static_cast<int>(TagFault::kTwoTags)])
                     .add("more", static_cast<long long>(state.tags().unread)));
  }
}

void Delivery::log_outcome(const MessageState& state, std::size_t recipient,
                           const Attempt& attempt) const {
  const Outcome& outcome = state.outcome(recipient);
  const Upstream* const upstream = attempt.upstream ? &*attempt.upstream : nullptr;
  const Clock::time_point now = Clock::now();
  const Clock::time_point dot = attempt.dot_out() ? upstream->dot_time() : now;
  const std::string delays = seconds(attempt.complete - attempt.begun) + '/' +
                             seconds(attempt.connecting) + '/' + seconds(dot - attempt.started) +
                             '/' + seconds(now - dot);
  Record record;
  record.add("trace", state.trace().text())
      .add("qid", state.queue_id().text())
      .add("sessionid", upstream != nullptr ? upstream->client().session() : "")
      .add("from", state.envelope().sender.path())
      .add("to", state.envelope().recipients[recipient].mailbox.path())
      .add("relay", upstream != nullptr ? upstream->peer() : "none")
      .add("status", kFateNames[static_cast<int>(outcome.fate)])
      .add("dsn", outcome.status.text())
      .add("reply", words_of(outcome))
      .add("delays", delays)
      .add("size", static_cast<long long>(state.body().size()))
      .add("conn_use", upstream != nullptr ? upstream->transactions() : 0)
      .add("ignorequota", kBypassNames[static_cast<int>(state.bypass(recipient))])
      .add("tls", upstream != nullptr ? tls_words(*upstream) : "none")
      .add("auth",
           upstream != nullptr && !upstream->mechanism().empty() ? upstream->mechanism() : "none")
      .add("tag", state.tags().valid ? state.tags().valid->key_id() : "");
  if (upstream != nullptr && upstream->mechanism().empty() && asks_for_login(outcome)) {
    record.add("hint", "no login is configured for this destination");
  }
  log_.write(outcome.fate == Fate::kTemporary ? LogLevel::kWarning : LogLevel::kInfo, record);
  if (services_.events != nullptr) {
    measure(state, recipient, attempt, dot, now);
  }
}

void Delivery::measure(const MessageState& state, std::size_t recipient, const Attempt& attempt,
                       Clock::time_point dot, Clock::time_point now) const {
  DeliveryEvents::Fact fact{{},
                            state.outcome(recipient),
                            kBypassNames[static_cast<int>(state.bypass(recipient))],
                            attempt.connecting,
                            {}};
  if (attempt.upstream) {
    fact.destination = attempt.upstream.store().destination.text;
  }
  if (attempt.dot_out()) {
    fact.transfer = {dot - attempt.started, now - dot};
  }
  services_.events->decided(fact);
}

}  // namespace lmtpq::mailer
