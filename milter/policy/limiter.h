// How often a rule may let a sender's mail past the quota.
//
// What it is: Limit (N per period, as in `limit = 100/hour`) and a Limiter that counts by rule and
//   sender. A period begins with the first message that is counted in it; when it is over the count
//   begins anew.
// What it does not know: rules, who a sender is; the clock is passed in.
// Called by: policy.
// Threads and lifetimes: one Limiter for the whole process, over all reloads; locked inside.
// Failure: memory is bounded: kMaxSenders counts, each under kMaxSender bytes of its sender's name.
//   When all counts are in use, a new sender gets nothing past the quota until one is over, which
//   is looked for once a second at most: a flood of senders opens no door.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace lmtpq::milter {

struct Limit {
  std::uint64_t count = 0;
  std::chrono::seconds period{0};
  // `100/hour`, `100/h`, `5 per minute`; second minute hour day and their first letters. Throws
  // ConfigError with what was expected.
  static Limit parse(std::string_view text);
  std::string text() const;  // "100/hour"
};

class Limiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMaxSenders = 100'000;
  static constexpr std::size_t kMaxSender = 320;  // bytes; a path has 256 (RFC 5321)

  // Counts one message; false when it is over the limit (and is not counted then).
  bool take(const std::string& rule, const std::string& sender, const Limit& limit, Time now);

 private:
  struct Count {
    Time begun;
    std::chrono::seconds period;
    std::uint64_t taken;
  };
  bool make_room(Time now);

  std::mutex mutex_;
  // By rule, a line feed, and the sender. Ordered, since senders choose their names: those of a
  // hash table could be chosen to fall into one bucket.
  std::map<std::string, Count> counts_;
  Time next_sweep_ = Time::min();
};

}  // namespace lmtpq::milter
