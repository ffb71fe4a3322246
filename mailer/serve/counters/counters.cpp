#include "mailer/serve/counters/counters.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "common/tag/tag_format.h"
#include "mailer/delivery/message_state.h"
#include "mailer/message/delivery_events.h"
#include "mailer/serve/counters/outcome_reason.h"

namespace lmtpq::mailer {
namespace {

using Values = std::vector<std::string_view>;

template <typename Names>
Values values_of(Values first, const Names& names) {
  first.insert(first.end(), std::begin(names), std::end(names));
  first.emplace_back("other");
  return first;
}

const Values& reasons() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made;
    for (std::size_t i = 0; i < reason_count(); ++i) {
      made.push_back(reason_name(i));
    }
    return made;
  }();
  static const Values made = values_of({}, names);
  return made;
}

const Values& dial_results() {
  static const Values made = values_of({"ready", "without-tls"}, kTroubleNames);
  return made;
}

const Values& ignore_quota_uses() {
  static const Values made = values_of({}, kIgnoreQuotaUseNames);
  return made;
}

const Values& relief_names() {
  static const Values made = values_of({}, kReliefNames);
  return made;
}

const Values& tag_verdicts() {
  static const Values made = values_of({"valid"}, kTagFaultNames);
  return made;
}

const Values& refusals() {
  static const Values made = values_of({}, kClientRefusalNames);
  return made;
}

}  // namespace

void LabelCounters::add(std::string_view value) {
  const auto found = std::find(values_.begin(), values_.end() - 1, value);
  add(static_cast<std::size_t>(found - values_.begin()));
}

std::uint64_t LabelCounters::total() const {
  return std::accumulate(counters_.begin(), counters_.end(), std::uint64_t{0});
}

void RecentRates::add(const Sample& sample) {
  samples_.push_back(sample);
  while (samples_.size() > 1 && sample.at - samples_[1].at >= kSpan) {
    samples_.pop_front();
  }
}

double RecentRates::per_second(const Sample& now) const {
  if (samples_.empty()) {
    return 0;
  }
  const Sample& then = samples_.front();
  const double span = std::chrono::duration<double>(now.at - then.at).count();
  // Over less than a second, the first few events of a store would look like a high rate.
  return static_cast<double>(now.decided - then.decided) / std::max(span, 1.0);
}

double RecentRates::mean_answer(const Sample& now) const {
  const Sample then = samples_.empty() ? Sample() : samples_.front();
  return now.answers > then.answers
             ? (now.seconds - then.seconds) / static_cast<double>(now.answers - then.answers)
             : -1;
}

Counters::Counters(Clock::time_point now) : dials(dial_results()), last_present(now) {
  for (std::size_t i = 0; i < std::size(kFateNames); ++i) {
    outcomes.emplace_back(reasons());
  }
  recent.add(sample(now));
}

bool Counters::any_decided() const {
  return std::any_of(outcomes.begin(), outcomes.end(),
                     [](const LabelCounters& counts) { return counts.total() > 0; });
}

RecentRates::Sample Counters::sample(Clock::time_point now) const {
  const Histogram::Reading answers = answered.read();
  std::uint64_t all = 0;
  for (const LabelCounters& counts : outcomes) {
    all += counts.total();
  }
  return {now, all, answers.count, answers.seconds};
}

DaemonCounters::DaemonCounters()
    : ignorequota(ignore_quota_uses()),
      reliefs(relief_names()),
      tags(tag_verdicts()),
      refused(refusals()) {}

}  // namespace lmtpq::mailer
