#include "mailer/store/connection_pool.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lmtpq::mailer {

using std::chrono::milliseconds;

namespace {

std::string security_of(const Upstream& upstream) {
  return "tls=" + tls_words(upstream) +
         " auth=" + (upstream.mechanism().empty() ? "none" : upstream.mechanism());
}

}  // namespace

Lease::Lease(ConnectionPool& pool, std::unique_ptr<Upstream> upstream, Clock::time_point dies,
             bool kept)
    : pool_(&pool), upstream_(std::move(upstream)), dies_(dies), kept_(kept) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  end(false);
  pool_ = other.pool_;
  upstream_ = std::move(other.upstream_);
  dies_ = other.dies_;
  kept_ = other.kept_;
  return *this;
}

Lease::~Lease() { end(false); }

const Store& Lease::store() const { return pool_->store(); }

void Lease::give_back() { end(upstream_ && upstream_->reusable()); }

void Lease::end(bool reusable) {
  if (upstream_) {
    pool_->take_back({std::move(upstream_), dies_, {}}, reusable);
  }
}

ConnectionPool::ConnectionPool(std::unique_ptr<Connector> connector, Limits limits,
                               DeliveryEvents* meter)
    : connector_(std::move(connector)), limits_(limits), meter_(meter) {}

ConnectionPool::~ConnectionPool() = default;

bool ConnectionPool::expired(const Entry& entry, Clock::time_point now) const {
  return (limits_.uses > 0 && entry.upstream->transactions() >= limits_.uses) ||
         now >= entry.dies || (limits_.idle.count() > 0 && now - entry.last_used >= limits_.idle);
}

// Of a new connection. Steps of the golden ratio spread any number of them evenly.
Clock::time_point ConnectionPool::new_death() {
  if (limits_.age.count() == 0) {
    return Clock::time_point::max();
  }
  const double turn = std::fmod(made_++ * 0.6180339887498949, 1.0);
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(limits_.age * (0.9 + 0.2 * turn));
}

// Hung up without a lock held, as a goodbye may wait for the store; one that does not answer is
// waited for once, not for each connection.
void ConnectionPool::close(Entries entries) {
  const Deadline latest = Clock::now() + store().settings.timeouts.quit;
  for (Entry& entry : entries) {
    if (entry.upstream->alive()) {
      entry.upstream->quit(latest);
    }
    entry.upstream.reset();
  }
}

// One at a time is woken: all of them, for each connection that comes free, would be a herd.
void ConnectionPool::call_next() {
  if (!waiting_.empty() && place()) {
    waiting_.front()->call();
  }
}

bool ConnectionPool::wait_for_place(Lock& lock, Deadline latest, bool in_front) {
  if (place() && (waiting_.empty() || in_front)) {
    return true;
  }
  Waiter self;
  waiting_.insert(in_front ? waiting_.begin() : waiting_.end(), &self);
  const bool due =
      self.wait_until(lock, latest, [&] { return cut_ || (waiting_.front() == &self && place()); });
  std::erase(waiting_, &self);
  if (!due) {
    call_next();
  }
  return due;
}

Lease ConnectionPool::lend(std::unique_ptr<Upstream> upstream, Clock::time_point dies, bool kept) {
  leased_.push_back(upstream.get());
  if (cut_) {
    upstream->cut();  // it was on its way when the others were
  }
  return Lease(*this, std::move(upstream), dies, kept);
}

// The latest used one. Empty when it was dead or over a limit; its place is free then.
Lease ConnectionPool::lease_idle(Lock& lock) {
  Entry entry = std::move(idle_.back());
  idle_.pop_back();
  const bool good = !expired(entry, Clock::now());
  lock.unlock();
  if (good && entry.upstream->alive()) {
    lock.lock();
    return lend(std::move(entry.upstream), entry.dies, true);
  }
  lock.lock();
  hang_up(lock, std::move(entry));
  return {};
}

Lease ConnectionPool::take_idle() {
  Lock lock(mutex_);
  while (!idle_.empty()) {
    if (Lease lease = lease_idle(lock)) {
      return lease;
    }
    call_next();
  }
  return {};
}

// One that is idle no more. Its place is taken until it is closed.
void ConnectionPool::hang_up(Lock& lock, Entry entry) {
  Entries one;
  one.push_back(std::move(entry));
  lock.unlock();
  close(std::move(one));
  lock.lock();
  --open_;
}

Lease ConnectionPool::take(Deadline latest, Failure& failure, Which which) {
  const Deadline patience =
      limits_.wait.count() > 0 ? std::min(latest, Clock::now() + limits_.wait) : latest;
  Lock lock(mutex_);
  for (bool again = false;; again = true) {
    if (!wait_for_place(lock, patience, again)) {
      failure = {Trouble::kBusy, "all " + std::to_string(limits_.connections) + " connections to " +
                                     store().destination.text + " are in use"};
      return {};
    }
    if (cut_) {
      failure = {Trouble::kLost, "lmtpq is stopping"};
      return {};
    }
    if (idle_.empty() || which == Which::kNew) {
      if (resting()) {
        failure = sickness_;
        call_next();
        return {};
      }
      if (open_ >= limits_.connections) {
        Entry longest = std::move(idle_.front());
        idle_.erase(idle_.begin());
        hang_up(lock, std::move(longest));
      }
      return dial(lock, latest, failure);
    }
    if (Lease lease = lease_idle(lock)) {
      call_next();
      return lease;
    }
  }
}

