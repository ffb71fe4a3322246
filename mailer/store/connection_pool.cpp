#include "mailer/store/connection_pool.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

// A store that hangs up on TRACE may be another program after this time.
constexpr std::chrono::hours kTracePause{1};

std::string security_of(const Upstream& upstream) {
  return "tls=" + tls_summary(upstream) +
         " auth=" + (upstream.mechanism().empty() ? "none" : upstream.mechanism());
}

const char* result_of(const Connection& connection) {
  return !connection.ready                ? kTroubleNames[static_cast<int>(connection.trouble)]
         : connection.without_tls.empty() ? "ready"
                                          : "without-tls";
}

ConnectionPool::Failure stopping() { return {Trouble::kLost, "lmtpq is stopping"}; }

}  // namespace

ConnectionPool::ConnectionPool(std::unique_ptr<Connector> connector, Limits limits,
                               DeliveryEvents* events, Now now)
    : connector_(std::move(connector)),
      limits_(limits),
      events_(events),
      now_(std::move(now)),
      idle_(limits.uses, limits.lifetime, limits.idle),
      backoff_(limits.backoff, limits.max_backoff, limits.jitter),
      log_(connector_->log(), connector_->store().destination.text) {}

ConnectionPool::~ConnectionPool() = default;

Lease ConnectionPool::take(const Patience& patience, Failure& failure, Which which,
                           Connector::Resort resort) {
  const Deadline latest = patience.latest;
  const Patience in_line{
      limits_.wait.count() > 0 ? std::min(latest, Clock::now() + limits_.wait) : latest,
      patience.given_up};
  Lock lock(mutex_);
  for (Place place = Place::kLast;; place = Place::kFirst) {
    if (!wait_until_available(lock, in_line, place)) {
      failure = {Trouble::kBusy, "all " + std::to_string(limits_.connections) + " connections to " +
                                     store().destination.text + " are in use"};
      return {};
    }
    if (cut_) {
      failure = stopping();
      return {};
    }
    if (idle_.empty() || which == Which::kNew) {
      return take_new(lock, latest, resort, failure);
    }
    if (Lease lease = lend_idle(lock)) {
      wake_next();
      return lease;
    }
  }
}

Lease ConnectionPool::take_idle() {
  Lock lock(mutex_);
  while (!idle_.empty()) {
    if (Lease lease = lend_idle(lock)) {
      return lease;
    }
    wake_next();
  }
  return {};
}

// While the store is down nobody waits for its probe: take_new() says why it is down.
bool ConnectionPool::available() const {
  return !idle_.empty() || (open_ < limits_.connections &&
                            (!backoff_.up() || dialling_.size() < backoff_.attempts_at_once()));
}

bool ConnectionPool::wait_until_available(Lock& lock, const Patience& patience, Place place) {
  if (available() && (waiting_.empty() || place == Place::kFirst)) {
    return true;
  }
  Waiter self;
  waiting_.insert(place == Place::kFirst ? waiting_.begin() : waiting_.end(), &self);
  const bool served = self.wait_until(
      lock, patience, [&] { return cut_ || (waiting_.front() == &self && available()); });
  std::erase(waiting_, &self);
  if (!served) {
    wake_next();
  }
  return served;
}

// Wakes one waiter for each freed connection, to avoid a thundering herd.
void ConnectionPool::wake_next() {
  if (!waiting_.empty() && available()) {
    waiting_.front()->call();
  }
}

Lease ConnectionPool::lend(PooledConnection connection, const Lease::Past& past) {
  leased_.push_back(connection.upstream.get());
  if (cut_) {
    connection.upstream->cut();  // it was not leased yet when cut() broke the others
  }
  return Lease(*this, std::move(connection), past);
}

// Empty if the connection was dead or expired; its place is free then.
Lease ConnectionPool::lend_idle(Lock& lock) {
  PooledConnection connection = idle_.take_latest();
  const Clock::time_point now = now_();
  const bool expired = idle_.expired(connection, now);
  lock.unlock();
  const bool usable = !expired && connection.upstream->alive();
  lock.lock();
  if (usable) {
    const Clock::duration idle = now - connection.last_used;
    return lend(std::move(connection), {Lease::Origin::kIdle, idle});
  }
  close_one(lock, std::move(connection));
  return {};
}

