// What all connections of the milter share.
//
// What it is: the current Configuration, the Limiter and the Log.
// What it does not know: libmilter, files, signals.
// Called by: main makes it and replaces the configuration; callbacks takes from it.
// Threads and lifetimes: one for the process, used from every thread.
// Failure: none.
#pragma once

#include <mutex>

#include "common/log.h"
#include "milter/policy/configuration.h"
#include "milter/policy/limiter.h"

namespace lmtpq::milter {

class Service {
 public:
  Service(ConfigurationPtr configuration, const Log& log)
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
