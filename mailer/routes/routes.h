// Which store a recipient's mailbox is on, where there are several.
//
// What it is: the seam between those who dispatch a message and the maps that know (a file, a
//   directory).
// What it does not know: connections, who else gets the message.
// Called by: FanOut, once for each recipient of a message.
// Threads and lifetimes: may be used by several threads. What a Route holds is its own, whatever
//   becomes of the map.
// Failure: an Outcome, which is temporary unless an admin wrote a refusal into the map.
#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "common/mailbox.h"
#include "mailer/message/outcome.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

using DestinationList = std::shared_ptr<const std::vector<Destination>>;  // of one at least

// The map has no word on the recipient: it goes to the destinations of those without a route.
struct DefaultRoute {};

// Stores, tried in order; or, without any, what becomes of the recipient.
using Route = std::variant<DefaultRoute, DestinationList, Outcome>;

class Routes {
 public:
  virtual ~Routes() = default;
  virtual Route find(const Mailbox& recipient) = 0;
};

// Several maps: the first that has a word on the recipient counts.
class RoutesInOrder : public Routes {
 public:
  explicit RoutesInOrder(std::vector<std::unique_ptr<Routes>> maps) : maps_(std::move(maps)) {}

  Route find(const Mailbox& recipient) override {
    for (const auto& map : maps_) {
      Route route = map->find(recipient);
      if (!std::holds_alternative<DefaultRoute>(route)) {
        return route;
      }
    }
    return DefaultRoute();
  }

 private:
  const std::vector<std::unique_ptr<Routes>> maps_;
};

}  // namespace lmtpq::mailer
