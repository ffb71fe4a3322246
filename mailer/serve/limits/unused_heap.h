// Gives back to the system what a burst has left in the heap.
//
// malloc(3) returns only the end of a heap by itself. After many messages at once, or lines that
// waited for the log, the pages below would stay with the process forever. Used by the main
// thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace lmtpq::mailer {

class UnusedHeap {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint64_t kMargin = 1024 * 1024;
  // Between two trims: one takes up to 0.1 s for each 400 MB, and allocations wait for it.
  static constexpr std::chrono::seconds kPause{10};

  // Each second; `unused` is the memory of the process, in bytes, that it has not allocated. True:
  // it has grown by kMargin since the last trim, so trim_heap().
  bool grew(std::uint64_t unused, Time now);

 private:
  std::uint64_t least_ = UINT64_MAX;  // since the last trim
  Time not_before_;
};

// Of `anonymous` bytes of this process.
std::uint64_t unused_memory(std::uint64_t anonymous);
void trim_heap();

}  // namespace lmtpq::mailer
