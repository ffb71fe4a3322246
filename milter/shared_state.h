// What all connections share: the active configuration, the limits' counts and the log.
//
// One object for the process, used from every thread.
#pragma once

#include <mutex>
#include <utility>

#include "common/log/log.h"
#include "milter/configuration.h"
#include "milter/policy/limiter.h"

namespace lmtpq::milter {

class SharedState {
 public:
  SharedState(ConfigurationPtr configuration, const Log& log)
      : log_(log), configuration_(std::move(configuration)) {}

  ConfigurationPtr configuration() const;
  void replace(ConfigurationPtr configuration);
  Limiter& limiter() { return limiter_; }
  const Log& log() const { return log_; }

 private:
  const Log& log_;
  Limiter limiter_;
  mutable std::mutex mutex_;
  ConfigurationPtr configuration_;
};

}  // namespace lmtpq::milter
