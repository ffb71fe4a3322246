#include "mailer/serve/pools/pool_janitor.h"

#include <exception>
#include <system_error>

namespace lmtpq::mailer {

PoolJanitor::PoolJanitor(PoolRegistry& registry) : registry_(registry) {
  thread_ = std::thread([this] { run(); });
}

PoolJanitor::~PoolJanitor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_.notify_all();
  }
  thread_.join();
}

void PoolJanitor::run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_; })) {
    lock.unlock();
    for (const auto& pool : registry_.all()) {
      clean(pool);
      if (closing_) {
        pool->close_idle();
      }
    }
    registry_.sweep();
    lock.lock();
  }
}

void PoolJanitor::clean(const std::shared_ptr<ConnectionPool>& pool) {
  pool->close_unusable();
  if (pool->up()) {
    return;
  }
  try {
    std::thread([pool] {
      const StoreTimeouts& times = pool->store().settings.timeouts;
      try {
        pool->probe(Clock::now() + times.connect + times.lhlo);
      } catch (const std::exception&) {
        // Out of memory: the store stays down and is probed again.
      }
    }).detach();
  } catch (const std::system_error&) {
    return;
  }
}

}  // namespace lmtpq::mailer
