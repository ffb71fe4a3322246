// The road of a message: envelope and body in, exactly one outcome per recipient out.
//
// What it is: the order of connections. One is leased (kept or new), the transaction runs on it,
//   and what it left undecided goes on: to a fresh connection, to the next store, or to an end.
// What it does not know: who brought the message and how the outcomes are told (the fronts do),
//   how a connection is made and kept (the pool does), what an answer means (MessageState does).
// Called by: Session and the argv front.
// Threads and lifetimes: one thread; what it is given may be shared and must outlive it.
// Failure: none escapes; trouble of any kind is an Outcome.
// Rules: before the dot a dead connection is replaced, after it never (docs/ARCHITECTURE.md).
#pragma once

#include <functional>
#include <vector>

#include "common/log.h"
#include "mailer/delivery/delivery_agent.h"
#include "mailer/message/delivery_events.h"
#include "mailer/settings/settings.h"
#include "mailer/store/mailbox_limiter.h"
#include "mailer/store/pool_list.h"

namespace lmtpq::mailer {

class MessageState;

// What the daemon's deliveries share; `relay` and `deliver` have none of it.
struct Shared {
  MailboxLimiter* mailboxes = nullptr;
  DeliveryEvents* meter = nullptr;
};

class Delivery : public DeliveryAgent {
 public:
  Delivery(const Settings& settings, PoolList& pools, const Log& log, Shared shared = {});

  Delivered deliver(const Envelope& envelope, const MailData& data,
                    Clock::time_point begun) override;
  Delivered deliver(const Envelope& envelope, const MailData& data, const MessageTimes& times);
  // No store is asked: these are the outcomes, to be logged as others are.
  Delivered settle(std::vector<Outcome> outcomes, const Envelope& envelope, const MailData& data,
                   const MessageTimes& times);
  bool has_idle() const override { return pools_.has_idle(); }
  void drop_idle() override { pools_.close_idle(); }

 private:
  struct Attempt;  // when the message reached which stage

  using Decide = std::function<void(MessageState&, Attempt&)>;
  Delivered go(const Envelope& envelope, const MailData& data, const MessageTimes& times,
               const Decide& decide);
  void run(MessageState& progress, Attempt& clocks);
  Claim claim(const MessageState& progress, Attempt& clocks) const;
  Lease lease(const std::vector<ConnectionPool*>& order, std::size_t& next, Attempt& clocks);
  void attempt(MessageState& progress, Upstream& upstream, Attempt& clocks);
  void log_tags(const MessageState& progress) const;
  void log_outcome(const MessageState& progress, std::size_t recipient,
                   const Attempt& clocks) const;
  void measure(const MessageState& progress, std::size_t recipient, const Attempt& clocks,
               Clock::time_point dot, Clock::time_point now) const;

  const Settings& settings_;
  PoolList& pools_;
  const Log& log_;
  Shared shared_;
};

}  // namespace lmtpq::mailer
