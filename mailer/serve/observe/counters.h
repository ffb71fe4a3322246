// What the daemon has counted of one destination, and of itself.
//
// What it is: counters and histograms, each label's values a closed set.
// What it does not know: who reads them and in which form.
// Called by: CounterRegistry adds; metrics and snapshot read.
// Threads and lifetimes: used by several threads without a lock, but for `recent`, which is
//   CounterRegistry's to guard.
// Failure: none.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/io/channel.h"
#include "mailer/message/outcome.h"
#include "mailer/serve/observe/histogram.h"

namespace lmtpq::mailer {

using Counter = std::atomic<std::uint64_t>;

inline void count(Counter& counter, std::uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

// A counter for each word of a closed set; what is none of them counts as the last.
class Counts {
 public:
  explicit Counts(const std::vector<std::string_view>& words)
      : words_(words), counters_(words.size()) {}
  void add(std::string_view word);
  void add(std::size_t index) { count(counters_[index]); }
  std::size_t size() const { return counters_.size(); }
  std::string_view word(std::size_t index) const { return words_[index]; }
  std::uint64_t operator[](std::size_t index) const { return counters_[index]; }
  std::uint64_t total() const;

 private:
  const std::vector<std::string_view>& words_;
  std::vector<Counter> counters_;
};

// Of the last seconds, for people.
class Recent {
 public:
  static constexpr std::chrono::seconds kSpan{10};
  struct Sample {
    Clock::time_point at;
    std::uint64_t decided = 0;
    std::uint64_t answers = 0;
    double seconds = 0;  // of waiting for them
  };
  void add(const Sample& sample);
  // From the oldest kept to this one.
  double per_second(const Sample& now) const;
  double mean_answer(const Sample& now) const;  // below zero: there was none

 private:
  std::deque<Sample> samples_;
};

struct Counters {
  explicit Counters(Clock::time_point now);
  std::uint64_t decided(Fate fate) const {
    return outcomes[static_cast<std::size_t>(fate)].total();
  }
  bool any_decided() const;
  Recent::Sample sample(Clock::time_point now) const;

  std::vector<Counts> outcomes;  // by Fate, each by reason_of()
  Counter possible_duplicates = 0;
  Counts dials;
  Histogram dial_time;
  Histogram waited;
  Histogram sent;
  Histogram answered;
  Recent recent;
  Clock::time_point last_present;  // when a pool was last known to be there for it
};

// Not of a destination.
struct DaemonCounters {
  DaemonCounters();
  Counter messages = 0;
  Counter bytes = 0;
  Counter spooled = 0;
  Counter reply_lost = 0;
  Counter admitted = 0;
  Counter reloads = 0;
  Counter failed_reloads = 0;
  Histogram input;
  Counts ignorequota;
  Counts tags;
  Counts refused;
};

}  // namespace lmtpq::mailer
