// All pools of the daemon.
//
// What it is: one StorePool for each store as it is set; a SIGHUP that changes nothing of a store
//   leaves its connections alone.
// What it does not know: which mail goes where.
// Called by: Site asks for pools; the keeper looks after them; metrics and status read their
//   figures.
// Threads and lifetimes: used by several threads; outlives every Site. A pool lives as long as
//   somebody else holds it.
// Failure: none.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dialer.h"
#include "meter.h"
#include "pool.h"
#include "settings.h"

namespace lmtpq {

class PoolBook {
 public:
  PoolBook(const Log& log, Meter& meter) : log_(log), meter_(meter) {}

  // The pool for this store, as it is set: the one at hand, else a new one.
  std::shared_ptr<StorePool> pool(Store store, const Settings& settings);
  // Forgets those that nobody holds any more, and says goodbye to their stores.
  void sweep();
  std::vector<std::shared_ptr<StorePool>> all() const;
  // All of them, and those that are made from now on.
  void cut();

 private:
  struct Kept;

  const Log& log_;
  Meter& meter_;
  SocketDialer dialer_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Kept>> kept_;
  bool cut_ = false;
};

}  // namespace lmtpq
