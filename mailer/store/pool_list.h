// The pools of the stores that one message may go to, in the order of the settings.
//
// `relay` and `deliver` have private pools, and prefer an idle connection to any of the stores to
// the order of the stores. The daemon's pools are shared by all deliveries; nobody
// may prefer, count or close their idle connections through this list.
// May be used by several threads.
#pragma once

#include <memory>
#include <vector>

#include "mailer/store/store_order.h"

namespace lmtpq::mailer {

class PoolList {
 public:
  // For one client: a pool for each store of the settings (Balance::kReuse). The limit of the idle
  // time is that of the settings.
  PoolList(const Settings& settings, Dialer& dialer, const Log& log,
           ConnectionPool::Limits limits = {});
  PoolList(SharedPools pools, Balance balance) : pools_(std::move(pools)), balance_(balance) {}

  std::size_t size() const { return pools_.size(); }
  ConnectionPool& operator[](std::size_t store) { return *pools_[store]; }
  // The order in which to try the stores for one message.
  std::vector<ConnectionPool*> order() const { return store_order(pools_, balance_); }

  // With Balance::kReuse only; otherwise there is nothing to take, and nothing to close.
  Lease take_idle();
  bool has_idle() const;
  void close_idle();

 private:
  SharedPools pools_;
  Balance balance_ = Balance::kReuse;
};

}  // namespace lmtpq::mailer
