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
  bool reused() const { return past_.origin == Origin::kIdle; }
  // How long it was idle before.
  Clock::duration idle() const { return past_.idle; }
  // How long the dial took; nothing if it was idle.
  const StageTimes& opening() const { return past_.opening; }

  // False: the store hung up on TRACE, and this connection is to send none.
  bool may_trace() const;
  // The store hung up on the TRACE of this connection: sends it none for an hour, and then only on
  // connections that are new.
  void pause_trace() const;

  // give_back() will close the connection, and wait for the store's reply to QUIT.
  bool ends();
  // Keeps the connection in the pool for the next delivery if its state is clean; closes it
  // otherwise. The Lease is empty afterwards.
  void give_back();

 private:
  friend class ConnectionPool;
  enum class Origin { kDialled, kIdle };
  struct Past {  // before this lease
    Origin origin = Origin::kDialled;
    Clock::duration idle{};
    StageTimes opening{};
  };
  Lease(ConnectionPool& pool, PooledConnection connection, const Past& past);
  void close();

  ConnectionPool* pool_ = nullptr;
  PooledConnection connection_;
  Past past_;
};

}  // namespace lmtpq::mailer
