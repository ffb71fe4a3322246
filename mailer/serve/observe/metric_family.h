// Metric families, as they are built up.
//
// What it is: the families of one scrape, each with its name, help and type, and the values that
//   are put in.
// What it does not know: where the values come from.
// Called by: metrics.
// Threads and lifetimes: one thread, one scrape.
// Failure: none.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "mailer/serve/observe/histogram.h"

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

  prometheus::MetricFamily made;
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
