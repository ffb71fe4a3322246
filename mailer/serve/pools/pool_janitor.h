// The thread that cleans up the pools. Once a second it closes connections that were idle or lived
// for too long, probes stores that are down, and drops pools that no configuration uses any more.
//
// Each probe runs on a separate thread, so that a store that does not answer delays nothing. Where
// no thread can be had, the store is probed a second later.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "mailer/serve/pools/pool_registry.h"

namespace lmtpq::mailer {

class PoolJanitor {
 public:
  explicit PoolJanitor(PoolRegistry& registry);
  ~PoolJanitor();

  // From now on it closes every idle connection. Called from another thread.
  void keep_no_idle() { closing_ = true; }

 private:
  void run();
  void clean(const std::shared_ptr<ConnectionPool>& pool);

  PoolRegistry& registry_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace lmtpq::mailer
