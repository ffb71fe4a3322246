// One message to recipients whose mailboxes are on different stores.
//
// What it is: recipients grouped by their routes, one delivery for each group, side by side, and
//   one outcome per recipient in the envelope's order.
// What it does not know: maps (Routes does), connections, how a delivery goes (GroupAgent does).
// Called by: Session, in the daemon.
// Threads and lifetimes: may be used by several threads. A message with several groups takes up to
//   kMostAtOnce of them, which end before deliver() does; where no thread is to be had, groups
//   follow each other.
// Failure: none escapes. What a group throws is the temporary outcome of its recipients alone.
#pragma once

#include <memory>
#include <vector>

#include "mailer/delivery/delivery_agent.h"
#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

// What FanOut needs of the floor below. Both may be called by several threads at once, for parts
// of one message, whose data is the whole message's.
class GroupAgent {
 public:
  using Times = MessageTimes;  // for groups that wait for others, too
  virtual ~GroupAgent() = default;
  // To the stores of the route; nullptr: the default ones.
  virtual Delivered deliver(const std::vector<Destination>* route, const Envelope& envelope,
                            const MailData& data, const Times& times) = 0;
  // No store is asked: the map decided on each of them. For the log, and the trace id.
  virtual Delivered settle(std::vector<Outcome> outcomes, const Envelope& envelope,
                           const MailData& data, const Times& times) = 0;
};

class FanOut : public DeliveryAgent {
 public:
  static constexpr std::size_t kMostAtOnce = 16;

  // Without routes (nullptr) all is one group.
  FanOut(Routes* routes, GroupAgent& road) : routes_(routes), road_(road) {}

  Delivered deliver(const Envelope& envelope, const MailData& data,
                    Clock::time_point begun) override;

 private:
  struct Group;

  Delivered deliver_groups(const Envelope& envelope, const MailData& data,
                           const GroupAgent::Times& times) const;
  std::vector<Group> group(const Envelope& envelope) const;
  Route find(const Mailbox& recipient) const;
  void run(Group& group, const Envelope& part, const MailData& data,
           const GroupAgent::Times& times) const;
  static void put_together(std::vector<Group>& groups, Delivered& all);
  static void fail(const Group& group, Delivered& all);

  Routes* const routes_;
  GroupAgent& road_;
};

}  // namespace lmtpq::mailer
