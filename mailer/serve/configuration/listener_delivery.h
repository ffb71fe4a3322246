// The daemon's agent for one client: each message is delivered by the configuration of the moment.
//
// Takes the listener, its routes and its pools from the Configuration that is current at end of
// data. Where a reload removed the listener during the message, the one of its MAIL counts; between
// messages no Configuration is held. What it refers to outlives it; one thread or fiber uses it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "mailer/delivery/delivery.h"
#include "mailer/delivery/delivery_agent.h"
#include "mailer/serve/configuration/configuration.h"

namespace lmtpq::mailer {

class ListenerDelivery : public DeliveryAgent {
 public:
  ListenerDelivery(const CurrentConfiguration& current, const std::string& address, const Log& log,
                   DeliveryServices services)
      : current_(current), address_(address), log_(log), services_(services) {}

  // Before each message. `configuration` has a listener with this address.
  void begin(std::shared_ptr<const Configuration> configuration) {
    begun_with_ = std::move(configuration);
  }
  DeliveryResult deliver(const DeliveryRequest& request) override;
  void reply_lost() override;
  void rest() override { begun_with_.reset(); }

 private:
  const CurrentConfiguration& current_;
  std::shared_ptr<const Configuration> begun_with_;
  const std::string& address_;
  const Log& log_;
  const DeliveryServices services_;
};

}  // namespace lmtpq::mailer
