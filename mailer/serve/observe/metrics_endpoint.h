// The HTTP endpoint where Prometheus asks for the daemon's metrics.
//
// It has a thread that accepts and one that answers. ConfigError for an address that cannot be
// used, and where lmtpq is built without Prometheus.
#pragma once

#include <memory>
#include <string>

#include "mailer/serve/observe/snapshot.h"

namespace lmtpq::mailer {

class MetricsEndpoint {
 public:
  // HOST:PORT, and nothing but that address.
  MetricsEndpoint(const std::string& address, const DaemonParts& daemon);
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

 private:
  struct Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace lmtpq::mailer
