// What a pool writes to the log about its store: that it went down and that it is back, once each,
// and which connections the store ended while they were idle.
//
// May be used by several threads; call it without the pool's lock, since a log can be slow.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "common/log/log.h"
#include "mailer/store/connection_stack.h"

namespace lmtpq::mailer {

class PoolLog {
 public:
  PoolLog(const Log& log, std::string destination)
      : log_(log), destination_(std::move(destination)) {}

  void dial_failed(const std::string& reason, Clock::time_point now);
  void dial_succeeded(Clock::time_point now);
  // Of a connection that is not alive.
  void lost(const PooledConnection& connection, Clock::time_point now) const;
  void trace_paused(const Upstream& upstream) const;

 private:
  const Log& log_;
  const std::string destination_;
  std::mutex mutex_;
  std::optional<Clock::time_point> down_since_;
};

}  // namespace lmtpq::mailer
