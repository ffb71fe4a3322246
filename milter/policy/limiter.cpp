#include "milter/policy/limiter.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/ascii.h"
#include "common/config_error.h"

namespace lmtpq::milter {
namespace {

using std::chrono::seconds;

constexpr const char* kExpected =
    "expected 1 or more per second, minute, hour or day, such as 100/hour";
constexpr const char* kBlank = " \t";

struct Period {
  std::string_view name;
  seconds length;
};
constexpr Period kPeriods[] = {{"second", seconds(1)},
                               {"minute", std::chrono::minutes(1)},
                               {"hour", std::chrono::hours(1)},
                               {"day", std::chrono::hours(24)}};

// Takes `/`, or the word `per` between blanks.
bool take_per(std::string_view& rest) {
  const std::string_view word = trimmed(rest);
  if (word.starts_with('/')) {
    rest = trimmed(word.substr(1));
    return true;
  }
  constexpr std::string_view kPer = "per";
  const bool apart = word.size() < rest.size() && word.starts_with(kPer) &&
                     word.find_first_of(kBlank) == kPer.size();
  if (apart) {
    rest = trimmed(word.substr(kPer.size()));
  }
  return apart;
}

std::optional<seconds> period_named(std::string_view word) {
  for (const Period& known : kPeriods) {
    if (word == known.name || word == known.name.substr(0, 1)) {
      return known.length;
    }
  }
  return std::nullopt;
}

}  // namespace

Limit Limit::parse(std::string_view text) {
  std::string_view rest = trimmed(text);
  Limit limit;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), limit.count);
  if (error != std::errc() || limit.count == 0) {
    throw ConfigError(kExpected);
  }
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  const std::optional<seconds> length = take_per(rest) ? period_named(rest) : std::nullopt;
  if (!length) {
    throw ConfigError(kExpected);
  }
  limit.period = *length;
  return limit;
}

std::string Limit::text() const {
  for (const Period& known : kPeriods) {
    if (known.length == period) {
      return std::to_string(count) + '/' + std::string(known.name);
    }
  }
  return std::to_string(count) + '/' + std::to_string(period.count()) + 's';
}

bool Limiter::take(const std::string& rule, const std::string& sender, const Limit& limit,
                   Time now) {
  const std::string key = rule + '\n' + sender.substr(0, kMaxSender);
  const std::lock_guard<std::mutex> lock(mutex_);
  auto found = counts_.find(key);
  if (found == counts_.end()) {
    if (counts_.size() >= kMaxSenders && !make_room(now)) {
      return false;
    }
    found = counts_.emplace(key, Count{now, limit.period, 0}).first;
  }
  Count& count = found->second;
  // A reload may have changed the period.
  count.period = limit.period;
  if (now - count.begun >= count.period) {
    count.begun = now;
    count.taken = 0;
  }
  if (count.taken >= limit.count) {
    return false;
  }
  ++count.taken;
  return true;
}

// Removes expired counts. The walk takes milliseconds under the lock, so it is not made for every
// new sender of a flood.
bool Limiter::make_room(Time now) {
  if (now < next_sweep_) {
    return false;
  }
  next_sweep_ = now + seconds(1);
  std::erase_if(counts_, [now](const auto& entry) {
    return now - entry.second.begun >= entry.second.period;
  });
  return counts_.size() < kMaxSenders;
}

}  // namespace lmtpq::milter
