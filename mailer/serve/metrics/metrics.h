// The daemon's metrics for Prometheus, with their labels; names and help are in metric_names.h
// (docs/METRICS.md explains them).
//
// The values come from CounterRegistry (counters, histograms) and from a Snapshot (gauges). Has no
// state; several threads may scrape at once. What fails during a scrape is left out of it.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <chrono>
#include <vector>

#include "mailer/serve/status/snapshot.h"

namespace lmtpq::mailer {

class Metrics : public prometheus::Collectable {
 public:
  explicit Metrics(const DaemonParts& daemon) : daemon_(daemon) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const DaemonParts daemon_;
};

// process_*, with the names that Prometheus's client libraries use (process_metrics.cpp).
std::vector<prometheus::MetricFamily> process_metrics(
    std::chrono::system_clock::time_point started);

}  // namespace lmtpq::mailer
