#include "mailer/serve/metrics/metric_family.h"

#include <limits>
#include <utility>

namespace lmtpq::mailer {

MetricFamily::MetricFamily(prometheus::MetricType type, std::string name, std::string help)
    : family{std::move(name), std::move(help), type, {}} {}

void MetricFamily::add(LabelList labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

void MetricFamily::add(LabelList labels, const Histogram& durations) {
  const Histogram::Reading reading = durations.read();
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.histogram.sample_count = reading.count;
  metric.histogram.sample_sum = reading.seconds;
  std::uint64_t cumulated = 0;
  for (std::size_t i = 0; i < reading.counts.size(); ++i) {
    cumulated += reading.counts[i];
    metric.histogram.bucket.push_back({cumulated, i < Histogram::kBounds.size()
                                                      ? Histogram::kBounds[i]
                                                      : std::numeric_limits<double>::infinity()});
  }
  family.metric.push_back(std::move(metric));
}

}  // namespace lmtpq::mailer
