#include "mailer/store/pool_log.h"

#include <utility>

namespace lmtpq::mailer {

void PoolLog::dial_failed(const std::string& reason, Clock::time_point now) {
  {
    const std::lock_guard lock(mutex_);
    if (down_since_) {
      return;
    }
    down_since_ = now;
  }
  log_.warning(Record("store-down").add("destination", destination_).add("error", reason));
}

void PoolLog::dial_succeeded(Clock::time_point now) {
  std::optional<Clock::time_point> since;
  {
    const std::lock_guard lock(mutex_);
    since = std::exchange(down_since_, std::nullopt);
  }
  if (since) {
    log_.info(Record("store-up")
                  .add("destination", destination_)
                  .add("down", seconds_text(now - *since)));
  }
}

void PoolLog::lost(const PooledConnection& connection, Clock::time_point now) const {
  log_.info(Record("connection-lost")
                .add("destination", destination_)
                .add("relay", connection.upstream->peer())
                .add("idle", seconds_text(now - connection.last_used))
                .add("conn-use", connection.upstream->transactions())
                .add("error", connection.upstream->why_dead()));
}

void PoolLog::trace_paused(const Upstream& upstream) const {
  log_.warning(Record("trace-paused")
                   .add("destination", destination_)
                   .add("relay", upstream.peer())
                   .add("error", upstream.client().reason())
                   .add("effect", "no TRACE to this store for an hour"));
}

}  // namespace lmtpq::mailer
