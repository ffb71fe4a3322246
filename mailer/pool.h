// The connections to one store, shared by all who deliver there.
//
// What it is: connections that are leased, that idle between leases, and that are being made; the
//   limits of their number, uses and age; waiters in the order in which they came.
// What it does not know: messages, other stores, how a connection is opened (Connector does).
// Called by: Delivery, through Pools, which has one for each store in the order of the settings.
// Threads and lifetimes: may be used by several threads; a Lease is one thread's, and must end
//   before its pool does.
// Failure: an empty Lease, and why: the dial's trouble, that of a dial a moment ago, or that no
//   connection came free in time.
// Rules: what is given back in any other state than a clean one is closed. The latest used goes out
//   first, so that a burst's connections age and are given up: an idle one holds a process at the
//   store.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "connector.h"

namespace lmtpq {

class StorePool;

class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const { return upstream_ != nullptr; }
  Upstream* operator->() const { return upstream_.get(); }
  Upstream& operator*() const { return *upstream_; }
  // It served before: its death says nothing about the store.
  bool kept() const { return kept_; }

  // For the next one, if it is in a clean state; closed otherwise, as at the end of a Lease.
  void give_back();

 private:
  friend class StorePool;
  Lease(StorePool& pool, std::unique_ptr<Upstream> upstream, Clock::time_point made, bool kept);
  void end(bool reusable);

  StorePool* pool_ = nullptr;
  std::unique_ptr<Upstream> upstream_;
  Clock::time_point made_;
  bool kept_ = false;
};

class StorePool {
 public:
  struct Limits {
    std::size_t connections = 1;        // leased, idle and being made
    int uses = 0;                       // transactions on one; 0: no limit
    std::chrono::milliseconds age{0};   // of one, from its making; 0: no limit
    std::chrono::milliseconds idle{0};  // without use; 0: no limit
    // After a failed dial nobody dials for so long, twice as long after the next, up to the most;
    // then one does, while the others still hear the last reason. 0: everybody may dial.
    std::chrono::milliseconds rest{0};
    std::chrono::milliseconds most_rest{30'000};
  };
  struct Failure {
    Trouble trouble = Trouble::kUnreachable;
    std::string words;
  };

  StorePool(std::unique_ptr<Connector> connector, Limits limits);
  ~StorePool();
  StorePool(const StorePool&) = delete;
  StorePool& operator=(const StorePool&) = delete;

  // An idle connection that is alive; empty: there is none.
  Lease take_idle();
  // One of those, else a new one, else the next that comes free, in the order of asking.
  Lease take(Deadline latest, Failure& failure);

  const Store& store() const { return connector_->store(); }
  bool has_idle() const;
  void drop_idle();     // says goodbye to all of them
  void drop_expired();  // to those over a limit
  std::size_t open() const;

 private:
  friend class Lease;
  struct Entry {
    std::unique_ptr<Upstream> upstream;
    Clock::time_point made;
    Clock::time_point last_used;
  };
  using Entries = std::vector<Entry>;

  bool expired(const Entry& entry, Clock::time_point now) const;
  Lease dial(std::unique_lock<std::mutex>& lock, Deadline latest, Failure& failure);
  bool resting() const;
  void note_dial(bool good, const Failure& failure);
  void take_back(Entry entry, bool reusable);
  void close(Entries entries);

  const std::unique_ptr<Connector> connector_;
  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::deque<unsigned long> waiting_;  // tickets
  unsigned long next_ticket_ = 0;
  Entries idle_;          // the latest used last
  std::size_t open_ = 0;  // idle, leased and being made

  // Of a store that is sick: the last dial to it failed.
  Failure sickness_;
  std::chrono::milliseconds rest_{0};  // 0: it is well
  Clock::time_point rests_until_;
  bool on_trial_ = false;  // somebody is dialling it
};

// One pool for each store, in the settings' order.
class Pools {
 public:
  Pools(const Settings& settings, Dialer& dialer, const Log& log, StorePool::Limits limits = {});

  std::size_t size() const { return stores_.size(); }
  StorePool& operator[](std::size_t store) { return *stores_[store]; }
  Lease take_idle();  // of any store, the first ones first
  bool has_idle() const;
  void drop_idle();

 private:
  std::vector<std::unique_ptr<StorePool>> stores_;
};

}  // namespace lmtpq
