// When to try a server again that could not be reached.
//
// After a failed attempt the server counts as down, and no attempt may begin for the initial delay.
// Then one may, a probe; no other may begin while it runs. Each failed probe doubles the delay, up
// to the maximum. The first success, of a probe or of an attempt that began earlier, ends all this:
// the server is up. Then a few attempts may run at once, and with each success twice as many, so
// that a server that has just started is not met by all of them.
//
// Attempts that were in progress when the server went down fail too. They do not extend the delay.
// An initial delay of 0 disables the backoff: the server is always up.
//
// The owner keeps the reason of the last failure, and reports it to those that may not try. Not
// thread-safe: call it under the owner's lock. The owner passes the time.
#pragma once

#include <chrono>
#include <cstddef>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class RetryBackoff {
 public:
  enum class Try {
    kNormal,  // begun while the server was up
    kProbe,   // begun while it was down
  };

  // A maximum below the initial delay counts as the initial delay. `jitter`, from 0 to 1: each
  // delay is shorter by a random part, up to this one, so that many clients do not return together.
  RetryBackoff(std::chrono::milliseconds initial, std::chrono::milliseconds maximum,
               double jitter = 0);

  bool up() const { return delay_.count() == 0; }
  // True: do not try now; the server is down, and either the delay is not over or a probe runs.
  bool blocks(Clock::time_point now) const { return !up() && (probing_ || now < next_attempt_); }
  // How many attempts may run while the server is up.
  std::size_t attempts_at_once() const { return at_once_; }
  // Until the next probe may begin, rounded up; 0 when it may begin now, and when the server is up.
  std::chrono::milliseconds remaining(Clock::time_point now) const;

  // Call begin() when blocks() is false, and one of the others with its result when the attempt has
  // ended. An operation on an open connection that shows the server to be down needs no begin(): it
  // is failed() as kNormal.
  Try begin();
  void succeeded(Try attempt);
  void failed(Try attempt, Clock::time_point now);
  void abandoned(Try attempt);  // it ended early and says nothing about the server

 private:
  std::chrono::milliseconds shortened(std::chrono::milliseconds delay) const;

  std::chrono::milliseconds initial_;
  std::chrono::milliseconds maximum_;
  double jitter_;
  std::chrono::milliseconds delay_{0};  // 0: the server is up
  Clock::time_point next_attempt_;
  bool probing_ = false;
  std::size_t at_once_;
};

}  // namespace lmtpq::mailer
