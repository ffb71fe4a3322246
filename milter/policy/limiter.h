// How many messages of a sender a rule may let ignore the quota: `limit = 100/hour`.
//
// A period begins with the first message that it counts. One Limiter serves the whole process and
// survives reloads; it is locked inside. Memory is bounded by kMaxSenders counts: while all are in
// use, new senders are over the limit, so a flood of senders cannot open a quota. Expired counts
// are removed once a second at most.
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
  // `100/hour`, `100/h`, `5 per minute`; second, minute, hour, day and their first letters. Throws
  // ConfigError with what was expected.
  static Limit parse(std::string_view text);
  std::string text() const;  // "100/hour"
};

class Limiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMaxSenders = 100'000;
  static constexpr std::size_t kMaxSender = 320;  // bytes; a path has 256 (RFC 5321)

  // Counts one message. false: it is over the limit, and not counted.
  bool take(const std::string& rule, const std::string& sender, const Limit& limit, Time now);

 private:
  struct Count {
    Time begun;
    std::chrono::seconds period;
    std::uint64_t taken;
  };
  bool make_room(Time now);

  std::mutex mutex_;
  // By rule, a line feed, and the sender. Ordered and not hashed: senders choose their names, and
  // could choose them to collide.
  std::map<std::string, Count> counts_;
  Time next_sweep_ = Time::min();
};

}  // namespace lmtpq::milter
