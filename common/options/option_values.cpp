// Values as text: times, sizes, numbers, switches (declared in option_reader.h).

#include <charconv>
#include <limits>

#include "common/options/option_reader.h"

namespace lmtpq {
namespace {

// Takes the digits at the front of `text`; throws when there are none or the number is too large.
std::uint64_t take_digits(std::string_view& text, const char* expected) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || text.empty()) {
    throw ConfigError(expected);
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

constexpr Unit kTimes[] = {{"", 1000},       {"ms", 1},         {"s", 1000},       {"m", 60'000},
                           {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}};
constexpr Unit kSizes[] = {{"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
                           {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}};

// Clocks count nanoseconds in 64 bits: now() plus the longest duration must still fit.
constexpr std::uint64_t kLongest = 5200ULL * 604'800'000;

template <std::size_t N>
std::uint64_t measure(std::string_view text, const Unit (&units)[N], std::uint64_t limit,
                      const char* expected) {
  const std::uint64_t number = take_digits(text, expected);
  for (const Unit& unit : units) {
    if (text != unit.suffix) {
      continue;
    }
    if (number > limit / unit.factor) {
      break;
    }
    return number * unit.factor;
  }
  throw ConfigError(expected);
}

}  // namespace

std::chrono::milliseconds parse_duration(std::string_view text) {
  return std::chrono::milliseconds(
      measure(text, kTimes, kLongest, "expected a time such as 30s, 5m or 1h, 5200w at most"));
}

std::uint64_t parse_size(std::string_view text) {
  return measure(text, kSizes, std::numeric_limits<std::uint64_t>::max(),
                 "expected a size such as 4096, 64k or 30M");
}

std::uint64_t parse_number(std::string_view text) {
  const std::uint64_t number = take_digits(text, "expected a number");
  if (!text.empty()) {
    throw ConfigError("expected a number");
  }
  return number;
}

bool parse_switch(std::string_view text) {
  if (text == "yes" || text == "true" || text == "on" || text == "1") {
    return true;
  }
  if (text == "no" || text == "false" || text == "off" || text == "0") {
    return false;
  }
  throw ConfigError("expected yes or no");
}

}  // namespace lmtpq
