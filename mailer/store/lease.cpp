#include "mailer/store/lease.h"

#include <utility>

#include "mailer/store/connection_pool.h"

namespace lmtpq::mailer {

Lease::Lease(ConnectionPool& pool, PooledConnection connection, const Past& past)
    : pool_(&pool), connection_(std::move(connection)), past_(past) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  close();
  pool_ = other.pool_;
  connection_ = std::move(other.connection_);
  past_ = other.past_;
  return *this;
}

Lease::~Lease() { close(); }

const Store& Lease::store() const { return pool_->store(); }

bool Lease::may_trace() const { return pool_->may_trace(connection_); }

void Lease::pause_trace() const { pool_->pause_trace(connection_); }

bool Lease::ends() {
  return connection_.upstream && connection_.upstream->reusable() && pool_->retires(connection_);
}

void Lease::give_back() {
  if (connection_.upstream && connection_.upstream->reusable()) {
    pool_->keep(std::move(connection_));
  } else {
    close();
  }
}

void Lease::close() {
  if (connection_.upstream) {
    pool_->discard(std::move(connection_));
  }
}

}  // namespace lmtpq::mailer
