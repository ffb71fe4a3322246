#include "mailer/serve/pools/pool_registry.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

// What of the process's settings a connection looks at.
Settings watched(const Settings& settings) {
  Settings made;
  made.debug_peers = settings.debug_peers;
  made.transcript_dir = settings.transcript_dir;
  return made;
}

ConnectionPool::Limits limits_of(const PoolSettings& pool, const Timeouts& timeouts) {
  ConnectionPool::Limits limits;
  limits.connections = pool.connections;
  limits.uses = pool.uses;
  limits.age = pool.lifetime;
  limits.idle = timeouts.idle;
  limits.backoff = pool.backoff;
  limits.max_backoff = pool.max_backoff;
  limits.wait = pool.wait;
  return limits;
}

}  // namespace

// A pool with what it was made from, which it refers to.
struct PoolRegistry::Kept {
  Kept(Store made_for, const Settings& settings, Dialer& dialer, const Log& log,
       DeliveryEvents& meter)
      : store(std::move(made_for)),
        process(watched(settings)),
        idle(settings.timeouts.idle),
        pool(std::make_unique<Connector>(store, process, dialer, log),
             limits_of(store.settings.pool, settings.timeouts), &meter) {}

  bool fits(const Store& other, const Settings& settings) const {
    return same_store(store, other) && process.debug_peers == settings.debug_peers &&
           process.transcript_dir == settings.transcript_dir && idle == settings.timeouts.idle;
  }

  const Store store;
  const Settings process;
  const Timeouts::Time idle;
  ConnectionPool pool;
};

std::shared_ptr<ConnectionPool> PoolRegistry::pool(Store store, const Settings& settings) {
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(kept_.begin(), kept_.end(),
                            [&](const auto& kept) { return kept->fits(store, settings); });
  if (found == kept_.end()) {
    found = kept_.insert(kept_.end(),
                         std::make_shared<Kept>(std::move(store), settings, dialer_, log_, meter_));
    if (cut_) {
      (*found)->pool.cut();
    }
  }
  return {*found, &(*found)->pool};
}

void PoolRegistry::sweep() {
  std::vector<std::shared_ptr<Kept>> unused;
  {
    const std::lock_guard lock(mutex_);
    const auto first = std::stable_partition(kept_.begin(), kept_.end(),
                                             [](const auto& kept) { return kept.use_count() > 1; });
    std::move(first, kept_.end(), std::back_inserter(unused));
    kept_.erase(first, kept_.end());
  }
  for (const auto& kept : unused) {
    kept->pool.close_idle();
  }
}

std::vector<std::shared_ptr<ConnectionPool>> PoolRegistry::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ConnectionPool>> made;
  for (const auto& kept : kept_) {
    made.emplace_back(kept, &kept->pool);
  }
  return made;
}

void PoolRegistry::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
  for (const auto& kept : kept_) {
    kept->pool.cut();
  }
}

}  // namespace lmtpq::mailer
