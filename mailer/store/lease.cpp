#include "mailer/store/lease.h"

#include <utility>

#include "mailer/store/connection_pool.h"

namespace lmtpq::mailer {

Lease::Lease(ConnectionPool& pool, PooledConnection connection, Origin origin)
    : pool_(&pool), connection_(std::move(connection)), origin_(origin) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  close();
  pool_ = other.pool_;
  connection_ = std::move(other.connection_);
  origin_ = other.origin_;
  return *this;
}

Lease::~Lease() { close(); }

const Store& Lease::store() const { return pool_->store(); }

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