// A new connection, unless the backoff forbids it.
Lease ConnectionPool::take_new(Lock& lock, Deadline latest, Connector::Resort resort,
                               Failure& failure) {
  while (!backoff_.blocks(now_())) {
    if (open_ < limits_.connections) {
      return dial(lock, latest, resort, failure);
    }
    close_one(lock, idle_.take_oldest());
  }
  failure = last_failure_;
  wake_next();
  return {};
}

// The dial occupies a place in the pool while it lasts, so that the limit holds.
Lease ConnectionPool::dial(Lock& lock, Deadline latest, Connector::Resort resort,
                           Failure& failure) {
  Opening opening;
  const RetryBackoff::Try attempt = begin_dial(opening);
  const unsigned generation = idle_.generation();  // before the dial looks at TLS
  lock.unlock();
  Connection connection;
  DialResult result = DialResult::kUnknown;
  try {
    connection = connect(latest, resort, opening);
    // Nor does a dial that used up the caller's time, or that we cut, say anything about the store.
    const bool unknown = connection.unresolved || opening.is_cut() || Clock::now() >= latest;
    result = connection.ready ? DialResult::kReady
             : unknown        ? DialResult::kUnknown
                              : DialResult::kFailed;
    log_dial(connection, result);
  } catch (...) {
    lock.lock();
    end_dial(attempt, opening, DialResult::kUnknown);
    throw;
  }
  lock.lock();
  if (!connection.ready) {
    failure = opening.is_cut() ? stopping()
                               : Failure{connection.trouble, connection.failure, connection.spent};
  }
  if (result != DialResult::kUnknown) {
    last_failure_ = connection.ready ? Failure() : Failure{failure.trouble, failure.reason};
  }
  end_dial(attempt, opening, result);
  if (!connection.ready) {
    return {};
  }
  security_ = security_of(*connection.upstream);
  const Clock::time_point now = now_();
  return lend(
      {std::move(connection.upstream), now, idle_.end_of_life(made_++, now), now, generation},
      {Lease::Origin::kDialled, {}, connection.spent});
}

void ConnectionPool::log_dial(const Connection& connection, DialResult result) {
  if (events_ == nullptr) {
    return;
  }
  if (result == DialResult::kReady) {
    log_.dial_succeeded(now_());
  } else if (result == DialResult::kFailed) {
    log_.dial_failed(connection.failure, now_());
  }
}

Connection ConnectionPool::connect(Deadline latest, Connector::Resort resort, Opening& opening) {
  const Clock::time_point start = Clock::now();
  Connection connection = connector_->connect(latest, resort, opening);
  if (!connection.ready) {
    connection.upstream.reset();  // closed before another dial takes its place
  }
  if (events_ != nullptr) {
    events_->dialled(store().destination.text, result_of(connection), Clock::now() - start);
  }
  return connection;
}

RetryBackoff::Try ConnectionPool::begin_dial(Opening& opening) {
  ++open_;
  dialling_.push_back(&opening);
  if (cut_) {
    opening.cut();
  }
  wake_next();
  return backoff_.begin();
}

void ConnectionPool::end_dial(RetryBackoff::Try attempt, const Opening& opening,
                              DialResult result) {
  std::erase(dialling_, &opening);
  switch (result) {
    case DialResult::kReady:
      backoff_.succeeded(attempt);
      break;
    case DialResult::kFailed:
      backoff_.failed(attempt, now_());
      --open_;
      break;
    case DialResult::kUnknown:
      backoff_.abandoned(attempt);
      --open_;
      break;
  }
  wake_next();
}

// After its use: it is over a limit, and is not kept.
bool ConnectionPool::retires(PooledConnection& connection) const {
  connection.last_used = now_();
  return idle_.expired(connection, connection.last_used);
}

