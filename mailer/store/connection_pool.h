// All connections to one store, shared by the deliveries that go there.
//
// A delivery leases a connection: an idle one, a new one, or the next that another delivery gives
// back; waiting deliveries are served in the order in which they asked. The number of connections
// is limited, and so are a connection's uses, its lifetime and its time without use.
//
// A store that cannot be dialled is down. It is not dialled again until the backoff is over, and
// then by one caller at a time (mailer/store/retry_backoff.h). Until then take() fails at once with
// the reason of the last dial. A store that is back is dialled once, then twice at a time, and so
// on. A name that the resolver does not answer for says nothing about its store. The daemon's
// PoolJanitor probes stores that are down, so that no message has to wait for the connect timeout,
// and closes idle connections that expired or that their store has ended.
//
// May be used by several threads. A Lease belongs to one thread or fiber, and must end before its
// pool does. Only connections in a clean state are kept; all others are closed when they come back.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "mailer/io/waiting.h"
#include "mailer/message/delivery_events.h"
#include "mailer/store/connection_stack.h"
#include "mailer/store/connector.h"
#include "mailer/store/lease.h"
#include "mailer/store/pool_log.h"
#include "mailer/store/retry_backoff.h"

namespace lmtpq::mailer {

class ConnectionPool {
 public:
  struct Limits {
    std::size_t connections = 1;            // leased, idle and being dialled
    int uses = 0;                           // transactions on one connection; 0: no limit
    std::chrono::milliseconds lifetime{0};  // since the dial, give or take a tenth; 0: no limit
    // Without use; 0: no connection is kept; nullopt: no limit.
    std::optional<std::chrono::milliseconds> idle = std::nullopt;
    // After a failed dial; doubles with each further one up to the maximum. 0: no backoff.
    std::chrono::milliseconds backoff{0};
    std::chrono::milliseconds max_backoff{30'000};
    double jitter = 0;                  // each backoff is shorter by a random part, up to this one
    std::chrono::milliseconds wait{0};  // for a connection; 0: until the caller's deadline
  };
  struct Failure {
    Trouble trouble = Trouble::kUnreachable;
    std::string reason;
    StageTimes spent{};  // on the dial
  };
  struct Figures {
    std::size_t leased = 0;
    std::size_t idle = 0;
    std::size_t dialling = 0;
    std::size_t waiting = 0;
    std::size_t limit = 0;
    bool up = true;
    std::chrono::milliseconds retry_in{0};  // 0: it is up, or a probe may begin or is running
    std::string failure;                    // why it is down
  };
  // For the backoff and the limits of lifetime and idle time; deadlines are on the real clock.
  using Now = std::function<Clock::time_point()>;

  // `events` are those of the daemon, whose log also shows when a store goes down and is back. In
  // relay and deliver it is nullptr: each message has a line for a store that fails.
  ConnectionPool(std::unique_ptr<Connector> connector, Limits limits,
                 DeliveryEvents* events = nullptr, Now now = &Clock::now);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  enum class Which {
    kAny,
    kNew,  // dial even if there are idle connections; if need be, the oldest of them is closed
  };
  // Leases a connection. An empty Lease: there is none, and `failure` says why.
  Lease take(const Patience& patience, Failure& failure, Which which = Which::kAny,
             Connector::Resort resort = Connector::Resort::kLast);
  // Leases an idle connection that is alive; an empty Lease if there is none.
  Lease take_idle();

  const Store& store() const { return connector_->store(); }
  bool has_idle() const;
  bool up() const;  // the last dial succeeded, or none was made yet
  std::size_t open() const;
  Figures figures() const;
  // Of the newest connection: "tls=TLSv1.3/verified auth=PLAIN"; empty until there was one.
  std::string security() const;

  void close_idle();
  // Closes idle connections that are over a limit or that the store has ended.
  void close_unusable();
  // Dials a store that is down, if its backoff is over and nobody else does.
  void probe(Deadline latest);
  // Breaks all connections that are leased or being made at once, whatever their state, and lends
  // no more. For the end of the daemon's drain.
  void cut();
  std::shared_ptr<Tls> read_tls() const { return connector_->read_tls(); }  // for use_tls()
  // For the connections that are dialled from now on. If its trust is another, expires the others.
  void use_tls(std::shared_ptr<Tls> tls);
  // No connection that is open or being dialled is used for another message: those that are leased
  // are closed when they come back, the others when they are found.
  void expire_all() { idle_.expire_all(); }

 private:
  friend class Lease;
  using Lock = std::unique_lock<std::mutex>;
  enum class Place { kFirst, kLast };  // in the line of those that wait
  enum class DialResult { kReady, kFailed, kUnknown };

  bool available() const;
  bool wait_until_available(Lock& lock, const Patience& patience, Place place);
  void wake_next();
  bool may_trace(const PooledConnection& connection) const;
  void pause_trace(const PooledConnection& connection);
  Lease lend(PooledConnection connection, const Lease::Past& past);
  Lease lend_idle(Lock& lock);
  Lease take_new(Lock& lock, Deadline latest, Connector::Resort resort, Failure& failure);
  Lease dial(Lock& lock, Deadline latest, Connector::Resort resort, Failure& failure);
  Connection connect(Deadline latest, Connector::Resort resort, Opening& opening);
  void log_dial(const Connection& connection, DialResult result);
  RetryBackoff::Try begin_dial(Opening& opening);
  void end_dial(RetryBackoff::Try attempt, const Opening& opening, DialResult result);
  bool retires(PooledConnection& connection) const;
  void keep(PooledConnection connection);
  void discard(PooledConnection connection);
  void close_one(Lock& lock, PooledConnection connection);
  void close(ConnectionStack::List connections);

  const std::unique_ptr<Connector> connector_;
  const Limits limits_;
  DeliveryEvents* const events_;
  const Now now_;
  mutable std::mutex mutex_;
  std::deque<Waiter*> waiting_;
  ConnectionStack idle_;
  std::vector<Upstream*> leased_;
  std::vector<Opening*> dialling_;
  std::size_t open_ = 0;  // idle, leased and being dialled
  unsigned made_ = 0;     // connections so far
  RetryBackoff backoff_;
  Failure last_failure_;  // of the store while it is down
  std::string security_;
  Clock::time_point trace_from_ = Clock::time_point::min();  // connections made since may send it
  bool cut_ = false;
  PoolLog log_;
};

}  // namespace lmtpq::mailer
