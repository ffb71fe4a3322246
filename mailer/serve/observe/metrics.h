// What Prometheus is told.
//
// What it is: the daemon's figures as metric families (docs/METRICS.md), and the HTTP endpoint
//   where they are asked for.
// What it does not know: how they are counted.
// Called by: the endpoint's thread, at each scrape; the daemon makes both.
// Threads and lifetimes: Metrics has nothing of its own and may be asked from several threads; the
//   endpoint has a thread that accepts and one that answers.
// Failure: ConfigError for an address that cannot be used. What fails at a scrape is left out.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <memory>
#include <string>
#include <vector>

#include "mailer/serve/observe/snapshot.h"

namespace lmtpq::mailer {

class Metrics : public prometheus::Collectable {
 public:
  explicit Metrics(const DaemonParts& daemon) : daemon_(daemon) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const DaemonParts daemon_;
};

// process_*, as all of Prometheus's own clients name them.
std::vector<prometheus::MetricFamily> process_metrics(
    std::chrono::system_clock::time_point started);

class Endpoint {
 public:
  // HOST:PORT, and nothing but that address.
  Endpoint(const std::string& address, const DaemonParts& daemon);

 private:
  const std::shared_ptr<Metrics> metrics_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace lmtpq::mailer
