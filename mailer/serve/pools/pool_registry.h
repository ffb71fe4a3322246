// All pools of the daemon.
//
// What it is: one ConnectionPool for each store as it is set; a SIGHUP that changes nothing of a
// store
//   leaves its connections alone.
// What it does not know: which mail goes where.
// Called by: Configuration asks for pools; the keeper looks after them; metrics and status read
// their
//   figures.
// Threads and lifetimes: used by several threads; outlives every Configuration. A pool lives as
// long as
//   somebody else holds it.
// Failure: none.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mailer/io/dialer.h"
#include "mailer/message/delivery_events.h"
#include "mailer/settings/settings.h"
#include "mailer/store/connection_pool.h"

namespace lmtpq::mailer {

class PoolRegistry {
 public:
  PoolRegistry(const Log& log, DeliveryEvents& meter) : log_(log), meter_(meter) {}

  // The pool for this store, as it is set: the one at hand, else a new one.
  std::shared_ptr<ConnectionPool> pool(Store store, const Settings& settings);
  // Forgets those that nobody holds any more, and says goodbye to their stores.
  void sweep();
  std::vector<std::shared_ptr<ConnectionPool>> all() const;
  // All of them, and those that are made from now on.
  void cut();

 private:
  struct Kept;

  const Log& log_;
  DeliveryEvents& meter_;
  SocketDialer dialer_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Kept>> kept_;
  bool cut_ = false;
};

}  // namespace lmtpq::mailer
