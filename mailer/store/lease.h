// A connection to a store, taken from its ConnectionPool for one delivery.
//
// A Lease belongs to one thread or fiber and must end before its pool does. At its end the
// connection is closed, unless give_back() was called before and the connection can be used again.
#pragma once

#include <memory>

#include "mailer/store/connection_stack.h"

namespace lmtpq::mailer {

class ConnectionPool;

class Lease {
 public:
  Lease() = default;  // empty: there is no connection
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const { return connection_.upstream != nullptr; }
  Upstream* operator->() const { return connection_.upstream.get(); }
  Upstream& operator*() const { return *connection_.upstream; }
  const Store& store() const;
  // The connection was idle before. If it breaks, that says nothing about the store: many stores
  // close idle connections.
  bool reused() const { return origin_ == Origin::kIdle; }

  // give_back() will close the connection, and wait for the store's reply to QUIT.
  bool ends();
  // Keeps the connection in the pool for the next delivery if its state is clean; closes it
  // otherwise. The Lease is empty afterwards.
  void give_back();

 private:
  friend class ConnectionPool;
  enum class Origin { kDialled, kIdle };
  Lease(ConnectionPool& pool, PooledConnection connection, Origin origin);
  void close();

  ConnectionPool* pool_ = nullptr;
  PooledConnection connection_;
  Origin origin_ = Origin::kDialled;
};

}  // namespace lmtpq::mailer
