#include "mailer/store/retry_backoff.h"

#include <algorithm>
#include <limits>
#include <random>

namespace lmtpq::mailer {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kAfterOutage = 1;
constexpr std::size_t kEnough = 128;

}  // namespace

RetryBackoff::RetryBackoff(milliseconds initial, milliseconds maximum, double jitter)
    : initial_(initial),
      maximum_(std::max(initial, maximum)),
      jitter_(jitter),
      at_once_(kUnlimited) {}

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
  at_once_ = at_once_ >= kEnough ? kUnlimited : 2 * at_once_;
}

void RetryBackoff::failed(Try attempt, Clock::time_point now) {
  abandoned(attempt);
  if (attempt == Try::kProbe || up()) {
    delay_ = std::clamp(2 * delay_, initial_, maximum_);
    next_attempt_ = now + shortened(delay_);
    at_once_ = up() ? kUnlimited : kAfterOutage;
  }
}

milliseconds RetryBackoff::shortened(milliseconds delay) const {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double part = std::uniform_real_distribution<>(0.0, jitter_)(random);
  return delay - std::chrono::duration_cast<milliseconds>(delay * part);
}

void RetryBackoff::abandoned(Try attempt) {
  if (attempt == Try::kProbe) {
    probing_ = false;
  }
}

}  // namespace lmtpq::mailer
