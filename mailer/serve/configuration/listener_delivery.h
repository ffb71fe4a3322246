// The daemon's agent for one client: each message is delivered by the configuration of the moment.
//
// Takes the listener, its routes and its pools from the current Configuration, so that a reload
// takes effect with the client's next message. A listener that a reload removed serves its
// connected clients as before. What it refers to outlives it; one thread or fiber uses it.
#pragma once

#include <memory>
#include <string>

#include "mailer/delivery/delivery.h"
#include "mailer/delivery/delivery_agent.h"
#include "mailer/serve/configuration/configuration.h"

namespace lmtpq::mailer {

class ListenerDelivery : public DeliveryAgent {
 public:
  // `configuration` has a listener with this address.
  ListenerDelivery(const CurrentConfiguration& current,
                   std::shared_ptr<const Configuration> configuration, const std::string& address,
                   const Log& log, DeliveryServices services);

  DeliveryResult deliver(const DeliveryRequest& request) override;
  void reply_lost() override;

 private:
  const CurrentConfiguration& current_;
  const std::shared_ptr<const Configuration> first_;  // of the time when the client connected
  const std::string& address_;
  const Log& log_;
  const DeliveryServices services_;
};

}  // namespace lmtpq::mailer
