// Builds a Prometheus metric family: name, help, type, and values with their labels.
//
// One is made for each metric of a scrape and moved into its result (`family`).
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "mailer/serve/counters/histogram.h"

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

inline MetricFamily counter(const char* name, const char* help) {
  return {prometheus::MetricType::Counter, name, help};
}
inline MetricFamily gauge(const char* name, const char* help) {
  return {prometheus::MetricType::Gauge, name, help};
}
inline MetricFamily histogram(const char* name, const char* help) {
  return {prometheus::MetricType::Histogram, name, help};
}

}  // namespace lmtpq::mailer
