#include "mailer/serve/observe/counter_registry.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "mailer/serve/observe/outcome_reason.h"

namespace lmtpq::mailer {

CounterRegistry::CounterRegistry(std::size_t most) : most_(most), last_look_(Clock::now()) {
  for (const char* const name : {kNone, kOther}) {
    tallies_.emplace(name, std::make_unique<Counters>(last_look_));
  }
}

void CounterRegistry::taken(const Message& message) {
  count(own_.messages);
  count(own_.bytes, message.bytes);
  count(own_.spooled, message.spooled ? 1 : 0);
  own_.input.add(message.input);
}

// Counted under the shared lock: who drops a tally has the other one.
template <typename Change>
void CounterRegistry::change(std::string_view destination, const Change& change) {
  const std::string_view name = destination.empty() ? kNone : destination;
  {
    const std::shared_lock lock(mutex_);
    auto found = tallies_.find(name);
    if (found == tallies_.end() && full_) {
      found = tallies_.find(kOther);
    }
    if (found != tallies_.end()) {
      change(*found->second);
      return;
    }
  }
  const std::unique_lock lock(mutex_);
  Counters* made = nullptr;
  try {
    made = make_place(name, Clock::now());
  } catch (const std::exception&) {
    // Out of memory: it counts all the same.
  }
  change(made != nullptr ? *made : *tallies_.find(kOther)->second);
}

void CounterRegistry::decided(const Fact& fact) {
  const bool sent = fact.outcome.fate == Fate::kDelivered;
  const std::size_t reason = sent ? 0 : reason_of(fact.outcome);
  own_.ignorequota.add(fact.ignorequota);
  change(fact.destination, [&](Counters& tally) {
    tally.outcomes[static_cast<std::size_t>(fact.outcome.fate)].add(reason);
    if (fact.outcome.trouble == Trouble::kUncertain) {
      count(tally.possible_duplicates);
    }
    tally.waited.add(fact.waited);
    if (fact.transfer) {
      tally.sent.add(fact.transfer->sent);
      tally.answered.add(fact.transfer->answered);
    }
  });
}

void CounterRegistry::dialled(std::string_view destination, std::string_view result, Time time) {
  change(destination, [&](Counters& tally) {
    tally.dials.add(result);
    tally.dial_time.add(time);
  });
}

// The one that has been gone for longest, if that was before.
bool CounterRegistry::drop_gone(Clock::time_point before) {
  auto oldest = tallies_.end();
  for (auto entry = tallies_.begin(); entry != tallies_.end(); ++entry) {
    const bool ours = entry->first == kNone || entry->first == kOther;
    if (!ours && entry->second->last_present < before &&
        (oldest == tallies_.end() || entry->second->last_present < oldest->second->last_present)) {
      oldest = entry;
    }
  }
  if (oldest == tallies_.end()) {
    return false;
  }
  tallies_.erase(oldest);
  return true;
}

// Held: mutex_, for oneself. nullptr: there is none.
Counters* CounterRegistry::make_place(std::string_view destination, Clock::time_point now) {
  const auto found = tallies_.find(destination);
  if (found != tallies_.end()) {
    return found->second.get();
  }
  if (tallies_.size() >= most_ + 2 && !drop_gone(last_look_)) {
    full_ = true;
    return nullptr;
  }
  auto tally = std::make_unique<Counters>(now);
  return tallies_.emplace(destination, std::move(tally)).first->second.get();
}

void CounterRegistry::present(const std::vector<std::string>& destinations, Clock::time_point now) {
  const std::unique_lock lock(mutex_);
  for (const std::string& destination : destinations) {
    const auto found = tallies_.find(destination);
    if (found != tallies_.end()) {
      found->second->last_present = now;
    }
  }
  last_look_ = now;
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
  for (auto& [destination, tally] : tallies_) {
    tally->recent.add(tally->sample(now));
  }
}

std::string CounterRegistry::label(const std::string& destination) const {
  const std::shared_lock lock(mutex_);
  return tallies_.contains(destination) ? destination : kOther;
}

void CounterRegistry::each(const Visit& visit) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [destination, tally] : tallies_) {
    visit(destination, *tally);
  }
}

}  // namespace lmtpq::mailer
