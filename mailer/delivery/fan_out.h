// The agent for a message whose recipients' mailboxes are on different stores.
//
// Looks up each recipient's route, groups the recipients by route, and hands each group to another
// agent as a separate message, several at once. The result has one outcome for each recipient in
// the envelope's order.
//
// May be used by several threads. Up to kMaxAtOnce groups of a message are delivered at once, on
// fibers or threads (run_side_by_side()) that end before deliver() returns: a store that stalls
// keeps its place for minutes. Beyond kAlways of them, each takes memory of the budget; where that
// has no room, groups wait for others to end. The MessageClient gets each outcome when it is
// decided, whatever the other groups wait for.
// An exception from one group is a temporary outcome for the recipients of that group alone.
#pragma once

#include <memory>
#include <vector>

#include "mailer/delivery/delivery_agent.h"
#include "mailer/memory/memory_budget.h"
#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

class FanOut : public DeliveryAgent {
 public:
  static constexpr std::size_t kAlways = 16;  // their memory is taken with the message
  static constexpr std::size_t kMaxAtOnce = 256;

  // Without routes (nullptr) every message goes to `agent` as it is. Without a budget there is
  // memory for all.
  FanOut(Routes* routes, DeliveryAgent& agent, MemoryBudget* memory = nullptr)
      : routes_(routes), agent_(agent), memory_(memory) {}

  DeliveryResult deliver(const DeliveryRequest& request) override;

 private:
  struct Group;
  class GroupClient;

  DeliveryResult deliver_groups(const DeliveryRequest& request) const;
  std::vector<Group> group(const Envelope& envelope) const;
  std::vector<Route> find_routes(const Envelope& envelope) const;
  void deliver_group(Group& group, const Envelope& part, const DeliveryRequest& request,
                     MessageClient* client) const;
  void deliver_apart(Group& group, const Envelope& head, const DeliveryRequest& request) const;
  static void collect(std::vector<Group>& groups, DeliveryResult& all);
  static void fail(const Group& group, DeliveryResult& all);

  Routes* const routes_;
  DeliveryAgent& agent_;
  MemoryBudget* const memory_;
};

}  // namespace lmtpq::mailer
