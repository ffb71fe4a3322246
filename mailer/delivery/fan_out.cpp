#include "mailer/delivery/fan_out.h"
#include "mailer/io/waiting.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <utility>

namespace lmtpq::mailer {

// Those who go to the same stores; or those whom the map decided.
struct FanOut::Group {
  DestinationList route;             // none: the default ones
  std::vector<std::size_t> members;  // in the envelope's order
  std::vector<Outcome> decided;      // one for each, or none at all
  Delivered delivered;
  std::exception_ptr failure;
};

namespace {

// What tells one list of destinations from another, and from the default and the decided.
constexpr const char* kDefault = "default";
constexpr const char* kDecided = "decided";
std::string name_of(const Route& route) {
  const auto* const list = std::get_if<DestinationList>(&route);
  if (list == nullptr) {
    return std::holds_alternative<DefaultRoute>(route) ? kDefault : kDecided;
  }
  std::string name;
  for (const Destination& destination : **list) {
    name += destination.text + '\n';
  }
  return name;
}

std::string words_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception without words";
  }
}

// Runs work(0) to work(count - 1), which throw nothing, on this thread and as many others as help
// and can be had.
template <typename Work>
void side_by_side(std::size_t count, std::size_t most, Work work) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      work(i);
    }
  };
  std::vector<std::jthread> threads;
  // On a fiber, where run_blocking() had no thread, to wait for threads would hold up all others.
  const bool alone = Scheduler::current() != nullptr;
  try {
    threads.reserve(most);
    while (!alone && threads.size() + 1 < std::min(count, most)) {
      threads.emplace_back(run);
    }
  } catch (const std::exception&) {
    // No thread or no memory for one more: those that there are do it all.
  }
  run();
}

}  // namespace

Delivered FanOut::deliver(const Envelope& envelope, const MailData& data, Clock::time_point begun) {
  const GroupAgent::Times times{begun, Clock::now()};
  try {
    return routes_ == nullptr ? road_.deliver(nullptr, envelope, data, times)
                              : deliver_groups(envelope, data, times);
  } catch (const std::exception& error) {
    return {TraceId(), std::vector<Outcome>(envelope.recipients.size(),
                                            outcome_of(Trouble::kInternal, error.what()))};
  }
}

Delivered FanOut::deliver_groups(const Envelope& envelope, const MailData& data,
                                 const GroupAgent::Times& times) const {
  // Made first: what a store has taken must not be forgotten for want of memory.
  Delivered all;
  all.outcomes.resize(envelope.recipients.size());
  std::vector<Group> groups = group(envelope);
  if (groups.size() == 1) {
    run(groups[0], envelope, data, times);
  } else {
    Envelope head = envelope;
    head.recipients.clear();
    const auto run_one = [&](std::size_t i) {
      try {
        Envelope part = head;
        for (const std::size_t member : groups[i].members) {
          part.recipients.push_back(envelope.recipients[member]);
        }
        run(groups[i], part, data, times);
      } catch (...) {
        groups[i].failure = std::current_exception();
      }
    };
    run_blocking([&] { side_by_side(groups.size(), kMostAtOnce, run_one); });
  }
  put_together(groups, all);
  return all;
}

std::vector<FanOut::Group> FanOut::group(const Envelope& envelope) const {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
    Route route = find(envelope.recipients[i].mailbox);
    const auto [place, is_new] = known.try_emplace(name_of(route), groups.size());
    if (is_new) {
      groups.emplace_back();
    }
    Group& group = groups[place->second];
    group.members.push_back(i);
    if (auto* const outcome = std::get_if<Outcome>(&route)) {
      group.decided.push_back(std::move(*outcome));
    } else if (auto* const list = std::get_if<DestinationList>(&route)) {
      group.route = std::move(*list);
    }
  }
  return groups;
}

Route FanOut::find(const Mailbox& recipient) const {
  try {
    return routes_->find(recipient);
  } catch (const std::exception& error) {
    return outcome_of(Trouble::kInternal, error.what());
  }
}

void FanOut::run(Group& group, const Envelope& part, const MailData& data,
                 const GroupAgent::Times& times) const {
  try {
    group.delivered = group.decided.empty()
                          ? road_.deliver(group.route.get(), part, data, times)
                          : road_.settle(std::move(group.decided), part, data, times);
  } catch (...) {
    group.failure = std::current_exception();
  }
}

void FanOut::put_together(std::vector<Group>& groups, Delivered& all) {
  for (Group& group : groups) {
    std::vector<Outcome>& outcomes = group.delivered.outcomes;
    if (group.failure || outcomes.size() != group.members.size()) {
      fail(group, all);
      continue;
    }
    for (std::size_t k = 0; k < group.members.size(); ++k) {
      all.outcomes[group.members[k]] = std::move(outcomes[k]);
    }
    if (all.trace.empty()) {
      all.trace = std::move(group.delivered.trace);
    }
  }
}

void FanOut::fail(const Group& group, Delivered& all) {
  try {
    const Outcome outcome =
        outcome_of(Trouble::kInternal, group.failure ? words_of(group.failure)
                                                     : "a delivery lost count of its recipients");
    for (const std::size_t member : group.members) {
      all.outcomes[member] = outcome;
    }
  } catch (const std::bad_alloc&) {
    // They stay what every Outcome begins as: temporary.
  }
}

}  // namespace lmtpq::mailer
