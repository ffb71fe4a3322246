// One client's messages, each by the configuration of its moment.
//
// What it is: the way from a session to the deliveries: the current Configuration's listener, its
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
  // `address` is the listener's; `configuration` has it.
  ListenerDelivery(const CurrentConfiguration& current,
                   std::shared_ptr<const Configuration> configuration, const std::string& address,
                   const Log& log, DeliveryServices services);

  Delivered deliver(const Envelope& envelope, const MailData& data,
                    Clock::time_point begun) override;
  void reply_lost() override;

 private:
  const CurrentConfiguration& current_;
  const std::shared_ptr<const Configuration> configuration_;
  const std::string& address_;
  const Log& log_;
  const DeliveryServices services_;
};

}  // namespace lmtpq::mailer
