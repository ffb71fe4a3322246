#include "site_carrier.h"

#include <utility>

#include "config.h"
#include "dispatch.h"

namespace lmtpq {
namespace {

// The parts of one message, each to its stores.
class DoorDelivery : public GroupDelivery {
 public:
  DoorDelivery(const Site& site, const Door& door, const Log& log, Shared shared)
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
  Delivery delivery(Pools& pools) const {
    return Delivery(door_.listener->settings, pools, log_, shared_);
  }

  const Site& site_;
  const Door& door_;
  const Log& log_;
  const Shared shared_;
};

}  // namespace

SiteCarrier::SiteCarrier(const PresentSite& present, std::shared_ptr<const Site> site,
                         const std::string& address, const Log& log, Shared shared)
    : present_(present), site_(std::move(site)), address_(address), log_(log), shared_(shared) {}

Delivered SiteCarrier::deliver(const Envelope& envelope, const MailData& data,
                               Clock::time_point begun) {
  std::shared_ptr<const Site> site = present_.get();
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
  return Dispatch(site->routes(), delivery).deliver(envelope, data, begun);
}

void SiteCarrier::unheard() {
  if (shared_.meter != nullptr) {
    shared_.meter->unheard();
  }
}

}  // namespace lmtpq
