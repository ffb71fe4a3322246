// Counts what happens in the daemon: the counters of each destination, and the daemon's own.
//
// Delivery, ConnectionPool, Clients and Daemon report events to it (DeliveryEvents); the snapshot
// and the metrics read it. The number of destinations is bounded, since routes may name any
// number: those beyond count as "other". A destination that no pool has any more is forgotten
// after an hour, or as soon as its place is needed.
//
// Used by several threads; outlives everything that counts. An event takes a shared lock and some
// atomic additions; only the first event of a destination allocates. Without memory for a new
// destination its events count as "other".
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
#include "mailer/serve/counters/counters.h"

namespace lmtpq::mailer {

class CounterRegistry : public DeliveryEvents {
 public:
  static constexpr std::size_t kMost = 200;
  static constexpr std::chrono::hours kMemory{1};
  static constexpr const char* kNone = "none";    // no store was asked
  static constexpr const char* kOther = "other";  // destinations beyond kMost

  explicit CounterRegistry(std::size_t most = kMost);

  void taken(const Message& message) override;
  void decided(const Fact& fact) override;
  void reply_lost() override { count(own_.reply_lost); }
  void dialled(std::string_view destination, std::string_view result, Time time) override;
  void tag_judged(std::string_view verdict) override { own_.tags.add(verdict); }
  void client_admitted() override { count(own_.admitted); }
  void client_refused(ClientRefusal reason) override {
    own_.refused.add(static_cast<std::size_t>(reason));
  }
  void reloaded(bool good) override { count(good ? own_.reloads : own_.failed_reloads); }

  // Told each second which destinations have pools: they get a place before others, and keep it.
  void present(const std::vector<std::string>& destinations, Clock::time_point now);
  // Called each second.
  void sample(Clock::time_point now);

  // `destination`, or kOther if it has no place.
  std::string label(const std::string& destination) const;
  using Visit = std::function<void(const std::string& destination, const Counters& counters)>;
  void each(const Visit& visit) const;
  const DaemonCounters& own() const { return own_; }

 private:
  using CountersByName = std::map<std::string, std::unique_ptr<Counters>, std::less<>>;
  template <typename Change>
  void change(std::string_view destination, const Change& change);
  Counters* make_place(std::string_view destination, Clock::time_point now);
  bool drop_gone(Clock::time_point before);

  const std::size_t most_;
  DaemonCounters own_;
  mutable std::shared_mutex mutex_;
  CountersByName counters_;
  Clock::time_point last_present_;  // the latest call of present()
  std::atomic<bool> full_ = false;  // no place was free since then
};

}  // namespace lmtpq::mailer
