// The counters and histograms of one destination, and those of the daemon as a whole.
//
// Every label's values are a closed set, so the memory is bounded. Used by several threads without
// a lock, except `recent` and `last_present`, which CounterRegistry guards. What each counter means
// to an admin is in mailer/serve/metrics/metric_names.h, with its name and help.
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
#include "mailer/serve/counters/histogram.h"

namespace lmtpq::mailer {

using Counter = std::atomic<std::uint64_t>;

inline void count(Counter& counter, std::uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

// One counter for each value of a label; unknown values count as the last.
class LabelCounters {
 public:
  explicit LabelCounters(const std::vector<std::string_view>& values)
      : values_(values), counters_(values.size()) {}
  void add(std::string_view value);
  void add(std::size_t index) { count(counters_[index]); }
  std::size_t size() const { return counters_.size(); }
  std::string_view value(std::size_t index) const { return values_[index]; }
  std::uint64_t operator[](std::size_t index) const { return counters_[index]; }
  std::uint64_t total() const;

 private:
  const std::vector<std::string_view>& values_;
  std::vector<Counter> counters_;
};

// Rates over the last ten seconds, for the status table.
class RecentRates {
 public:
  static constexpr std::chrono::seconds kSpan{10};
  struct Sample {
    Clock::time_point at;
    std::uint64_t decided = 0;
    std::uint64_t answers = 0;
    double seconds = 0;  // that stores took to answer, in sum
  };
  void add(const Sample& sample);
  // From the oldest sample that is kept to `now`.
  double per_second(const Sample& now) const;
  double mean_answer(const Sample& now) const;  // seconds; below zero: there was no answer

 private:
  std::deque<Sample> samples_;
};

struct Counters {
  explicit Counters(Clock::time_point now);
  std::uint64_t decided(Fate fate) const {
    return outcomes[static_cast<std::size_t>(fate)].total();
  }
  bool any_decided() const;
  RecentRates::Sample sample(Clock::time_point now) const;

  std::vector<LabelCounters> outcomes;  // by Fate, each by reason_of()
  Counter possible_duplicates = 0;
  LabelCounters dials;
  Histogram dial_time;
  Histogram waited;
  Histogram sent;
  Histogram answered;
  RecentRates recent;
  Clock::time_point last_present;  // when the destination last had a pool
};

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
  LabelCounters ignorequota;
  LabelCounters reliefs;
  LabelCounters tags;
  LabelCounters refused;
};

}  // namespace lmtpq::mailer