bool ConnectionPool::resting() const {
  return rest_.count() > 0 && (on_trial_ || Clock::now() < rests_until_);
}

// Those that were under way when it fell sick fail too: they make its rest no longer.
void ConnectionPool::note_dial(Verdict verdict, const Failure& failure, bool trial) {
  on_trial_ = on_trial_ && !trial;
  if (verdict == Verdict::kNone) {
    return;
  }
  sickness_ = failure;
  if (verdict == Verdict::kWell) {
    rest_ = milliseconds(0);
  } else if (trial || rest_.count() == 0) {
    rest_ = std::clamp(2 * rest_, limits_.rest, std::max(limits_.rest, limits_.most_rest));
    rests_until_ = Clock::now() + rest_;
  }
}

// A place is taken while it lasts, so that the limit holds.
Lease ConnectionPool::dial(Lock& lock, Deadline latest, Failure& failure) {
  ++open_;
  ++dialling_;
  const bool trial = rest_.count() > 0;
  on_trial_ = on_trial_ || trial;
  call_next();
  lock.unlock();
  const Clock::time_point start = Clock::now();
  Connection connection;
  try {
    run_blocking([&] { connection = connector_->connect(latest); });
  } catch (...) {
    lock.lock();
    note_dial(Verdict::kNone, {}, trial);
    --dialling_;
    --open_;
    call_next();
    throw;
  }
  if (!connection.ready) {
    failure = {connection.trouble, connection.failure};
    connection.upstream.reset();  // hung up before anybody dials in its place
  }
  if (meter_ != nullptr) {
    meter_->dialled(store().destination.text,
                    !connection.ready ? kTroubleNames[static_cast<int>(failure.trouble)]
                    : connection.without_tls.empty() ? "ready"
                                                     : "without-tls",
                    Clock::now() - start);
  }
  lock.lock();
  --dialling_;
  // Who had no time left for a dial knows nothing about the store.
  const bool cut_short = !connection.ready && Clock::now() >= latest;
  note_dial(connection.ready ? Verdict::kWell
            : cut_short      ? Verdict::kNone
                             : Verdict::kSick,
            connection.ready ? Failure() : failure, trial);
  if (connection.ready) {
    security_ = security_of(*connection.upstream);
  } else {
    --open_;
  }
  call_next();
  return connection.ready ? lend(std::move(connection.upstream), new_death(), false) : Lease();
}

void ConnectionPool::take_back(Entry entry, bool reusable) {
  entry.last_used = Clock::now();
  const bool keep = reusable && !expired(entry, entry.last_used);
  {
    const std::lock_guard lock(mutex_);
    std::erase(leased_, entry.upstream.get());
    if (keep) {
      idle_.push_back(std::move(entry));
      call_next();
      return;
    }
  }
  // Hung up before anybody dials in its place; with a word, where it is clean, and over a limit.
  if (reusable) {
    entry.upstream->quit();
  }
  entry.upstream.reset();
  const std::lock_guard lock(mutex_);
  --open_;
  call_next();
}

bool ConnectionPool::has_idle() const {
  const std::lock_guard lock(mutex_);
  return !idle_.empty();
}

bool ConnectionPool::well() const {
  const std::lock_guard lock(mutex_);
  return rest_.count() == 0;
}

std::size_t ConnectionPool::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

ConnectionPool::Figures ConnectionPool::figures() const {
  const std::lock_guard lock(mutex_);
  const auto rests = rest_.count() == 0 ? Clock::duration(0) : rests_until_ - Clock::now();
  return {leased_.size(),
          idle_.size(),
          dialling_,
          waiting_.size(),
          limits_.connections,
          rest_.count() == 0,
          std::chrono::ceil<milliseconds>(std::max(rests, Clock::duration(0))),
          sickness_.words};
}

std::string ConnectionPool::security() const {
  const std::lock_guard lock(mutex_);
  return security_;
}

void ConnectionPool::drop_idle() {
  Entries dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(idle_);
    open_ -= dropped.size();
    call_next();
  }
  close(std::move(dropped));
}

void ConnectionPool::drop_expired() {
  Entries dropped;
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    const auto first = std::stable_partition(
        idle_.begin(), idle_.end(), [&](const Entry& entry) { return !expired(entry, now); });
    dropped.assign(std::make_move_iterator(first), std::make_move_iterator(idle_.end()));
    idle_.erase(first, idle_.end());
    open_ -= dropped.size();
    call_next();
  }
  close(std::move(dropped));
}

void ConnectionPool::try_sick(Deadline latest) {
  Lock lock(mutex_);
  if (cut_ || rest_.count() == 0 || resting() || open_ >= limits_.connections) {
    return;
  }
  Failure failure;
  Lease lease = dial(lock, latest, failure);
  lock.unlock();
  lease.give_back();
}

// A message that waits for its turn now could be at the store when the process ends, unanswered.
void ConnectionPool::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
  for (Waiter* const waiter : waiting_) {
    waiter->call();
  }
  for (Upstream* const upstream : leased_) {
    upstream->cut();
  }
}

}  // namespace lmtpq::mailer
