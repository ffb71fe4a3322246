// The connections to one store, shared by all who deliver there.
//
// What it is: connections that are leased, that idle between leases, and that are being made; the
//   limits of their number, uses and age; waiters in the order in which they came.
// What it does not know: messages, other stores, how a connection is opened (Connector does).
// Called by: Delivery, through PoolList; the daemon looks after what idles and what is sick.
// Threads and lifetimes: may be used by several threads; a Lease is one thread's, and must end
//   before its pool does.
// Failure: an empty Lease, and why: the dial's trouble, that of a dial a moment ago, or that no
//   connection came free in time.
// Rules: what is given back in any other state than a clean one is closed. The latest used goes out
//   first, so that a burst's connections age and are given up: an idle one holds a process at the
//   store. Lifetimes are staggered, or all would be made anew at once.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mailer/io/waiting.h"
#include "mailer/message/delivery_events.h"
#include "mailer/store/connector.h"

namespace lmtpq::mailer {

class ConnectionPool;

class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const { return upstream_ != nullptr; }
  Upstream* operator->() const { return upstream_.get(); }
  Upstream& operator*() const { return *upstream_; }
  const Store& store() const;
  // It served before: its death says nothing about the store.
  bool kept() const { return kept_; }

  // For the next one, if it is in a clean state; closed otherwise, as at the end of a Lease.
  void give_back();

 private:
  friend class ConnectionPool;
  Lease(ConnectionPool& pool, std::unique_ptr<Upstream> upstream, Clock::time_point dies,
        bool kept);
  void end(bool reusable);

  ConnectionPool* pool_ = nullptr;
  std::unique_ptr<Upstream> upstream_;
  Clock::time_point dies_;
  bool kept_ = false;
};

class ConnectionPool {
 public:
  struct Limits {
    std::size_t connections = 1;       // leased, idle and being made
    int uses = 0;                      // transactions on one; 0: no limit
    std::chrono::milliseconds age{0};  // of one, from its making, give or take a tenth; 0: no limit
    std::chrono::milliseconds idle{0};  // without use; 0: no limit
    // After a failed dial nobody dials for so long, twice as long after the next, up to the most;
    // then one does, while the others still hear the last reason. 0: everybody may dial.
    std::chrono::milliseconds rest{0};
    std::chrono::milliseconds most_rest{30'000};  // the first rest, where that is longer
    std::chrono::milliseconds wait{0};            // for a free one; 0: as long as the caller says
  };
  struct Failure {
    Trouble trouble = Trouble::kUnreachable;
    std::string words;
  };
  struct Figures {
    std::size_t leased = 0;
    std::size_t idle = 0;
    std::size_t dialling = 0;
    std::size_t waiting = 0;
    std::size_t limit = 0;
    bool well = true;
    std::chrono::milliseconds rests{0};  // of a sick one, until it is tried again
    std::string sickness;                // the last dial's failure
  };

  ConnectionPool(std::unique_ptr<Connector> connector, Limits limits,
                 DeliveryEvents* meter = nullptr);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // An idle connection that is alive; empty: there is none.
  Lease take_idle();
  // One of those, else a new one, else the next that comes free, in the order of asking. kNew: a
  // new one in any case, in the place of an idle one if need be.
  enum class Which { kAny, kNew };
  Lease take(Deadline latest, Failure& failure, Which which = Which::kAny);

  const Store& store() const { return connector_->store(); }
  bool has_idle() const;
  bool well() const;  // the last dial succeeded, or there was none
  Figures figures() const;
  std::size_t open() const;
  // Of the last connection that was made: "tls=TLSv1.3/verified auth=PLAIN"; empty: none was yet.
  std::string security() const;

  void drop_idle();     // says goodbye to all of them
  void drop_expired();  // to those over a limit
  // Dials a sick store whose rest is over, so that no message has to.
  void try_sick(Deadline latest);
  // What is leased dies at once, in whatever state, and nothing is leased any more; for the end of
  // a drain.
  void cut();
  void renew_tls() { connector_->renew_tls(); }

 private:
  friend class Lease;
  struct Entry {
    std::unique_ptr<Upstream> upstream;
    Clock::time_point dies;
    Clock::time_point last_used;
  };
  using Entries = std::vector<Entry>;
  using Lock = std::unique_lock<std::mutex>;

  bool expired(const Entry& entry, Clock::time_point now) const;
  bool place() const { return !idle_.empty() || open_ < limits_.connections; }
  bool wait_for_place(Lock& lock, Deadline latest, bool in_front);
  void call_next();
  Lease lease_idle(Lock& lock);
  void hang_up(Lock& lock, Entry entry);
  Lease lend(std::unique_ptr<Upstream> upstream, Clock::time_point dies, bool kept);
  Lease dial(Lock& lock, Deadline latest, Failure& failure);
  Clock::time_point new_death();
  bool resting() const;
  enum class Verdict { kWell, kSick, kNone };
  void note_dial(Verdict verdict, const Failure& failure, bool trial);
  void take_back(Entry entry, bool reusable);
  void close(Entries entries);

  const std::unique_ptr<Connector> connector_;
  const Limits limits_;
  DeliveryEvents* const meter_;
  mutable std::mutex mutex_;
  std::deque<Waiter*> waiting_;
  Entries idle_;  // the latest used last
  std::vector<Upstream*> leased_;
  std::size_t dialling_ = 0;
  std::size_t open_ = 0;  // idle, leased and being made
  unsigned made_ = 0;
  std::string security_;
  bool cut_ = false;

  // Of a store that is sick: the last dial to it failed.
  Failure sickness_;
  std::chrono::milliseconds rest_{0};  // 0: it is well
  Clock::time_point rests_until_;
  bool on_trial_ = false;  // somebody is dialling it
};

}  // namespace lmtpq::mailer
