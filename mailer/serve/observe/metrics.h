// What Prometheus is told.
//
// The daemon's figures as metric families (docs/METRICS.md). May be asked from several threads.
// What fails at a scrape is left out.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <chrono>
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

}  // namespace lmtpq::mailer
