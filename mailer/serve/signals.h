// The daemon's signals: a thread receives SIGHUP, SIGUSR2, SIGTERM and SIGINT, and the main thread
// asks for them.
//
// SIGTERM and SIGINT end the process, whatever blocks the main thread or anything that it waits
// for: when the time to drain and kGrace are over, the thread ends the process itself. From the
// second signal on, only kGrace is left.
//
// Block the signals before the first thread. The thread never ends, and uses the object and the
// log: destroy neither.
#pragma once

#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "common/log/log.h"

namespace lmtpq::mailer {

class Signals {
 public:
  using Clock = std::chrono::steady_clock;
  // To answer messages whose connections were cut, to log those whose clients do not read, and to
  // end.
  static constexpr std::chrono::seconds kGrace{13};

  static void block();

  explicit Signals(std::chrono::milliseconds drain);

  // The next signal; 0: none came in this time. SIGTERM, also for SIGINT, comes before SIGHUP, and
  // that before SIGUSR2.
  int next(std::chrono::milliseconds most);
  void set_drain(std::chrono::milliseconds drain) { drain_ = drain; }
  void set_log(const Log& log) { log_ = &log; }
  // The daemon ends without a signal: as after the first SIGTERM, which may still come.
  void end_without_signal();
  // The status with which the thread ends the process: EX_TEMPFAIL, until all clients have left.
  void set_status(int status) { status_ = status; }

 private:
  void run();
  void stop();
  [[noreturn]] void end();

  std::atomic<const Log*> log_ = nullptr;
  std::atomic<std::chrono::milliseconds> drain_;
  std::atomic<int> status_;
  std::mutex mutex_;
  std::optional<Clock::time_point> end_;
  bool stopped_ = false;  // the first SIGTERM has come
  std::condition_variable came_;
  bool hangup_ = false;
  bool upgrade_ = false;
  unsigned stops_ = 0;  // that were not asked for yet
};

}  // namespace lmtpq::mailer
