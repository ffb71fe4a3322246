// The idle connections of one pool, and the limits after which a connection is closed.
//
// Nothing here closes a connection: the pool takes it out of the stack and closes it without its
// lock, because QUIT may have to wait for the store. Expired connections are taken out once
// a second (PoolJanitor calls ConnectionPool::close_unusable()), and when one is about to be used.
// Not thread-safe, except expired(), end_of_life() and the generation: the pool calls the rest
// under its lock.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "mailer/store/upstream.h"

namespace lmtpq::mailer {

// An open connection as the pool knows it, leased or idle.
struct PooledConnection {
  std::unique_ptr<Upstream> upstream;
  Clock::time_point made;
  Clock::time_point end_of_life;
  Clock::time_point last_used;
  unsigned generation = 0;
};

class ConnectionStack {
 public:
  using List = std::vector<PooledConnection>;

  // Uses or a lifetime of 0 are no limit. `lifetime` is from the dial; `idle` is from the last use,
  // and 0 keeps no connection.
  ConnectionStack(int uses, std::chrono::milliseconds lifetime,
                  std::optional<std::chrono::milliseconds> idle)
      : uses_(uses), lifetime_(lifetime), idle_(idle) {}

  bool empty() const { return connections_.empty(); }
  std::size_t size() const { return connections_.size(); }
  void add(PooledConnection connection) { connections_.push_back(std::move(connection)); }
  // The most recently used one. It is leased first, so that after a burst of mail the others stay
  // unused and expire: each of them occupies a process at the store.
  PooledConnection take_latest();
  PooledConnection take_oldest();
  // Those over a limit, and those that the store has ended.
  List take_unusable(Clock::time_point now);
  List take_all();

  // The generation of a connection whose dial begins now. After expire_all() all that were dialled
  // before are expired.
  unsigned generation() const { return generation_; }
  void expire_all() { ++generation_; }
  // Whether a connection is over one of the limits, or of an earlier generation.
  bool expired(const PooledConnection& connection, Clock::time_point now) const;
  // When the `number`th connection of the pool, made now, expires: after the lifetime, give
  // or take a tenth, so that connections made together are not replaced together.
  Clock::time_point end_of_life(unsigned number, Clock::time_point now) const;

 private:
  const int uses_;
  const std::chrono::milliseconds lifetime_;
  const std::optional<std::chrono::milliseconds> idle_;
  std::atomic<unsigned> generation_ = 0;
  List connections_;  // the most recently used last
};

}  // namespace lmtpq::mailer
