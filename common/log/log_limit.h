// How many lines an outsider can cause: of each event the first line of an outsider is written, and
// for a minute its next ones are only counted. Then one line says how many were left out.
//
// Of one event, kMostOutsiders have their own line and count in a minute; all others together have
// one count and no line. So memory and lines are bounded, whatever comes from how many addresses.
// Not for several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq {

class LogLimit {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kSpan{60};
  static constexpr std::size_t kMostOutsiders = 20;
  static constexpr const char* kOthers = "others";

  struct LeftOut {
    std::string event;
    std::string outsider;
    std::uint64_t lines = 0;
  };

  // Whether this line may be written. Otherwise it is counted. First take what ended().
  bool admits(std::string_view event, std::string_view outsider, Clock::time_point now);
  // What was left out in spans that ended until now. It is forgotten here.
  std::vector<LeftOut> ended(Clock::time_point now);
  // When the next span in which lines were left out ends.
  std::optional<Clock::time_point> next_end() const;

 private:
  struct Span {
    Clock::time_point end;
    std::map<std::string, std::uint64_t, std::less<>> left_out;  // lines, by outsider
    std::uint64_t of_others = 0;
    bool any = false;
  };

  std::map<std::string, Span, std::less<>> spans_;  // by event
};

}  // namespace lmtpq
