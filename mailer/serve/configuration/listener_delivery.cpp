#include "mailer/serve/configuration/listener_delivery.h"

#include <utility>

#include "mailer/delivery/fan_out.h"

namespace lmtpq::mailer {

ListenerDelivery::ListenerDelivery(const CurrentConfiguration& current,
                                   std::shared_ptr<const Configuration> configuration,
                                   const std::string& address, const Log& log,
                                   DeliveryServices services)
    : current_(current),
      first_(std::move(configuration)),
      address_(address),
      log_(log),
      services_(services) {}

DeliveryResult ListenerDelivery::deliver(const DeliveryRequest& request) {
  std::shared_ptr<const Configuration> configuration = current_.get();
  const Listener* listener = configuration->listener(address_);
  if (listener == nullptr) {
    configuration = first_;
    listener = configuration->listener(address_);
  }
  if (services_.events != nullptr) {
    const MessageSpool& body = request.data.body();
    services_.events->taken({body.size(), body.in_file(), request.complete - request.begun});
  }
  Delivery delivery(listener->settings, *listener->pools, log_, services_,
                    [&configuration, listener](const std::vector<Destination>& route) {
                      return configuration->pools(*listener, route);
                    });
  return FanOut(configuration->routes(), delivery).deliver(request);
}

void ListenerDelivery::reply_lost() {
  if (services_.events != nullptr) {
    services_.events->reply_lost();
  }
}

}  // namespace lmtpq::mailer
