// Which store is tried first.
//
// The answer is made for each message. Stores that are down come after all stores that are up, and
// the option `balance` decides among stores in the same state:
//   order       as the settings or the recipient's route list them
//   weight      at random; the chance of a store to come first is in proportion to its weight
//   least-used  by the number of connections in use, divided by the store's weight
// ConnectionPool decides whether a store is up, and when one that is down is tried again.
// May be used by several threads.
#pragma once

#include <memory>
#include <vector>

#include "mailer/store/connection_pool.h"

namespace lmtpq::mailer {

using SharedPools = std::vector<std::shared_ptr<ConnectionPool>>;

std::vector<ConnectionPool*> store_order(const SharedPools& pools, Balance balance);

}  // namespace lmtpq::mailer
