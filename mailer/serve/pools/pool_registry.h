// All connection pools of the daemon: one ConnectionPool for each store with its settings.
//
// A reload that changes nothing of a store leaves its connections alone. Used by several threads;
// outlives every Configuration. A pool lives as long as another part holds it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mailer/io/cuttable_work.h"
#include "mailer/io/dialer.h"
#include "mailer/message/delivery_events.h"
#include "mailer/settings/settings.h"
#include "mailer/store/connection_pool.h"

namespace lmtpq::mailer {

class PoolRegistry {
 public:
  PoolRegistry(const Log& log, DeliveryEvents& events) : log_(log), events_(events) {}

  // The pool for this store with these settings: the existing one, otherwise a new one.
  std::shared_ptr<ConnectionPool> pool(Store store, const Settings& settings);
  // The existing one; nullptr: there is none.
  std::shared_ptr<ConnectionPool> known(const Store& store, const Settings& settings) const;
  // Drops the pools that nobody holds any more, and sends QUIT to their stores.
  void sweep();
  std::vector<std::shared_ptr<ConnectionPool>> all() const;
  // What finds out which store a message is for, and must end with the pools.
  CuttableWork& look_ups() { return look_ups_; }
  // Cuts all look-ups and pools, and those that are made from now on.
  void cut();

 private:
  struct Entry;
  std::shared_ptr<Entry> find(const Store& store, const Settings& settings) const;

  const Log& log_;
  DeliveryEvents& events_;
  SocketDialer dialer_;
  CuttableWork look_ups_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Entry>> entries_;
  bool cut_ = false;
};

}  // namespace lmtpq::mailer
