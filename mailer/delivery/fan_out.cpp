#include "mailer/delivery/fan_out.h"

#include <algorithm>
#include <exception>
#include <map>
#include <new>
#include <string>
#include <utility>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

// The recipients of the same stores, or those whose outcome the routes decided.
struct FanOut::Group {
  std::size_t number = 0;
  DestinationList route;             // none: the default stores
  std::vector<std::size_t> members;  // in the envelope's order
  std::vector<Outcome> decided;      // one for each member, or none at all
  DeliveryResult result;
  std::exception_ptr failure;
};

// The client, to which the recipients of a group have their places in the whole envelope.
class FanOut::GroupClient : public MessageClient {
 public:
  GroupClient(MessageClient& client, const std::vector<std::size_t>& members)
      : client_(client), members_(members) {}
  void decided(std::size_t recipient, const Outcome& outcome, const TraceId& trace) override {
    client_.decided(members_[recipient], outcome, trace);
  }
  void pass_on() noexcept override { client_.pass_on(); }
  bool gone() override { return client_.gone(); }

 private:
  MessageClient& client_;
  const std::vector<std::size_t>& members_;
};

namespace {

// Routes with the same name are one group.
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

// How many of the groups may be under way together; `memory` holds what they need.
std::size_t most_at_once(std::size_t groups, MemoryShare& memory) {
  std::size_t most = FanOut::kAlways;
  while (most < std::min(groups, FanOut::kMaxAtOnce) &&
         memory.take(MemoryCost::kPart, MemoryBudget::Use::kBody)) {
    ++most;
  }
  return most;
}

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown exception";
  }
}

}  // namespace

DeliveryResult FanOut::deliver(const DeliveryRequest& request) {
  try {
    return routes_ == nullptr ? agent_.deliver(request) : deliver_groups(request);
  } catch (const std::exception& error) {
    return {TraceId(), std::vector<Outcome>(request.envelope.recipients.size(),
                                            outcome_of(Trouble::kInternal, error.what()))};
  }
}

DeliveryResult FanOut::deliver_groups(const DeliveryRequest& request) const {
  // Allocated first: lack of memory later must not lose the outcomes that stores have given.
  DeliveryResult all;
  all.outcomes.resize(request.envelope.recipients.size());
  std::vector<Group> groups = group(request.envelope);
  if (groups.size() == 1) {
    deliver_group(groups[0], request.envelope, request, request.client);
  } else {
    Envelope head = request.envelope;
    head.recipients.clear();
    MemoryShare memory(memory_);
    run_side_by_side(groups.size(), most_at_once(groups.size(), memory),
                     [&](std::size_t i) { deliver_apart(groups[i], head, request); });
  }
  collect(groups, all);
  return all;
}

std::vector<FanOut::Group> FanOut::group(const Envelope& envelope) const {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> known;
  std::vector<Route> routes = find_routes(envelope);
  for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
    pace();
    Route& route = routes[i];
    const auto [place, is_new] = known.try_emplace(name_of(route), groups.size());
    if (is_new) {
      groups.emplace_back();
      groups.back().number = place->second;
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

std::vector<Route> FanOut::find_routes(const Envelope& envelope) const {
  Mailboxes recipients;
  for (const Recipient& recipient : envelope.recipients) {
    recipients.push_back(&recipient.mailbox);
  }
  try {
    return routes_->find_all(recipients);
  } catch (const std::exception& error) {
    return {recipients.size(), outcome_of(Trouble::kInternal, error.what())};
  }
}

// As a separate message. `head` is the envelope without recipients.
void FanOut::deliver_apart(Group& group, const Envelope& head,
                           const DeliveryRequest& request) const {
  try {
    Envelope part = head;
    for (const std::size_t member : group.members) {
      pace();
      part.recipients.push_back(request.envelope.recipients[member]);
    }
    if (request.client == nullptr) {
      deliver_group(group, part, request, nullptr);
      return;
    }
    GroupClient client(*request.client, group.members);
    deliver_group(group, part, request, &client);
    client.pass_on();  // the other groups may have to wait
  } catch (...) {
    group.failure = std::current_exception();
  }
}

void FanOut::deliver_group(Group& group, const Envelope& part, const DeliveryRequest& request,
                           MessageClient* client) const {
  try {
    group.result =
        agent_.deliver({part, request.data, request.begun, request.complete, group.route.get(),
                        group.decided.empty() ? nullptr : &group.decided, client, group.number});
  } catch (...) {
    group.failure = std::current_exception();
  }
}

void FanOut::collect(std::vector<Group>& groups, DeliveryResult& all) {
  for (Group& group : groups) {
    std::vector<Outcome>& outcomes = group.result.outcomes;
    if (group.failure || outcomes.size() != group.members.size()) {
      fail(group, all);
      continue;
    }
    for (std::size_t k = 0; k < group.members.size(); ++k) {
      all.outcomes[group.members[k]] = std::move(outcomes[k]);
    }
    if (all.trace.empty()) {
      all.trace = std::move(group.result.trace);
      all.queue_id = std::move(group.result.queue_id);
    }
  }
}

void FanOut::fail(const Group& group, DeliveryResult& all) {
  try {
    const Outcome outcome =
        outcome_of(Trouble::kInternal, group.failure ? text_of(group.failure)
                                                     : "internal error: wrong number of outcomes");
    for (const std::size_t member : group.members) {
      all.outcomes[member] = outcome;
    }
  } catch (const std::bad_alloc&) {
    // Their outcomes stay as they were made: temporary.
  }
}

}  // namespace lmtpq::mailer
