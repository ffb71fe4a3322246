#include "mailer/serve/configuration/listener_delivery.h"

#include <utility>

#include "common/config_error.h"
#include "mailer/delivery/fan_out.h"

namespace lmtpq::mailer {
namespace {

// The parts of one message, each to its stores.
class DoorDelivery : public GroupAgent {
 public:
  DoorDelivery(const Configuration& site, const Door& door, const Log& log, Shared shared)
      : site_(site), door_(door), log_(log), shared_(shared) {}

  Delivered deliver(const std::vector<Destination>* route, const Envelope& envelope,
                    const MailData& data, const Times& times) override {
    if (route == nullptr) {
      return delivery(*door_.pools).deliver(envelope, data, times);
    }
    try {
      return delivery(*site_.pools(door_, *route)).deliver(envelope, data, times);
    } catch (const ConfigError& error) {
      return settle({envelope.recipients.size(), outcome_of(Trouble::kConfiguration, error.what())},
                    envelope, data, times);
    }
  }

  Delivered settle(std::vector<Outcome> outcomes, const Envelope& envelope, const MailData& data,
                   const Times& times) override {
    return delivery(*door_.pools).settle(std::move(outcomes), envelope, data, times);
  }

 private:
  Delivery delivery(PoolList& pools) const {
    return Delivery(door_.listener->settings, pools, log_, shared_);
  }

  const Configuration& site_;
  const Door& door_;
  const Log& log_;
  const Shared shared_;
};

}  // namespace

ListenerDelivery::ListenerDelivery(const CurrentConfiguration& present,
                                   std::shared_ptr<const Configuration> site,
                                   const std::string& address, const Log& log, Shared shared)
    : present_(present), site_(std::move(site)), address_(address), log_(log), shared_(shared) {}

Delivered ListenerDelivery::deliver(const Envelope& envelope, const MailData& data,
                                    Clock::time_point begun) {
  std::shared_ptr<const Configuration> site = present_.get();
  const Door* door = site->door(address_);
  if (door == nullptr) {
    site = site_;
    door = site->door(address_);
  }
  if (shared_.meter != nullptr) {
    const Body& body = data.body();
    const bool spooled = body.state() == Body::State::kGood && body.size() > Body::kMemory;
    shared_.meter->taken({body.size(), spooled, Clock::now() - begun});
  }
  DoorDelivery delivery(*site, *door, log_, shared_);
  return FanOut(site->routes(), delivery).deliver(envelope, data, begun);
}

void ListenerDelivery::reply_lost() {
  if (shared_.meter != nullptr) {
    shared_.meter->reply_lost();
  }
}

}  // namespace lmtpq::mailer
