#include "mailer/serve/observe/counters.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "common/tag/tag.h"
#include "mailer/delivery/message_state.h"
#include "mailer/message/delivery_events.h"
#include "mailer/serve/observe/outcome_reason.h"

namespace lmtpq::mailer {
namespace {

using Words = std::vector<std::string_view>;

template <typename Names>
Words words(Words first, const Names& names) {
  first.insert(first.end(), std::begin(names), std::end(names));
  first.emplace_back("other");
  return first;
}

const Words& reasons() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made;
    for (std::size_t i = 0; i < reason_count(); ++i) {
      made.push_back(reason_name(i));
    }
    return made;
  }();
  static const Words made = words({}, names);
  return made;
}

const Words& dial_results() {
  static const Words made = words({"ready", "without-tls"}, kTroubleNames);
  return made;
}

const Words& bypasses() {
  static const Words made = words({}, kBypassNames);
  return made;
}

const Words& tag_verdicts() {
  static const Words made = words({"valid"}, kTagFaultNames);
  return made;
}

const Words& refusals() {
  static const Words made = words({}, kDismissalNames);
  return made;
}

}  // namespace

void Counts::add(std::string_view word) {
  const auto found = std::find(words_.begin(), words_.end() - 1, word);
  add(static_cast<std::size_t>(found - words_.begin()));
}

std::uint64_t Counts::total() const {
  return std::accumulate(counters_.begin(), counters_.end(), std::uint64_t{0});
}

void Recent::add(const Sample& sample) {
  samples_.push_back(sample);
  while (samples_.size() > 1 && sample.at - samples_[1].at >= kSpan) {
    samples_.pop_front();
  }
}

double Recent::per_second(const Sample& now) const {
  if (samples_.empty()) {
    return 0;
  }
  const Sample& then = samples_.front();
  const double span = std::chrono::duration<double>(now.at - then.at).count();
  // The first events of a store would make a storm of a few.
  return static_cast<double>(now.decided - then.decided) / std::max(span, 1.0);
}

double Recent::mean_answer(const Sample& now) const {
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
                     [](const Counts& counts) { return counts.total() > 0; });
}

Recent::Sample Counters::sample(Clock::time_point now) const {
  const Histogram::Reading answers = answered.read();
  std::uint64_t all = 0;
  for (const Counts& counts : outcomes) {
    all += counts.total();
  }
  return {now, all, answers.count, answers.seconds};
}

DaemonCounters::DaemonCounters()
    : ignorequota(bypasses()), tags(tag_verdicts()), refused(refusals()) {}

}  // namespace lmtpq::mailer
