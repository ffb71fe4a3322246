// While it lives, a signal does not end the process, but the deliveries: what has not been sent is
// deferred, and what may have been filed has its outcome and its log line, which say so.
//
// A thread receives the signals. Made before any other thread, since they inherit what is blocked.
// A second signal does nothing more: every wait for a store has a deadline.
#pragma once

#include <signal.h>

#include <thread>

#include "mailer/store/pool_list.h"

namespace lmtpq::mailer {

class CutBySignal {
 public:
  explicit CutBySignal(PoolList& pools);
  ~CutBySignal();
  CutBySignal(const CutBySignal&) = delete;
  CutBySignal& operator=(const CutBySignal&) = delete;

 private:
  void run();

  PoolList& pools_;
  sigset_t signals_{};
  std::thread thread_;
};

}  // namespace lmtpq::mailer
