// All that the daemon counts.
//
// What it is: a Counters for each destination, and the daemon's own. The number of destinations is
//   bounded, since a map of routes may name any number: the rest is "other". One that has gone is
//   forgotten after an hour, or as soon as its place is wanted.
// What it does not know: who reads the figures.
// Called by: whoever has something to count, as a DeliveryEvents; the watch says each second which
//   destinations there are.
// Threads and lifetimes: used by several threads; outlives all that counts.
// Failure: none. Without memory for a new destination its events count as "other".
// Rules: an event takes a shared lock and some atomic additions; only the first of a destination
//   allocates.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/message/delivery_events.h"
#include "mailer/serve/observe/counters.h"

namespace lmtpq::mailer {

class CounterRegistry : public DeliveryEvents {
 public:
  static constexpr std::size_t kMost = 200;
  static constexpr std::chrono::hours kMemory{1};
  static constexpr const char* kNone = "none";    // no store was asked
  static constexpr const char* kOther = "other";  // those beyond the most

  explicit CounterRegistry(std::size_t most = kMost);

  void taken(const Message& message) override;
  void decided(const Fact& fact) override;
  void reply_lost() override { count(own_.reply_lost); }
  void dialled(std::string_view destination, std::string_view result, Time time) override;
  void tag_judged(std::string_view verdict) override { own_.tags.add(verdict); }
  void client_admitted() override { count(own_.admitted); }
  void client_refused(Dismissal reason) override {
    own_.refused.add(static_cast<std::size_t>(reason));
  }
  void reloaded(bool good) override { count(good ? own_.reloads : own_.failed_reloads); }

  // These are the destinations there are: they have a place before others, and keep it.
  void present(const std::vector<std::string>& destinations, Clock::time_point now);
  // A second has passed.
  void sample(Clock::time_point now);

  // `destination`, or kOther if it has no place.
  std::string label(const std::string& destination) const;
  using Visit = std::function<void(const std::string& destination, const Counters& tally)>;
  void each(const Visit& visit) const;
  const DaemonCounters& own() const { return own_; }

 private:
  using Tallies = std::map<std::string, std::unique_ptr<Counters>, std::less<>>;
  template <typename Change>
  void change(std::string_view destination, const Change& change);
  Counters* make_place(std::string_view destination, Clock::time_point now);
  bool drop_gone(Clock::time_point before);

  const std::size_t most_;
  DaemonCounters own_;
  mutable std::shared_mutex mutex_;
  Tallies tallies_;
  Clock::time_point last_look_;     // when `present` was last told
  std::atomic<bool> full_ = false;  // nobody had a place to give since
};

}  // namespace lmtpq::mailer
