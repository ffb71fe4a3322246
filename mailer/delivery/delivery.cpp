#include "mailer/delivery/delivery.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "common/config_error.h"
#include "mailer/io/waiting.h"
#include "mailer/store/mailbox_name.h"

namespace lmtpq::mailer {
namespace {

// From the end of data to a connection: less than this is no wait.
constexpr std::chrono::milliseconds kNoWait{1};

}  // namespace

Delivery::Delivery(const Settings& settings, PoolList& pools, const Log& log,
                   DeliveryServices services, PoolsOfRoute pools_of_route)
    : settings_(settings),
      pools_(pools),
      pools_of_route_(std::move(pools_of_route)),
      mailboxes_(services.mailboxes),
      log_(log, services.events) {}

DeliveryResult Delivery::deliver(const DeliveryRequest& request) {
  Attempt attempt(request, settings_.timeouts.answer());
  MessageState message(request.envelope, request.data, settings_,
                       [&](const MessageState& state, std::size_t recipient) {
                         log_.outcome(state, recipient, attempt);
                         if (attempt.turns) {
                           attempt.turns->end(recipient);
                         }
                         if (attempt.client != nullptr) {
                           attempt.client->decided(recipient, state.outcome(recipient),
                                                   state.trace());
                         }
                         pace();  // a message may have a thousand recipients
                       });
  if (request.part == 0) {
    log_.tags(message);
  }
  try {
    decide(request, message, attempt);
  } catch (const std::exception& error) {
    // Out of memory, most likely. Outcomes that were decided stay; a message that the store may
    // have filed although its reply was not read is reported as a possible duplicate.
    message.decide_rest(attempt.message_sent() ? Trouble::kUncertain : Trouble::kInternal,
                        error.what());
    attempt.connection = Lease();
  }
  return {message.trace(), message.outcomes(), message.queue_id()};
}

void Delivery::decide(const DeliveryRequest& request, MessageState& message,
                      Attempt& attempt) const {
  if (request.decided != nullptr) {
    for (std::size_t i = 0; i < request.decided->size(); ++i) {
      message.decide(i, (*request.decided)[i]);
    }
    return;
  }
  if (request.route != nullptr) {
    try {
      attempt.routed = pools_of_route_(*request.route);
    } catch (const ConfigError& error) {
      message.decide_rest(Trouble::kConfiguration, error.what());
      return;
    }
  }
  const MessageSpool& body = message.body();
  const std::uint64_t nuls = message.text().nuls;
  if (nuls > 0 && settings_.nul == NulPolicy::kRefuse) {
    message.decide_rest(Trouble::kNul, std::to_string(nuls) + " (see --nul)");
  } else if (body.state() == MessageSpool::State::kTooLarge) {
    message.decide_rest(Trouble::kTooLarge, std::to_string(body.size()) + " bytes; the limit is " +
                                                std::to_string(*settings_.max_message_size));
  } else if (body.state() == MessageSpool::State::kUnspooled) {
    message.decide_rest(Trouble::kSpool, body.failure());
  } else {
    ask_stores(attempt.routed ? *attempt.routed : pools_, message, attempt);
  }
}

void Delivery::ask_stores(PoolList& pools, MessageState& message, Attempt& attempt) const {
  limit_mailboxes(pools, message, attempt);
  attempt.stores = StoresToTry(pools.order());
  while (message.undecided()) {
    if (!attempt.first_try && client_left(message, attempt)) {
      return;
    }
    attempt.pass_on();
    if (!await_turn(pools, message, attempt)) {
      return;
    }
    attempt.connection = lease(pools, message, attempt);
    if (client_left(message, attempt)) {
      return;
    }
    if (!attempt.connection) {
      message.decide_rest(attempt.trouble, attempt.trouble_text);
      return;
    }
    // Recipients that need another transaction stay in this session, which another delivery could
    // take otherwise.
    do {
      transact(message, attempt);
      attempt.end_transaction();
    } while (message.undecided() && attempt.takes_more() && attempt.trouble != Trouble::kLost &&
             attempt.connection->alive() && !attempt.client_gone());
    if (attempt.trouble == Trouble::kLost) {
      after_loss(attempt);
    }
    if (attempt.connection.ends()) {
      attempt.pass_on();  // before QUIT, to which the store may be slow to reply
    }
    attempt.connection.give_back();
  }
}

// Where the message goes after its connection was lost.
void Delivery::after_loss(Attempt& attempt) {
  Lease& lost = attempt.connection;
  if (lost.reused() || lost->transactions() > 1) {
    // Other idle connections may be as dead, or the message may be what kills them.
    attempt.which = ConnectionPool::Which::kNew;
  } else if (lost->ended_at_trace()) {
    lost.pause_trace();  // then the same store again
  } else {
    attempt.stores.remove_first();
  }
}

// Only a delivery that has waited looks: for one that has not, the system call would cost more than
// it saves.
bool Delivery::client_left(MessageState& message, Attempt& attempt) const {
  const bool waited = Clock::now() - attempt.complete >= kNoWait;
  if (attempt.first_try && !waited) {
    return false;
  }
  if (!attempt.client_gone()) {
    return false;
  }
  attempt.connection.give_back();
  message.decide_rest(Trouble::kClientGone, "the message was not sent to the store");
  return true;
}

// A message that came back through another lmtpq has its mailboxes already, and would wait for
// itself.
void Delivery::limit_mailboxes(PoolList& pools, const MessageState& message,
                               Attempt& attempt) const {
  const Envelope& envelope = message.envelope();
  if (mailboxes_ == nullptr || !mailboxes_->limits() || envelope.hops.came_back()) {
    return;
  }
  const PoolSettings& settings = pools[0].store().settings.pool;
  std::vector<std::string> names;
  for (const auto& recipient : envelope.recipients) {
    pace();
    names.push_back(mailbox_name(recipient.mailbox, settings.recipient_delimiter));
  }
  attempt.turns.emplace(*mailboxes_, std::move(names));
  attempt.patience_for_turns = settings.wait;
}

// Before a connection is leased: none is held during this wait. False: nobody is left to deliver
// to.
bool Delivery::await_turn(PoolList& pools, MessageState& message, Attempt& attempt) const {
  if (attempt.takes_more()) {
    return true;
  }
  const Clock::time_point start = Clock::now();
  // A later turn would leave no time for the store's reply.
  const Deadline latest = attempt.latest_answer - pools[0].store().settings.timeouts.data_done;
  const bool taken =
      attempt.turns->take(attempt.patience(std::min(latest, start + attempt.patience_for_turns)));
  const Clock::duration waited = Clock::now() - start;
  attempt.connecting += waited;
  attempt.patience_for_turns -= waited;
  if (!taken && client_left(message, attempt)) {
    return false;
  }
  if (!taken) {
    message.decide_rest(Trouble::kMailboxBusy,
                        "too many deliveries to it in progress (see --mailbox-limit)");
    return false;
  }
  attempt.stores = StoresToTry(pools.order());  // others may be up by now
  return true;
}

// An idle connection of any store, where reuse comes before the order of the stores. Otherwise a
// connection of the first store that has or opens one.
Lease Delivery::lease(PoolList& pools, const MessageState& message, Attempt& attempt) const {
  const Clock::time_point start = Clock::now();
  Lease made = pools.take_idle();
  while (!made && !attempt.stores.empty()) {
    ConnectionPool& pool = attempt.stores.first();
    const Deadline latest = attempt.latest_answer - pool.store().settings.timeouts.data_done;
    if (Clock::now() >= latest) {
      attempt.stores.remove_first();
      continue;
    }
    ConnectionPool::Failure failure;
    made = pool.take(
        attempt.patience(latest), failure,
        std::exchange(attempt.which, ConnectionPool::Which::kAny),
        attempt.stores.has_others() ? Connector::Resort::kOthers : Connector::Resort::kLast);
    if (!made && attempt.client_gone()) {
      break;
    }
    if (!made) {
      attempt.stores.remove_first();
      attempt.spent += failure.spent;
      attempt.trouble = failure.trouble;
      attempt.trouble_text = failure.reason;
      if (failure.trouble != Trouble::kLoop) {  // that is logged once for all messages
        log_.store_failed(message, pool.store(), failure.reason);
      }
    }
  }
  if (!made && attempt.trouble_text.empty()) {
    attempt.trouble = Trouble::kBusy;
    attempt.trouble_text = "no time is left to wait for a store's reply";
  }
  if (made) {
    attempt.spent += made.opening();
  }
  attempt.connecting += Clock::now() - start;
  return made;
}

// One transaction on the leased connection, which has just proved alive.
void Delivery::transact(MessageState& message, Attempt& attempt) const {
  Upstream& upstream = *attempt.connection;
  attempt.first_try = false;
  attempt.trouble = Trouble::kUnreachable;
  attempt.started = Clock::now();
  auto transaction = message.next_transaction(
      upstream.client().capabilities(), upstream.settings().recipient_limit,
      [&](std::size_t recipient) { return !attempt.turns || attempt.turns->has(recipient); });
  if (!transaction) {
    return;
  }
  if (attempt.turns) {
    attempt.turns->keep_only(message.asked());
  }
  if (!attempt.connection.may_trace()) {
    transaction->trace = TraceId();
  }
  attempt.pass_on();
  upstream.transact(*transaction, message.body(),
                    attempt.latest_answer - upstream.settings().timeouts.data_done,
                    attempt.latest_answer, [&message, &attempt] {
                      message.take_early_answers(*attempt.connection);
                      attempt.pass_on();
                    });
  // A connection that could not be used at all may have refused TRACE for the same reason.
  const LmtpClient& client = upstream.client();
  if (client.trace_refusal() && client.state() != ClientState::kBroken) {
    log_.trace_refused(message, upstream);
  }
  if (!message.take_answers(upstream)) {
    return;
  }
  const std::string reason = upstream.peer() + ": " + client.reason();
  if (upstream.dot_sent()) {
    message.decide_unanswered(Trouble::kUncertain, reason);
  } else if (!upstream.spool_failure().empty()) {
    message.decide_rest(Trouble::kSpool, upstream.spool_failure());
  } else {
    attempt.trouble = Trouble::kLost;
    attempt.trouble_text = reason;
    if (attempt.connection.reused() || upstream.transactions() > 1 || upstream.ended_at_trace()) {
      log_.connection_lost(message, attempt, client.reason());
    } else {
      log_.store_failed(message, attempt.connection.store(), reason);
    }
  }
}

}  // namespace lmtpq::mailer
