// Whether the process keeps, for a long time, more memory than its clients account for: a library
// leaks. The daemon then upgrades, which frees all of it.
//
// Measured: Cyrus SASL plugins lose up to 7.6 KB at each login. What a busy daemon needs besides
// its clients, such as buffers of connections to stores and free parts of the heap, comes and goes;
// only what stays for the whole time counts. Used by the main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "mailer/settings/serve_settings.h"

namespace lmtpq::mailer {

class MemoryGrowth {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Between two upgrades for this reason, also where the first one failed.
  static constexpr std::chrono::hours kPause{1};

  struct Rule {
    std::uint64_t most = 0;  // bytes; 0: any number is good
    std::chrono::milliseconds time{0};
  };

  explicit MemoryGrowth(Time not_before = {}) : not_before_(not_before) {}

  // Each second. `excess` is the memory that clients do not account for. True: upgrade now.
  bool exceeds(std::uint64_t excess, const Rule& rule, Time now);
  // The next process must not upgrade for this reason before.
  Time not_before() const { return not_before_; }

 private:
  Time not_before_;
  std::optional<Time> since_;  // all the time it was more than the rule's
};

// `upgrade-memory` and its time, or by half of this memory limit.
MemoryGrowth::Rule memory_growth_rule(const ServeSettings& settings, std::uint64_t memory_limit);

// Of this process, in bytes: RssAnon in proc(5); 0: it cannot be read. Files and what is swapped
// out are not in it.
std::uint64_t anonymous_memory();

}  // namespace lmtpq::mailer
