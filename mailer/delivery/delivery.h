// The agent that asks the stores: from envelope and message to one outcome for each recipient.
//
// It leases a connection, idle or new, and runs a transaction on it. Recipients that are still
// undecided go into another transaction: on a new connection, at the next store, or they get a
// temporary outcome. Before end of data a lost connection is replaced; after it never, since the
// store may have the message (docs/DECISIONS.md, "Rules that every change keeps"). A client that
// has disconnected during a wait gets nothing delivered.
//
// Has no state of a message, so that several threads may deliver parts at once. Settings, pools,
// log and services must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/log/log.h"
#include "mailer/delivery/attempt.h"
#include "mailer/delivery/delivery_agent.h"
#include "mailer/delivery/delivery_log.h"
#include "mailer/delivery/message_state.h"
#include "mailer/memory/memory_budget.h"
#include "mailer/message/delivery_events.h"
#include "mailer/settings/settings.h"
#include "mailer/store/mailbox_limiter.h"
#include "mailer/store/pool_list.h"

namespace lmtpq::mailer {

// What all deliveries of the daemon share; `relay` and `deliver` have none of it.
struct DeliveryServices {
  MailboxLimiter* mailboxes = nullptr;
  DeliveryEvents* events = nullptr;
  MemoryBudget* memory = nullptr;
};

class Delivery : public DeliveryAgent {
 public:
  // The pools of a route's stores. ConfigError where a store cannot be used: its recipients are
  // deferred.
  using PoolsOfRoute =
      std::function<std::shared_ptr<PoolList>(const std::vector<Destination>& route)>;

  // `pools` are the default stores. Without `pools_of_route` no request may have a route.
  Delivery(const Settings& settings, PoolList& pools, const Log& log,
           DeliveryServices services = {}, PoolsOfRoute pools_of_route = nullptr);

  DeliveryResult deliver(const DeliveryRequest& request) override;
  bool has_idle() const override { return pools_.has_idle(); }
  void close_idle() override { pools_.close_idle(); }

 private:
  void decide(const DeliveryRequest& request, MessageState& message, Attempt& attempt) const;
  void ask_stores(PoolList& pools, MessageState& message, Attempt& attempt) const;
  void limit_mailboxes(PoolList& pools, const MessageState& message, Attempt& attempt) const;
  bool await_turn(PoolList& pools, MessageState& message, Attempt& attempt) const;
  Lease lease(PoolList& pools, const MessageState& message, Attempt& attempt) const;
  bool client_left(MessageState& message, Attempt& attempt) const;
  void transact(MessageState& message, Attempt& attempt) const;
  static void after_loss(Attempt& attempt);

  const Settings& settings_;
  PoolList& pools_;
  const PoolsOfRoute pools_of_route_;
  MailboxLimiter* const mailboxes_;
  const DeliveryLog log_;
};

}  // namespace lmtpq::mailer
