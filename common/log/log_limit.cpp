#include "common/log/log_limit.h"

#include <algorithm>
#include <utility>

namespace lmtpq {

bool LogLimit::admits(std::string_view event, std::string_view outsider, Clock::time_point now) {
  auto found = spans_.find(event);
  if (found == spans_.end()) {
    found = spans_.emplace(event, Span{now + kSpan, {}}).first;
  }
  Span& span = found->second;
  const auto known = span.left_out.find(outsider);
  if (known == span.left_out.end() && span.left_out.size() < kMostOutsiders) {
    span.left_out.emplace(outsider, 0);
    return true;
  }
  ++(known != span.left_out.end() ? known->second : span.of_others);
  span.any = true;
  return false;
}

std::vector<LogLimit::LeftOut> LogLimit::ended(Clock::time_point now) {
  std::vector<LeftOut> made;
  for (auto next = spans_.begin(); next != spans_.end();) {
    const auto& [event, span] = *next;
    if (span.end > now) {
      ++next;
      continue;
    }
    for (const auto& [outsider, lines] : span.left_out) {
      if (lines > 0) {
        made.push_back({event, outsider, lines});
      }
    }
    if (span.of_others > 0) {
      made.push_back({event, kOthers, span.of_others});
    }
    next = spans_.erase(next);
  }
  return made;
}

std::optional<LogLimit::Clock::time_point> LogLimit::next_end() const {
  std::optional<Clock::time_point> next;
  for (const auto& [event, span] : spans_) {
    if (span.any) {
      next = next ? std::min(*next, span.end) : span.end;
    }
  }
  return next;
}

}  // namespace lmtpq
