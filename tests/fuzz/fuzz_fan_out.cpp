// A message whose recipients' routes and outcomes the input decides: each recipient is asked about
// once, with those of its route; its outcome is that of its group, in the envelope's order, however
// the other groups end; a group that fails is deferred as a whole, and nobody else; and the client
// gets each outcome once, for the right recipient, and no 250 that no store gave.
//
// The first byte chooses whether there is a client. Lines:
//   R ROUTE      a recipient whose mailbox is on this store; `default`: it has no route, `refused`:
//                the routes refuse it, `broken`: its look-up fails
//   S NAME PLAN  what the store NAME (or `default`, or `decided`) does with its recipients, one
//                after the other: 2 4 5 its outcome, k the same, left for the result, p passes
//                replies on, g asks whether the client has gone, - has no outcome for it, + has one
//                more than recipients, ! throws, * throws something else

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mailer/delivery/fan_out.h"
#include "tests/fuzz/script.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;
using fuzz::check;

constexpr std::size_t kMaxRecipients = 40;

Outcome outcome(char step, const std::string& text) {
  switch (step) {
    case '2':
    case 'k':
      return {Fate::kDelivered, 250, {2, 1, 5}, text, {}};
    case '5':
      return {Fate::kPermanent, 550, {5, 1, 1}, text, {}};
    default:
      return outcome_of(Trouble::kLost, text);
  }
}

struct Scene {
  std::vector<std::string> routes;  // of each recipient
  std::map<std::string, std::string> plans;
};

Scene read(std::string_view input) {
  Scene scene;
  for (fuzz::Script script(input); !script.over();) {
    const char letter = script.letter();
    const std::string text(script.take());
    const std::string first = text.substr(0, text.find(' '));
    const auto mailbox = Mailbox::parse("r@" + first);
    if (letter == 'R' && mailbox && scene.routes.size() < kMaxRecipients) {
      scene.routes.emplace_back(mailbox->domain());
    } else if (letter == 'S') {
      scene.plans[first] = text.substr(std::min(first.size() + 1, text.size()));
    }
  }
  return scene;
}

class ScriptedRoutes : public Routes {
 public:
  Route find(const Mailbox& recipient) override {
    const std::string name(recipient.domain());
    if (name == "broken") {
      throw std::runtime_error("the look-up fails");
    }
    if (name == "refused" || name == "decided") {
      return outcome_of(EnhancedStatus{5, 1, 6}, recipient.text());
    }
    if (name == "default") {
      return DefaultRoute();
    }
    Destination store;
    store.text = store.host = name;
    return std::make_shared<const std::vector<Destination>>(1, store);
  }
};

// The group's name, as in a plan.
std::string group_of(const std::string& route) {
  return route == "broken" || route == "refused" ? "decided" : route;
}

class Client : public MessageClient {
 public:
  explicit Client(std::size_t recipients) : texts(recipients) {}

  void decided(std::size_t recipient, const Outcome& made, const TraceId&) override {
    const std::lock_guard lock(mutex_);
    check(recipient < texts.size() && !texts[recipient]);
    texts[recipient] = reply_text(made);
  }
  void pass_on() noexcept override {
    const std::lock_guard lock(mutex_);
    ++passed;
  }
  bool gone() override { return false; }

  std::vector<std::optional<std::string>> texts;
  std::size_t passed = 0;

 private:
  std::mutex mutex_;
};

class Agent : public DeliveryAgent {
 public:
  explicit Agent(const Scene& scene) : scene_(scene) {}

