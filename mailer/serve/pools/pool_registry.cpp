#include "mailer/serve/pools/pool_registry.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

// The process-wide settings that connections use.
Settings connection_settings(const Settings& settings) {
  Settings made;
  made.debug_peers = settings.debug_peers;
  made.transcript_dir = settings.transcript_dir;
  return made;
}

// Several daemons with one store must not return to it together.
constexpr double kJitter = 0.25;

ConnectionPool::Limits limits_of(const PoolSettings& pool, const Timeouts& timeouts) {
  ConnectionPool::Limits limits;
  limits.connections = pool.connections;
  limits.uses = pool.uses;
  limits.lifetime = pool.lifetime;
  limits.idle = timeouts.idle;
  limits.backoff = pool.backoff;
  limits.max_backoff = pool.max_backoff;
  limits.jitter = kJitter;
  limits.wait = pool.wait;
  return limits;
}

}  // namespace

// A pool with the settings that it refers to.
struct PoolRegistry::Entry {
  Entry(Store made_for, const Settings& settings, Dialer& dialer, const Log& log,
        DeliveryEvents& events)
      : store(std::move(made_for)),
        process(connection_settings(settings)),
        idle(settings.timeouts.idle),
        pool(std::make_unique<Connector>(store, process, dialer, log),
             limits_of(store.settings.pool, settings.timeouts), &events) {}

  bool fits(const Store& other, const Settings& settings) const {
    return same_store(store, other) && process.debug_peers == settings.debug_peers &&
           process.transcript_dir == settings.transcript_dir && idle == settings.timeouts.idle;
  }

  const Store store;
  const Settings process;
  const Timeouts::Time idle;
  ConnectionPool pool;
};

// The caller holds mutex_.
std::shared_ptr<PoolRegistry::Entry> PoolRegistry::find(const Store& store,
                                                        const Settings& settings) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& entry) { return entry->fits(store, settings); });
  return found == entries_.end() ? nullptr : *found;
}

std::shared_ptr<ConnectionPool> PoolRegistry::pool(Store store, const Settings& settings) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Entry> entry = find(store, settings);
  if (!entry) {
    entry = std::make_shared<Entry>(std::move(store), settings, dialer_, log_, events_);
    entries_.push_back(entry);
    if (cut_) {
      entry->pool.cut();
    }
  }
  return {entry, &entry->pool};
}

std::shared_ptr<ConnectionPool> PoolRegistry::known(const Store& store,
                                                    const Settings& settings) const {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Entry> entry = find(store, settings);
  return entry ? std::shared_ptr<ConnectionPool>(entry, &entry->pool) : nullptr;
}

void PoolRegistry::sweep() {
  std::vector<std::shared_ptr<Entry>> unused;
  {
    const std::lock_guard lock(mutex_);
    const auto first = std::stable_partition(
        entries_.begin(), entries_.end(), [](const auto& entry) { return entry.use_count() > 1; });
    std::move(first, entries_.end(), std::back_inserter(unused));
    entries_.erase(first, entries_.end());
  }
  for (const auto& entry : unused) {
    entry->pool.close_idle();
  }
}

std::vector<std::shared_ptr<ConnectionPool>> PoolRegistry::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ConnectionPool>> made;
  for (const auto& entry : entries_) {
    made.emplace_back(entry, &entry->pool);
  }
  return made;
}

void PoolRegistry::cut() {
  look_ups_.cut();
  const std::lock_guard lock(mutex_);
  cut_ = true;
  for (const auto& entry : entries_) {
    entry->pool.cut();
  }
}

}  // namespace lmtpq::mailer
