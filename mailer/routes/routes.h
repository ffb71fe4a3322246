// Interface: finds the store of a recipient's mailbox, where there are several stores.
//
// FanOut asks for all recipients of a message at once. May be used by several threads; a Route
// stays valid when its file or directory changes. A failed look-up is an Outcome, and is temporary
// unless the admin wrote an error of class 5 into the route file.
#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "common/mailbox.h"
#include "mailer/message/outcome.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

using DestinationList = std::shared_ptr<const std::vector<Destination>>;  // not empty

// There is no route: the message goes to the configured destinations.
struct DefaultRoute {};

// The stores, tried in this order; or the recipient's outcome without any delivery.
using Route = std::variant<DefaultRoute, DestinationList, Outcome>;

using Mailboxes = std::vector<const Mailbox*>;

class Routes {
 public:
  virtual ~Routes() = default;
  virtual Route find(const Mailbox& recipient) = 0;
  // The route of each, in their order. However many they are, all answers together are waited for
  // no longer than one is.
  virtual std::vector<Route> find_all(const Mailboxes& recipients);
};

// Several sources of routes: the first that has a route for the recipient counts.
class RoutesInOrder : public Routes {
 public:
  explicit RoutesInOrder(std::vector<std::unique_ptr<Routes>> sources)
      : sources_(std::move(sources)) {}

  Route find(const Mailbox& recipient) override;
  std::vector<Route> find_all(const Mailboxes& recipients) override;

 private:
  const std::vector<std::unique_ptr<Routes>> sources_;
};

}  // namespace lmtpq::mailer
