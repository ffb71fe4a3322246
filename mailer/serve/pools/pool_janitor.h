// The thread that looks after the pools.
//
// What it is: once a second, connections that idled or lived too long are closed, sick stores are
//   tried again, and pools that no configuration needs any more are forgotten.
// What it does not know: messages.
// Called by: the daemon.
// Threads and lifetimes: one thread of its own, and one for each sick store while it is dialled, so
//   that one that does not answer holds up nothing.
// Failure: without a free thread a sick store is tried a second later.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "mailer/serve/pools/pool_registry.h"

namespace lmtpq::mailer {

class PoolJanitor {
 public:
  explicit PoolJanitor(PoolRegistry& book);
  ~PoolJanitor();

 private:
  void run();
  void look_after(const std::shared_ptr<ConnectionPool>& pool);

  PoolRegistry& book_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lmtpq::mailer
