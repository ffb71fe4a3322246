// A histogram of durations: how often something took up to 1 ms, 2.5 ms, ... 10 min, and the sum.
//
// Used by several threads without a lock. read() while others add may miss the latest.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace lmtpq::mailer {

class Histogram {
 public:
  // Upper bounds in seconds.
  static constexpr std::array<double, 18> kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                  0.1,   0.25,   0.5,   1,    2.5,   5,
                                                  10,    30,     60,    120,  300,   600};
  struct Reading {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};  // the last: above all bounds
    std::uint64_t count = 0;
    double seconds = 0;
  };

  void add(std::chrono::nanoseconds time);
  Reading read() const;

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<std::uint64_t> nanoseconds_ = 0;
};

}  // namespace lmtpq::mailer
