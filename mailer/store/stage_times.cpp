#include "mailer/store/stage_times.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace lmtpq::mailer {
namespace {

// `value` is in units of 10^-digits.
void append_fixed(std::string& text, long long value, std::size_t digits) {
  const std::string all = std::to_string(std::max(value, 0LL));
  if (all.size() <= digits) {
    text += "0.";
    text.append(digits - all.size(), '0');
    text += all;
  } else {
    text.append(all, 0, all.size() - digits);
    text += '.';
    text.append(all, all.size() - digits);
  }
}

}  // namespace

StageTimes& StageTimes::operator+=(const StageTimes& more) {
  std::transform(spent_.begin(), spent_.end(), more.spent_.begin(), spent_.begin(), std::plus<>());
  return *this;
}

Clock::duration StageTimes::total() const {
  return std::accumulate(spent_.begin(), spent_.end(), Clock::duration());
}

void append_seconds(std::string& text, Clock::duration span) {
  append_fixed(text, std::chrono::round<std::chrono::milliseconds>(span).count(), 3);
}

std::string seconds_text(Clock::duration span) {
  using Tenths = std::chrono::duration<long long, std::deci>;
  std::string text;
  append_fixed(text, std::chrono::round<Tenths>(span).count(), 1);
  return text + 's';
}

}  // namespace lmtpq::mailer
