// The stores that one message may go to.
//
// What it is: pools in the settings' order, and whose turn it is.
// What it does not know: what a connection is used for.
// Called by: Delivery.
// Threads and lifetimes: may be used by several threads; immutable but for the pools themselves,
//   which others may share.
// Failure: none of its own.
#pragma once

#include <memory>
#include <vector>

#include "mailer/store/connection_pool.h"

namespace lmtpq::mailer {

class PoolList {
 public:
  using Shared = std::vector<std::shared_ptr<ConnectionPool>>;

  // For one session: a pool for each store of the settings, and a connection that is kept counts
  // more than the order of the stores.
  PoolList(const Settings& settings, Dialer& dialer, const Log& log,
           ConnectionPool::Limits limits = {});
  // PoolList that are shared.
  PoolList(Shared stores, Balance balance);

  std::size_t size() const { return stores_.size(); }
  ConnectionPool& operator[](std::size_t store) { return *stores_[store]; }
  // The order for one message: by the balance, and the sick ones behind those that are well.
  std::vector<ConnectionPool*> order() const;
  // An idle one that counts more than the order; empty: none does.
  Lease take_kept();
  // Idle connections that are this session's own.
  bool has_idle() const;
  void drop_idle();

 private:
  Shared stores_;
  Balance balance_ = Balance::kKept;
};

}  // namespace lmtpq::mailer
