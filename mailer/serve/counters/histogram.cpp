#include "mailer/serve/counters/histogram.h"

#include <algorithm>

namespace lmtpq::mailer {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

// A duration equal to a bound counts below it, as in Prometheus's `le`.
void Histogram::add(std::chrono::nanoseconds time) {
  const auto whole = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  const auto* const bound =
      std::lower_bound(kBounds.begin(), kBounds.end(), static_cast<double>(whole) / 1e9);
  counts_[static_cast<std::size_t>(bound - kBounds.begin())].fetch_add(1, kRelaxed);
  nanoseconds_.fetch_add(whole, kRelaxed);
}

Histogram::Reading Histogram::read() const {
  Reading made;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    made.counts[i] = counts_[i].load(kRelaxed);
    made.count += made.counts[i];
  }
  made.seconds = static_cast<double>(nanoseconds_.load(kRelaxed)) / 1e9;
  return made;
}

}  // namespace lmtpq::mailer
