#include "mailer/store/connection_stack.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace lmtpq::mailer {

PooledConnection ConnectionStack::take_latest() {
  PooledConnection taken = std::move(connections_.back());
  connections_.pop_back();
  return taken;
}

PooledConnection ConnectionStack::take_oldest() {
  PooledConnection taken = std::move(connections_.front());
  connections_.erase(connections_.begin());
  return taken;
}

ConnectionStack::List ConnectionStack::take_unusable(Clock::time_point now) {
  const auto first = std::stable_partition(
      connections_.begin(), connections_.end(),
      [&](const PooledConnection& one) { return !expired(one, now) && one.upstream->alive(); });
  List taken(std::make_move_iterator(first), std::make_move_iterator(connections_.end()));
  connections_.erase(first, connections_.end());
  return taken;
}

ConnectionStack::List ConnectionStack::take_all() { return std::exchange(connections_, {}); }

bool ConnectionStack::expired(const PooledConnection& connection, Clock::time_point now) const {
  return connection.generation != generation_ ||
         (uses_ > 0 && connection.upstream->transactions() >= uses_) ||
         now >= connection.end_of_life || (idle_ && now - connection.last_used >= *idle_);
}

Clock::time_point ConnectionStack::end_of_life(unsigned number, Clock::time_point now) const {
  if (lifetime_.count() == 0) {
    return Clock::time_point::max();
  }
  // Steps of the golden ratio spread any number of connections evenly over the range.
  const double position = std::fmod(number * 0.6180339887498949, 1.0);
  return now + std::chrono::duration_cast<Clock::duration>(lifetime_ * (0.9 + 0.2 * position));
}

}  // namespace lmtpq::mailer
