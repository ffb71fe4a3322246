// Builds a Prometheus metric family: name, help, type, and values with their labels.
//
// One is made for each metric of a scrape and moved into its result (`family`).
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "mailer/serve/counters/histogram.h"
#include "mailer/serve/metrics/metric_names.h"

namespace lmtpq::mailer {

using LabelList = std::vector<prometheus::ClientMetric::Label>;

class MetricFamily {
 public:
  MetricFamily(prometheus::MetricType type, std::string name, std::string help);
  // The value of a counter or a gauge.
  void add(LabelList labels, double value);
  void add(LabelList labels, std::uint64_t value) {
    add(std::move(labels), static_cast<double>(value));
  }
  void add(LabelList labels, const Histogram& durations);

  prometheus::MetricFamily family;
};

inline MetricFamily counter(const MetricName& metric) {
  return {prometheus::MetricType::Counter, metric.name, metric.help};
}
inline MetricFamily gauge(const MetricName& metric) {
  return {prometheus::MetricType::Gauge, metric.name, metric.help};
}
inline MetricFamily histogram(const MetricName& metric) {
  return {prometheus::MetricType::Histogram, metric.name, metric.help};
}

}  // namespace lmtpq::mailer
