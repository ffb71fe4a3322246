#include "families.h"

#include <limits>
#include <utility>

namespace lmtpq {

Family::Family(prometheus::MetricType type, std::string name, std::string help)
    : made{std::move(name), std::move(help), type, {}} {}

void Family::add(LabelList labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  metric.gauge.value = value;
  made.metric.push_back(std::move(metric));
}

void Family::add(LabelList labels, const Durations& durations) {
  const Durations::Reading reading = durations.read();
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.histogram.sample_count = reading.count;
  metric.histogram.sample_sum = reading.seconds;
  std::uint64_t cumulated = 0;
  for (std::size_t i = 0; i < reading.counts.size(); ++i) {
    cumulated += reading.counts[i];
    metric.histogram.bucket.push_back({cumulated, i < Durations::kBounds.size()
                                                      ? Durations::kBounds[i]
                                                      : std::numeric_limits<double>::infinity()});
  }
  made.metric.push_back(std::move(metric));
}

}  // namespace lmtpq
