// One client's messages, each by the configuration of its moment.
//
// What it is: the way from a session to the deliveries: the present Configuration's listener, its
// routes, its
//   pools.
// What it does not know: the client's dialogue (Session), how a delivery goes (Delivery).
// Called by: Session.
// Threads and lifetimes: one client's; what it refers to outlives it. A listener that is no longer
//   configured serves those who are connected as it did.
// Failure: none escapes; a store that cannot be had is its recipients' temporary outcome.
#pragma once

#include <memory>
#include <string>

#include "mailer/delivery/delivery.h"
#include "mailer/delivery/delivery_agent.h"
#include "mailer/serve/configuration/configuration.h"

namespace lmtpq::mailer {

class ListenerDelivery : public DeliveryAgent {
 public:
  // `address` is the listener's; `site` has it.
  ListenerDelivery(const CurrentConfiguration& present, std::shared_ptr<const Configuration> site,
                   const std::string& address, const Log& log, Shared shared);

  Delivered deliver(const Envelope& envelope, const MailData& data,
                    Clock::time_point begun) override;
  void reply_lost() override;

 private:
  const CurrentConfiguration& present_;
  const std::shared_ptr<const Configuration> site_;
  const std::string& address_;
  const Log& log_;
  const Shared shared_;
};

}  // namespace lmtpq::mailer
