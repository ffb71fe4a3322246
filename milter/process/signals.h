// SIGHUP reloads; SIGTERM and SIGINT stop. libmilter alone would stop on all three.
//
// They are blocked from the first instruction on (common/process/daemon_signals.h), and wait until
// the milter runs. Then a thread of the milter waits for SIGHUP, and a replacement of sigwait(3)
// keeps SIGHUP from libmilter's signal thread. The hangup thread lives as long as the process.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "common/descriptor.h"

namespace lmtpq::milter {

// As long as it lives, a part of the start: where that does not end within kStart after SIGTERM or
// SIGINT, as it waits for a disk or the DNS, the process ends, and `before` is called first. Has a
// thread: not during a fork(2).
class StartGuard {
 public:
  static constexpr std::chrono::seconds kStart{5};

  explicit StartGuard(std::function<void()> before = nullptr);
  ~StartGuard();
  StartGuard(const StartGuard&) = delete;
  StartGuard& operator=(const StartGuard&) = delete;

 private:
  void run() const;

  const std::function<void()> before_;
  const Descriptor done_;  // eventfd(2)
  const Descriptor came_;  // signalfd(2), which is not read: the signal is for libmilter
  std::thread thread_;
};

// What the hangup thread calls. None may throw.
struct OnSignals {
  std::function<void()> hangup;    // after each SIGHUP; one during the call causes one more call
  std::function<void()> second;    // each second, until libmilter is told to stop
  std::function<void()> stopping;  // then, several times a second: libmilter notices within five
                                   // seconds, or when a client connects
};
// Throws std::system_error when no thread can be started.
void start_hangup_thread(OnSignals calls);

// The signal that told libmilter to stop; 0: none yet.
int stopped_by();

}  // namespace lmtpq::milter
