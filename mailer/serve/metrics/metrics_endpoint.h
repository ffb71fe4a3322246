// The HTTP endpoint from which Prometheus scrapes the daemon's metrics.
//
// Has a thread that accepts and one that answers. ConfigError for an address that cannot be used.
// The daemon's parts must outlive it.
#pragma once

#include <memory>
#include <string>

#include "mailer/serve/status/snapshot.h"

namespace lmtpq::mailer {

class MetricsEndpoint {
 public:
  // `address` is HOST:PORT; it listens on that address only.
  MetricsEndpoint(const std::string& address, const DaemonParts& daemon);
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

 private:
  struct Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace lmtpq::mailer