void ConnectionPool::keep(PooledConnection connection) {
  if (retires(connection)) {
    connection.upstream->quit();
    discard(std::move(connection));
    return;
  }
  const std::lock_guard lock(mutex_);
  std::erase(leased_, connection.upstream.get());
  idle_.add(std::move(connection));
  wake_next();
}

void ConnectionPool::discard(PooledConnection connection) {
  {
    const std::lock_guard lock(mutex_);
    std::erase(leased_, connection.upstream.get());
  }
  connection.upstream.reset();  // closed before another dial takes its place
  const std::lock_guard lock(mutex_);
  --open_;
  wake_next();
}

// Closes a connection that was idle. Its place stays occupied until it is closed.
void ConnectionPool::close_one(Lock& lock, PooledConnection connection) {
  ConnectionStack::List one;
  one.push_back(std::move(connection));
  lock.unlock();
  close(std::move(one));
  lock.lock();
  --open_;
}

// Without the lock, as QUIT waits for the reply. A store that does not answer is waited for once,
// not for each connection.
void ConnectionPool::close(ConnectionStack::List connections) {
  const Deadline latest = Clock::now() + store().settings.timeouts.quit;
  for (PooledConnection& connection : connections) {
    if (connection.upstream->alive()) {
      connection.upstream->quit(latest);
    } else {
      log_.lost(connection, now_());
    }
    connection.upstream.reset();
  }
}

void ConnectionPool::close_idle() {
  ConnectionStack::List closed;
  {
    const std::lock_guard lock(mutex_);
    closed = idle_.take_all();
    open_ -= closed.size();
    wake_next();
  }
  close(std::move(closed));
}

void ConnectionPool::close_unusable() {
  ConnectionStack::List closed;
  {
    const std::lock_guard lock(mutex_);
    closed = idle_.take_unusable(now_());
    open_ -= closed.size();
    wake_next();
  }
  close(std::move(closed));
}

void ConnectionPool::use_tls(std::shared_ptr<Tls> tls) {
  if (connector_->use(std::move(tls))) {
    expire_all();
  }
}

void ConnectionPool::probe(Deadline latest) {
  Lock lock(mutex_);
  // There is a place for it: the dial that failed left one, and until the store is up again only a
  // probe takes it.
  if (cut_ || backoff_.up() || backoff_.blocks(now_())) {
    return;
  }
  Failure failure;
  Lease lease = dial(lock, latest, Connector::Resort::kLast, failure);
  lock.unlock();
  lease.give_back();
}

// Waiting deliveries end too: a message sent now would be at the store, without a reply, when the
// process ends.
void ConnectionPool::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
  for (Waiter* const waiter : waiting_) {
    waiter->call();
  }
  for (Opening* const opening : dialling_) {
    opening->cut();
  }
  for (Upstream* const upstream : leased_) {
    upstream->cut();
  }
}

bool ConnectionPool::may_trace(const PooledConnection& connection) const {
  const std::lock_guard lock(mutex_);
  return connection.made >= trace_from_;
}

void ConnectionPool::pause_trace(const PooledConnection& connection) {
  {
    const std::lock_guard lock(mutex_);
    if (cut_ || connection.made < trace_from_) {
      return;  // we ended the connection, or another delivery met the same at the same time
    }
    trace_from_ = now_() + kTracePause;
  }
  log_.trace_paused(*connection.upstream);
}

bool ConnectionPool::has_idle() const {
  const std::lock_guard lock(mutex_);
  return !idle_.empty();
}

bool ConnectionPool::up() const {
  const std::lock_guard lock(mutex_);
  return backoff_.up();
}

std::size_t ConnectionPool::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

std::string ConnectionPool::security() const {
  const std::lock_guard lock(mutex_);
  return security_;
}

ConnectionPool::Figures ConnectionPool::figures() const {
  const std::lock_guard lock(mutex_);
  return {leased_.size(),      idle_.size(),  dialling_.size(),           waiting_.size(),
          limits_.connections, backoff_.up(), backoff_.remaining(now_()), last_failure_.reason};
}

}  // namespace lmtpq::mailer
