// How long something took, each time: a histogram.
//
// What it is: counts of durations by upper bounds from 1 ms to 10 min, and their sum.
// What it does not know: what is measured; Prometheus (metrics makes its form of it).
// Called by: the tallies.
// Threads and lifetimes: used by several threads without a lock; a reading that is taken meanwhile
//   may miss what is being added.
// Failure: none.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace lmtpq::mailer {

class Histogram {
 public:
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
