#include "mailer/store/pool_list.h"

#include <algorithm>

namespace lmtpq::mailer {

PoolList::PoolList(const Settings& settings, Dialer& dialer, const Log& log,
                   ConnectionPool::Limits limits) {
  limits.idle = settings.timeouts.idle;
  for (const Store& store : settings.stores) {
    pools_.push_back(std::make_shared<ConnectionPool>(
        std::make_unique<Connector>(store, settings, dialer, log), limits));
  }
}

Lease PoolList::take_idle() {
  if (balance_ == Balance::kReuse) {
    for (const auto& pool : pools_) {
      if (Lease lease = pool->take_idle()) {
        return lease;
      }
    }
  }
  return {};
}

bool PoolList::has_idle() const {
  return balance_ == Balance::kReuse &&
         std::any_of(pools_.begin(), pools_.end(),
                     [](const auto& pool) { return pool->has_idle(); });
}

void PoolList::close_idle() {
  if (balance_ == Balance::kReuse) {
    for (const auto& pool : pools_) {
      pool->close_idle();
    }
  }
}

}  // namespace lmtpq::mailer
