// The daemon's signals: a thread receives SIGHUP, SIGUSR2, SIGTERM and SIGINT, and the main thread
// asks for them.
//
// SIGTERM and SIGINT end the process, whatever blocks the main thread or anything that it waits
// for: when the time to drain and kGrace are over, the thread ends the process itself. From the
// second signal on, only kGrace is left. A start that they meet has kStart; what it waits for looks
// at stopped().
//
// Made when the signals are blocked (common/process/daemon_signals.h). The thread never ends, and
// uses the object and the log: destroy neither.
#pragma once

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
  static constexpr std::chrono::seconds kStart{5};

  Signals();

  enum class Which { kAll, kStop };
  // The next signal; 0: none came in this time. SIGTERM, also for SIGINT, comes before SIGHUP, and
  // that before SIGUSR2. With kStop the other two wait.
  int next(std::chrono::milliseconds most, Which which = Which::kAll);
  // next() returns now, or when it is called. From any thread.
  void wake();
  // SIGTERM or SIGINT has come. From any thread.
  bool stopped() const { return stopped_; }
  // The start is over, or a reload has changed it.
  void set_drain(std::chrono::milliseconds drain);
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
  std::atomic<int> status_;
  std::atomic<bool> stopped_ = false;  // the first SIGTERM has come
  std::mutex mutex_;
  std::chrono::milliseconds most_ = kStart;  // from the first SIGTERM to the end
  std::optional<Clock::time_point> end_;
  std::condition_variable came_;
  bool hangup_ = false;
  bool upgrade_ = false;
  bool woken_ = false;
  unsigned stops_ = 0;  // that were not asked for yet
};

}  // namespace lmtpq::mailer
