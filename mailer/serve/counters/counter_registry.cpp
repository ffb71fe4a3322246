#include "mailer/serve/counters/counter_registry.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "mailer/serve/counters/outcome_reason.h"

namespace lmtpq::mailer {

CounterRegistry::CounterRegistry(std::size_t most) : most_(most), last_present_(Clock::now()) {
  for (const char* const name : {kNone, kOther}) {
    counters_.emplace(name, std::make_unique<Counters>(last_present_));
  }
}

void CounterRegistry::taken(const Message& message) {
  count(own_.messages);
  count(own_.bytes, message.bytes);
  count(own_.spooled, message.spooled ? 1 : 0);
  own_.input.add(message.input);
}

// Counts under the shared lock: dropping counters takes the exclusive one.
template <typename Change>
void CounterRegistry::change(std::string_view destination, const Change& change) {
  const std::string_view name = destination.empty() ? kNone : destination;
  {
    const std::shared_lock lock(mutex_);
    auto found = counters_.find(name);
    if (found == counters_.end() && full_) {
      found = counters_.find(kOther);
    }
    if (found != counters_.end()) {
      change(*found->second);
      return;
    }
  }
  const std::unique_lock lock(mutex_);
  Counters* made = nullptr;
  try {
    made = make_place(name, Clock::now());
  } catch (const std::exception&) {
    // Out of memory: it still counts, as "other".
  }
  change(made != nullptr ? *made : *counters_.find(kOther)->second);
}

void CounterRegistry::decided(const Fact& fact) {
  const bool sent = fact.outcome.fate == Fate::kDelivered;
  const std::size_t reason = sent ? 0 : reason_of(fact.outcome);
  own_.ignorequota.add(fact.ignorequota);
  for (const Relief relief : fact.reliefs) {
    own_.reliefs.add(static_cast<std::size_t>(relief));
  }
  change(fact.destination, [&](Counters& counters) {
    counters.outcomes[static_cast<std::size_t>(fact.outcome.fate)].add(reason);
    if (fact.outcome.trouble == Trouble::kUncertain) {
      count(counters.possible_duplicates);
    }
    counters.waited.add(fact.waited);
    if (fact.transfer) {
      counters.sent.add(fact.transfer->sent);
      counters.answered.add(fact.transfer->answered);
    }
  });
}

void CounterRegistry::dialled(std::string_view destination, std::string_view result, Time time) {
  change(destination, [&](Counters& counters) {
    counters.dials.add(result);
    counters.dial_time.add(time);
  });
}

// Drops the destination that has had no pool for longest, if that is since before `before`.
bool CounterRegistry::drop_gone(Clock::time_point before) {
  auto oldest = counters_.end();
  for (auto entry = counters_.begin(); entry != counters_.end(); ++entry) {
    const bool permanent = entry->first == kNone || entry->first == kOther;
    if (!permanent && entry->second->last_present < before &&
        (oldest == counters_.end() || entry->second->last_present < oldest->second->last_present)) {
      oldest = entry;
    }
  }
  if (oldest == counters_.end()) {
    return false;
  }
  counters_.erase(oldest);
  return true;
}

// The caller holds mutex_ exclusively. nullptr: no place is free.
Counters* CounterRegistry::make_place(std::string_view destination, Clock::time_point now) {
  const auto found = counters_.find(destination);
  if (found != counters_.end()) {
    return found->second.get();
  }
  if (counters_.size() >= most_ + 2 && !drop_gone(last_present_)) {
    full_ = true;
    return nullptr;
  }
  auto counters = std::make_unique<Counters>(now);
  return counters_.emplace(destination, std::move(counters)).first->second.get();
}

void CounterRegistry::present(const std::vector<std::string>& destinations, Clock::time_point now) {
  const std::unique_lock lock(mutex_);
  for (const std::string& destination : destinations) {
    const auto found = counters_.find(destination);
    if (found != counters_.end()) {
      found->second->last_present = now;
    }
  }
  last_present_ = now;
  full_ = false;
  for (const std::string& destination : destinations) {
    if (make_place(destination, now) == nullptr) {
      break;
    }
  }
}

void CounterRegistry::sample(Clock::time_point now) {
  const std::unique_lock lock(mutex_);
  while (drop_gone(now - kMemory)) {
  }
  for (auto& [destination, counters] : counters_) {
    counters->recent.add(counters->sample(now));
  }
}

std::string CounterRegistry::label(const std::string& destination) const {
  const std::shared_lock lock(mutex_);
  return counters_.contains(destination) ? destination : kOther;
}

void CounterRegistry::each(const Visit& visit) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [destination, counters] : counters_) {
    visit(destination, *counters);
  }
}

}  // namespace lmtpq::mailer
