#include "mailer/serve/configuration/listener_delivery.h"

#include "mailer/delivery/fan_out.h"

namespace lmtpq::mailer {

DeliveryResult ListenerDelivery::deliver(const DeliveryRequest& request) {
  std::shared_ptr<const Configuration> configuration = current_.get();
  const Listener* listener = configuration->listener(address_);
  if (listener == nullptr) {
    configuration = begun_with_;
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
  return FanOut(configuration->routes(), delivery, services_.memory).deliver(request);
}

void ListenerDelivery::reply_lost() {
  if (services_.events != nullptr) {
    services_.events->reply_lost();
  }
}

}  // namespace lmtpq::mailer
