#include "mailer/serve/pools/pool_janitor.h"

#include <exception>
#include <system_error>

namespace lmtpq::mailer {

PoolJanitor::PoolJanitor(PoolRegistry& book) : book_(book) {
  thread_ = std::thread([this] { run(); });
}

PoolJanitor::~PoolJanitor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ended_.notify_all();
  }
  thread_.join();
}

void PoolJanitor::run() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_; })) {
    lock.unlock();
    for (const auto& pool : book_.all()) {
      look_after(pool);
    }
    book_.sweep();
    lock.lock();
  }
}

void PoolJanitor::look_after(const std::shared_ptr<ConnectionPool>& pool) {
  pool->close_expired();
  if (pool->up()) {
    return;
  }
  try {
    std::thread([pool] {
      const StoreTimeouts& times = pool->store().settings.timeouts;
      try {
        pool->probe(Clock::now() + times.connect + times.lhlo);
      } catch (const std::exception&) {
        // Out of memory: it is sick still, and tried again.
      }
    }).detach();
  } catch (const std::system_error&) {
    return;
  }
}

}  // namespace lmtpq::mailer
