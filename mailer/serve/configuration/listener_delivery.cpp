#include "mailer/serve/configuration/listener_delivery.h"

#include <utility>

#include "common/config_error.h"
#include "mailer/delivery/fan_out.h"

namespace lmtpq::mailer {
namespace {

// The parts of one message, each to its stores.
class DoorDelivery : public GroupAgent {
 public:
  DoorDelivery(const Configuration& configuration, const Listener& listener, const Log& log,
               DeliveryServices services)
      : configuration_(configuration), listener_(listener), log_(log), services_(services) {}

  Delivered deliver(const std::vector<Destination>* route, const Envelope& envelope,
                    const MailData& data, const Times& times) override {
    if (route == nullptr) {
      return delivery(*listener_.pools).deliver(envelope, data, times);
    }
    try {
      return delivery(*configuration_.pools(listener_, *route)).deliver(envelope, data, times);
    } catch (const ConfigError& error) {
      return settle({envelope.recipients.size(), outcome_of(Trouble::kConfiguration, error.what())},
                    envelope, data, times);
    }
  }

  Delivered settle(std::vector<Outcome> outcomes, const Envelope& envelope, const MailData& data,
                   const Times& times) override {
    return delivery(*listener_.pools).settle(std::move(outcomes), envelope, data, times);
  }

 private:
  Delivery delivery(PoolList& pools) const {
    return Delivery(listener_.settings, pools, log_, services_);
  }

  const Configuration& configuration_;
  const Listener& listener_;
  const Log& log_;
  const DeliveryServices services_;
};

}  // namespace

ListenerDelivery::ListenerDelivery(const CurrentConfiguration& current,
                                   std::shared_ptr<const Configuration> configuration,
                                   const std::string& address, const Log& log,
                                   DeliveryServices services)
    : current_(current),
      configuration_(std::move(configuration)),
      address_(address),
      log_(log),
      services_(services) {}

Delivered ListenerDelivery::deliver(const Envelope& envelope, const MailData& data,
                                    Clock::time_point begun) {
  std::shared_ptr<const Configuration> configuration = current_.get();
  const Listener* listener = configuration->listener(address_);
  if (listener == nullptr) {
    configuration = configuration_;
    listener = configuration->listener(address_);
  }
  if (services_.events != nullptr) {
    const Body& body = data.body();
    const bool spooled = body.state() == Body::State::kGood && body.size() > Body::kMemory;
    services_.events->taken({body.size(), spooled, Clock::now() - begun});
  }
  DoorDelivery delivery(*configuration, *listener, log_, services_);
  return FanOut(configuration->routes(), delivery).deliver(envelope, data, begun);
}

void ListenerDelivery::reply_lost() {
  if (services_.events != nullptr) {
    services_.events->reply_lost();
  }
}

}  // namespace lmtpq::mailer
