#include "mailer/routes/route_cache.h"

#include <utility>

namespace lmtpq::mailer {

std::optional<RouteCache::Found> RouteCache::find(const std::string& question,
                                                  Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto known = questions_.find(question);
  if (known == questions_.end() || now >= known->second->stale_until) {
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, known->second);
  const Entry& entry = entries_.front();
  return Found{entry.route, now < entry.fresh_until ? Age::kFresh : Age::kStale};
}

void RouteCache::put(const std::string& question, Route route, Clock::time_point fresh_until,
                     Clock::time_point stale_until) {
  Entries fresh;
  fresh.push_front({question, std::move(route), fresh_until, stale_until});
  const std::lock_guard lock(mutex_);
  const auto known = questions_.find(question);
  if (known != questions_.end()) {
    const auto old = known->second;
    questions_.erase(known);
    fresh.splice(fresh.end(), entries_, old);  // freed with `fresh`, after the lock is released
    entries_.splice(entries_.begin(), fresh, fresh.begin());
  } else {
    entries_.splice(entries_.begin(), fresh);
  }
  questions_.emplace(entries_.front().question, entries_.begin());
  if (entries_.size() > capacity_) {
    questions_.erase(entries_.back().question);
    fresh.splice(fresh.end(), entries_, std::prev(entries_.end()));
  }
}

std::size_t RouteCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace lmtpq::mailer
