#include "pool.h"

#include <algorithm>
#include <utility>

namespace lmtpq {

using std::chrono::milliseconds;

Lease::Lease(StorePool& pool, std::unique_ptr<Upstream> upstream, Clock::time_point made, bool kept)
    : pool_(&pool), upstream_(std::move(upstream)), made_(made), kept_(kept) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  end(false);
  pool_ = other.pool_;
  upstream_ = std::move(other.upstream_);
  made_ = other.made_;
  kept_ = other.kept_;
  return *this;
}

Lease::~Lease() { end(false); }

void Lease::give_back() { end(upstream_ && upstream_->client().reusable()); }

void Lease::end(bool reusable) {
  if (upstream_) {
    pool_->take_back({std::move(upstream_), made_, {}}, reusable);
  }
}

StorePool::StorePool(std::unique_ptr<Connector> connector, Limits limits)
    : connector_(std::move(connector)), limits_(limits) {}

StorePool::~StorePool() = default;

bool StorePool::expired(const Entry& entry, Clock::time_point now) const {
  return (limits_.uses > 0 && entry.upstream->transactions() >= limits_.uses) ||
         (limits_.age.count() > 0 && now - entry.made >= limits_.age) ||
         (limits_.idle.count() > 0 && now - entry.last_used >= limits_.idle);
}

// Hung up without a lock held, as a goodbye may wait for the store.
void StorePool::close(Entries entries) {
  for (Entry& entry : entries) {
    if (entry.upstream->alive()) {
      entry.upstream->quit();
    }
    entry.upstream.reset();
  }
}

Lease StorePool::take_idle() {
  for (;;) {
    Entry entry;
    bool good = false;
    {
      const std::lock_guard lock(mutex_);
      if (idle_.empty()) {
        return {};
      }
      entry = std::move(idle_.back());
      idle_.pop_back();
      good = !expired(entry, Clock::now());
    }
    if (good && entry.upstream->alive()) {
      return Lease(*this, std::move(entry.upstream), entry.made, true);
    }
    Entries one;
    one.push_back(std::move(entry));
    close(std::move(one));
    const std::lock_guard lock(mutex_);
    --open_;
    freed_.notify_all();
  }
}

Lease StorePool::take(Deadline latest, Failure& failure) {
  const unsigned long ticket = [&] {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(next_ticket_);
    return next_ticket_++;
  }();
  for (;;) {
    std::unique_lock lock(mutex_);
    const bool due = freed_.wait_until(lock, latest, [&] {
      return waiting_.front() == ticket && (!idle_.empty() || open_ < limits_.connections);
    });
    if (!due || idle_.empty()) {
      std::erase(waiting_, ticket);
      freed_.notify_all();
      if (due && resting()) {
        failure = sickness_;
        return {};
      }
      if (due) {
        return dial(lock, latest, failure);
      }
      failure = {Trouble::kUnreachable, "all " + std::to_string(limits_.connections) +
                                            " connections to " + store().destination.text +
                                            " are in use"};
      return {};
    }
    lock.unlock();
    if (Lease lease = take_idle()) {
      lock.lock();
      std::erase(waiting_, ticket);
      freed_.notify_all();
      return lease;
    }
  }
}

bool StorePool::resting() const {
  return rest_.count() > 0 && (on_trial_ || Clock::now() < rests_until_);
}

void StorePool::note_dial(bool good, const Failure& failure) {
  on_trial_ = false;
  rest_ = good ? milliseconds(0) : std::clamp(2 * rest_, limits_.rest, limits_.most_rest);
  if (!good) {
    sickness_ = failure;
    rests_until_ = Clock::now() + rest_;
  }
}

// A place is taken while it lasts, so that the limit holds.
Lease StorePool::dial(std::unique_lock<std::mutex>& lock, Deadline latest, Failure& failure) {
  ++open_;
  on_trial_ = rest_.count() > 0;
  lock.unlock();
  Connection connection;
  try {
    connection = connector_->connect(latest);
  } catch (...) {
    lock.lock();
    on_trial_ = false;
    --open_;
    freed_.notify_all();
    throw;
  }
  if (connection.ready) {
    lock.lock();
    note_dial(true, {});
    return Lease(*this, std::move(connection.upstream), Clock::now(), false);
  }
  failure = {connection.trouble, connection.failure};
  connection = Connection();  // hung up before anybody dials in its place
  lock.lock();
  note_dial(false, failure);
  --open_;
  freed_.notify_all();
  return {};
}

void StorePool::take_back(Entry entry, bool reusable) {
  entry.last_used = Clock::now();
  const bool keep = reusable && !expired(entry, entry.last_used);
  if (!keep) {
    entry.upstream.reset();
  }
  const std::lock_guard lock(mutex_);
  if (keep) {
    idle_.push_back(std::move(entry));
  } else {
    --open_;
  }
  freed_.notify_all();
}

bool StorePool::has_idle() const {
  const std::lock_guard lock(mutex_);
  return !idle_.empty();
}

std::size_t StorePool::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

void StorePool::drop_idle() {
  Entries dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(idle_);
    open_ -= dropped.size();
  }
  freed_.notify_all();
  close(std::move(dropped));
}

void StorePool::drop_expired() {
  Entries dropped;
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    const auto first = std::stable_partition(
        idle_.begin(), idle_.end(), [&](const Entry& entry) { return !expired(entry, now); });
    dropped.assign(std::make_move_iterator(first), std::make_move_iterator(idle_.end()));
    idle_.erase(first, idle_.end());
    open_ -= dropped.size();
  }
  freed_.notify_all();
  close(std::move(dropped));
}

Pools::Pools(const Settings& settings, Dialer& dialer, const Log& log, StorePool::Limits limits) {
  for (const Store& store : settings.stores) {
    stores_.push_back(std::make_unique<StorePool>(
        std::make_unique<Connector>(store, settings, dialer, log), limits));
  }
}

Lease Pools::take_idle() {
  for (const auto& store : stores_) {
    if (Lease lease = store->take_idle()) {
      return lease;
    }
  }
  return {};
}

bool Pools::has_idle() const {
  return std::any_of(stores_.begin(), stores_.end(),
                     [](const auto& store) { return store->has_idle(); });
}

void Pools::drop_idle() {
  for (const auto& store : stores_) {
    store->drop_idle();
  }
}

}  // namespace lmtpq
