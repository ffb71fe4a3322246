// The progress of one message's delivery: its times, the stores that are left to try, the
// connection in use.
//
// One for each Delivery::deliver(). It holds the leased connection, so that the outcome of an
// exception can still say whether the message was sent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mailer/delivery/delivery_agent.h"
#include "mailer/store/mailbox_limiter.h"
#include "mailer/store/pool_list.h"

namespace lmtpq::mailer {

// The stores in the order in which they are tried. The first stays first until it is removed.
class StoresToTry {
 public:
  StoresToTry() = default;
  explicit StoresToTry(std::vector<ConnectionPool*> order) : order_(std::move(order)) {}
  bool empty() const { return first_ == order_.size(); }
  ConnectionPool& first() const { return *order_[first_]; }
  bool has_others() const { return first_ + 1 < order_.size(); }
  void remove_first() { ++first_; }

 private:
  std::vector<ConnectionPool*> order_;
  std::size_t first_ = 0;
};

struct Attempt {
  Attempt(const DeliveryRequest& request, std::chrono::milliseconds time_to_answer)
      : client(request.client),
        begun(request.begun),
        complete(request.complete),
        started(Clock::now()),
        latest_answer(complete + time_to_answer) {}

  // The message at hand was sent completely, end of data included; not only an earlier one on the
  // same connection.
  bool message_sent() const {
    return connection && connection->dot_sent() && connection->dot_time() >= started;
  }

  // The time of each stage up to `now`, the transaction at hand included.
  StageTimes stages(Clock::time_point now) const {
    StageTimes all = spent;
    if (connection) {
      all += connection->stages(started, now);
    }
    return all;
  }
  // Its connection may be kept for another one.
  void end_transaction() {
    const Clock::time_point now = Clock::now();
    spent = stages(now);
    started = now;
  }

  // The replies that are due go out before each wait.
  void pass_on() const {
    if (client != nullptr) {
      client->pass_on();
    }
  }
  bool client_gone() const { return client != nullptr && client->gone(); }
  // Whether a recipient may have another transaction now, without a wait for its mailbox.
  bool takes_more() { return !turns || turns->take_free(); }
  Patience patience(Deadline latest) const {
    return client == nullptr ? Patience(latest)
                             : Patience(latest, [who = client] { return who->gone(); });
  }

  MessageClient* const client;        // as in the request
  const Clock::time_point begun;      // as in the request
  const Clock::time_point complete;   // as in the request
  Clock::duration connecting{};       // waits for the mailbox's turn and for connections, together
  StageTimes spent;                   // on dials and transactions that are over
  Clock::time_point started;          // of the transaction
  const Deadline latest_answer;       // the client may give up soon after
  std::shared_ptr<PoolList> routed;   // the route's pools; they outlive the connection
  std::optional<MailboxTurns> turns;  // none: no mailbox has a limit
  Clock::duration patience_for_turns{};  // how long the recipients may still wait for theirs
  StoresToTry stores;
  Lease connection;
  bool first_try = true;                                      // no transaction has begun
  ConnectionPool::Which which = ConnectionPool::Which::kAny;  // connection is leased next
  // Why the remaining recipients are still undelivered.
  Trouble trouble = Trouble::kUnreachable;
  std::string trouble_text;
};

}  // namespace lmtpq::mailer
