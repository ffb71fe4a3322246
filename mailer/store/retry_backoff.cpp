#include "mailer/store/retry_backoff.h"

#include <algorithm>

namespace lmtpq::mailer {

using std::chrono::milliseconds;

RetryBackoff::RetryBackoff(milliseconds initial, milliseconds maximum)
    : initial_(initial), maximum_(std::max(initial, maximum)) {}

milliseconds RetryBackoff::remaining(Clock::time_point now) const {
  if (up() || now >= next_attempt_) {
    return milliseconds(0);
  }
  return std::chrono::ceil<milliseconds>(next_attempt_ - now);
}

RetryBackoff::Try RetryBackoff::begin() {
  if (up()) {
    return Try::kNormal;
  }
  probing_ = true;
  return Try::kProbe;
}

void RetryBackoff::succeeded(Try attempt) {
  abandoned(attempt);
  delay_ = milliseconds(0);
}

void RetryBackoff::failed(Try attempt, Clock::time_point now) {
  abandoned(attempt);
  if (attempt == Try::kProbe || up()) {
    delay_ = std::clamp(2 * delay_, initial_, maximum_);
    next_attempt_ = now + delay_;
  }
}

void RetryBackoff::abandoned(Try attempt) {
  if (attempt == Try::kProbe) {
    probing_ = false;
  }
}

}  // namespace lmtpq::mailer