  DeliveryResult deliver(const DeliveryRequest& request) override {
    const auto& recipients = request.envelope.recipients;
    const std::string group = note(request);
    const auto plan = scene_.plans.find(group);
    const std::string steps = plan == scene_.plans.end() ? "" : plan->second;
    DeliveryResult result{*TraceId::parse("t"), {}, *TraceId::parse("q")};
    std::size_t next = 0;
    for (const char step : steps) {
      if (step == '!') {
        throw std::runtime_error("\x1b the store is out of order");
      }
      if (step == '*') {
        throw 1;
      }
      if (request.client != nullptr && step == 'p') {
        request.client->pass_on();
      } else if (request.client != nullptr && step == 'g') {
        check(!request.client->gone());
      } else if (step == '-') {
        ++next;
      } else if (step == '+') {
        result.outcomes.emplace_back();
      } else if (std::string_view("245k").find(step) != std::string_view::npos &&
                 next < recipients.size()) {
        result.outcomes.push_back(request.decided != nullptr
                                      ? (*request.decided)[next]
                                      : outcome(step, recipients[next].mailbox.text()));
        if (request.client != nullptr && step != 'k') {
          request.client->decided(next, result.outcomes.back(), result.trace);
        }
        ++next;
      }
    }
    for (; next < recipients.size(); ++next) {
      result.outcomes.push_back(outcome('4', recipients[next].mailbox.text()));
    }
    const std::lock_guard lock(mutex_);
    results[group] = result.outcomes;
    return result;
  }

  // By group: what it returned; none: it threw.
  std::map<std::string, std::vector<Outcome>> results;
  std::multiset<std::string> groups;
  std::multiset<std::string> asked;  // recipients

 private:
  std::string note(const DeliveryRequest& request) {
    const auto& recipients = request.envelope.recipients;
    check(!recipients.empty() && request.envelope.sender.text() == "s@x");
    check(request.decided == nullptr || request.decided->size() == recipients.size());
    const std::string group = group_of(std::string(recipients[0].mailbox.domain()));
    check((request.decided != nullptr) == (group == "decided"));
    check((request.route != nullptr) == (group != "decided" && group != "default"));
    const std::lock_guard lock(mutex_);
    groups.insert(group);
    for (const Recipient& recipient : recipients) {
      check(group_of(std::string(recipient.mailbox.domain())) == group);
      asked.insert(recipient.mailbox.text());
    }
    return group;
  }

  const Scene& scene_;
  std::mutex mutex_;
};

void play(bool with_client, const Scene& scene) {
  Envelope envelope;
  envelope.sender = Mailbox::parse("s@x").value();
  for (std::size_t i = 0; i < scene.routes.size(); ++i) {
    envelope.recipients.push_back(
        {Mailbox::parse('r' + std::to_string(i) + '@' + scene.routes[i]).value()});
  }
  if (envelope.recipients.empty()) {
    return;
  }
  MailData data("/tmp", std::nullopt);
  data.finish();
  ScriptedRoutes routes;
  Agent agent(scene);
  Client client(scene.routes.size());
  DeliveryRequest request{envelope, data, Clock::now(), Clock::now()};
  request.client = with_client ? &client : nullptr;
  const DeliveryResult result = FanOut(&routes, agent).deliver(request);

  check(result.outcomes.size() == scene.routes.size());
  std::map<std::string, std::size_t> places;  // of the next recipient in its group
  std::map<std::string, std::size_t> sizes;
  for (const std::string& route : scene.routes) {
    ++sizes[group_of(route)];
  }
  for (std::size_t i = 0; i < scene.routes.size(); ++i) {
    const std::string group = group_of(scene.routes[i]);
    const auto made = agent.results.find(group);
    const std::string text = reply_text(result.outcomes[i]);
    if (made == agent.results.end() || made->second.size() != sizes[group]) {
      check(result.outcomes[i].trouble == Trouble::kInternal && result.outcomes[i].code == 451);
    } else {
      check(text == reply_text(made->second[places[group]++]));
      check(!client.texts[i] || *client.texts[i] == text ||
            scene.plans.at(group).find('-') != std::string::npos ||
            scene.plans.at(group).find('+') != std::string::npos);
    }
    const std::string recipient = envelope.recipients[i].mailbox.text();
    check(agent.asked.count(recipient) == 1 && agent.groups.count(group) == 1);
    check(!client.texts[i] || group == "decided" || client.texts[i]->ends_with(recipient));
  }
  check(agent.groups.size() == sizes.size());
  check(!with_client || sizes.size() == 1 || client.passed >= agent.results.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Scene scene = read(input.substr(std::min<std::size_t>(input.size(), 1)));
  play(!input.starts_with('-'), scene);
  return 0;
}
