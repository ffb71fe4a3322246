#include "mailer/delivery/fan_out.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/unit/common/no_threads.h"
#include "tests/unit/mailer/routes/route_texts.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

DestinationList stores(const std::string& text) {
  return std::make_shared<const std::vector<Destination>>(1, parse_destination(text));
}

// "u@a" goes to store a; "u@default" has no route; "u@refused" is refused; "u@broken" makes the map
// throw. Each look-up makes a new list, as a directory does.
class DomainRoutes : public Routes {
 public:
  Route find(const Mailbox& recipient) override {
    ++asked;
    const std::string domain(recipient.domain());
    if (domain == "broken") {
      throw std::runtime_error("the map is broken");
    }
    if (domain == "refused" || domain == "later") {
      return outcome_of({domain == "refused" ? 5 : 4, 1, 6}, recipient.text());
    }
    return domain == "default" ? Route(DefaultRoute()) : Route(stores(domain));
  }
  int asked = 0;
};

// Delivers to all; the store "throws" throws, "forgets" returns too few outcomes. Records requests.
class RecordingAgent : public DeliveryAgent {
 public:
  DeliveryResult deliver(const DeliveryRequest& request) override {
    const Envelope& envelope = request.envelope;
    if (request.decided != nullptr) {
      CPPUNIT_ASSERT(request.route == nullptr);
      note("decided", request);
      at_once -= 1;
      CPPUNIT_ASSERT_EQUAL(envelope.recipients.size(), request.decided->size());
      for (std::size_t i = 0; i < request.decided->size(); ++i) {
        report(request, i, (*request.decided)[i]);
      }
      return {*TraceId::parse("t"), *request.decided};
    }
    const std::string store = request.route == nullptr ? "default" : request.route->front().host;
    note(store, request);
    wait_until_in_parallel();
    at_once -= 1;
    if (store == "throws") {
      throw std::runtime_error("out of order");
    }
    if (store == "throws-odd") {
      throw 1;
    }
    DeliveryResult made{*TraceId::parse("t"), {}, *TraceId::parse("q")};
    for (std::size_t i = store == "forgets" ? 1 : 0; i < envelope.recipients.size(); ++i) {
      const std::string recipient = envelope.recipients[i].mailbox.text();
      made.outcomes.push_back(outcome_of({5, 0, 0}, recipient + " at " + store));
      report(request, i, made.outcomes.back());
    }
    return made;
  }

  static void report(const DeliveryRequest& request, std::size_t recipient,
                     const Outcome& outcome) {
    if (request.client != nullptr) {
      request.client->decided(recipient, outcome, TraceId());
    }
  }

  // Until `wanted_at_once` groups have been in deliver() at the same time.
  void wait_until_in_parallel() {
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(30);
    while (most_at_once < wanted_at_once && Clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  void note(const std::string& store, const DeliveryRequest& request) {
    const Envelope& envelope = request.envelope;
    const std::lock_guard lock(mutex_);
    std::string recipients;
    for (const auto& one : envelope.recipients) {
      recipients +=
          (recipients.empty() ? "" : " ") + one.mailbox.text() + (one.ignore_quota ? "!" : "");
    }
    groups[store] = recipients;
    senders.insert(envelope.sender.text());
    bodies.insert(&request.data);
    envelopes.insert(&envelope);
    completes.insert(request.complete);
    begins.insert(request.begun);
    CPPUNIT_ASSERT_MESSAGE("numbered twice", parts.insert(request.part).second || !numbered);
    threads.insert(std::this_thread::get_id());
    most_at_once = std::max<int>(most_at_once, ++at_once);
    most_memory = std::max(most_memory, memory == nullptr ? 0 : memory->used());
  }

  int wanted_at_once = 0;
  bool numbered = false;  // one message only
  std::set<std::size_t> parts;
  std::map<std::string, std::string> groups;
  std::set<std::string> senders;
  std::set<const MailData*> bodies;
  std::set<const Envelope*> envelopes;
  std::set<Clock::time_point> completes;
  std::set<Clock::time_point> begins;
  std::set<std::thread::id> threads;
  std::atomic<int> at_once = 0;
  std::atomic<int> most_at_once = 0;
  const MemoryBudget* memory = nullptr;  // what the message takes is in most_memory
  std::uint64_t most_memory = 0;

 private:
  std::mutex mutex_;
};

class RecordingClient : public MessageClient {
 public:
  void decided(std::size_t recipient, const Outcome& outcome, const TraceId&) override {
    const std::lock_guard lock(mutex_);
    texts[recipient] += outcome.text;
  }
  void pass_on() noexcept override { ++passed; }
  bool gone() override { return true; }

  std::map<std::size_t, std::string> texts;
  std::atomic<int> passed = 0;

 private:
  std::mutex mutex_;
};

struct World {
  explicit World(const std::vector<std::string>& recipients) {
    envelope.sender = recipient("sender@example.org");
    for (const std::string& text : recipients) {
      envelope.recipients.push_back({recipient(text)});
    }
  }

  // "code status text" of each.
  std::vector<std::string> deliver(Routes* map) {
    FanOut fan_out(map, agent);
    result = fan_out.deliver(request());
    std::vector<std::string> words;
    for (const Outcome& outcome : result.outcomes) {
      words.push_back(reply_text(outcome));
    }
    return words;
  }
  std::vector<std::string> deliver() { return deliver(&routes); }
  DeliveryRequest request() const { return {envelope, data, begun, complete}; }

  Envelope envelope;
  MailData data{"/nowhere", std::nullopt};
  Clock::time_point begun = Clock::now();
  Clock::time_point complete = Clock::now();
  DomainRoutes routes;
  RecordingAgent agent;
  DeliveryResult result;
};

void same(const std::vector<std::string>& expected, const std::vector<std::string>& found) {
  CPPUNIT_ASSERT_EQUAL(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CPPUNIT_ASSERT_EQUAL(expected[i], found[i]);
  }
}

}  // namespace

class FanOutTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(FanOutTest);
  CPPUNIT_TEST(withoutRoutesTheMessageGoesToTheAgentAsItIs);
  CPPUNIT_TEST(recipientsOfOneStoreAreOneDelivery);
  CPPUNIT_TEST(outcomesAreInTheEnvelopesOrder);
  CPPUNIT_TEST(oneGroupHasTheClientsOwnEnvelope);
  CPPUNIT_TEST(eachGroupHasTheWholeEnvelopeButTheOtherRecipients);
  CPPUNIT_TEST(noStoreIsAskedForRecipientsThatTheMapRefuses);
  CPPUNIT_TEST(anExceptionOfTheMapDefersThatRecipient);
  CPPUNIT_TEST(anExceptionInOneGroupDoesNotAffectOthers);
  CPPUNIT_TEST(theClientGetsEachOutcomeFromItsGroup);
  CPPUNIT_TEST(theResultHasOneTraceId);
  CPPUNIT_TEST(groupsAreDeliveredInParallelUpToALimit);
  CPPUNIT_TEST(groupsTakeMemory);
  CPPUNIT_TEST(withoutThreadsGroupsFollowEachOther);
  CPPUNIT_TEST(manyMessagesAtOnce);
  CPPUNIT_TEST_SUITE_END();

  void withoutRoutesTheMessageGoesToTheAgentAsItIs() {
    World world({"a@x", "b@y"});
    same({"550 5.0.0 a@x at default", "550 5.0.0 b@y at default"}, world.deliver(nullptr));
    CPPUNIT_ASSERT(world.agent.envelopes == std::set<const Envelope*>{&world.envelope});
    CPPUNIT_ASSERT(world.agent.threads == std::set<std::thread::id>{std::this_thread::get_id()});
    CPPUNIT_ASSERT_EQUAL(0, world.routes.asked);
  }

  void recipientsOfOneStoreAreOneDelivery() {
    World world({"1@a", "2@b", "3@a", "4@default", "5@b", "6@default"});
    world.agent.numbered = true;
    world.deliver();
    CPPUNIT_ASSERT(world.agent.parts == std::set<std::size_t>({0, 1, 2}));
    const std::map<std::string, std::string> expected = {
        {"a", "1@a 3@a"}, {"b", "2@b 5@b"}, {"default", "4@default 6@default"}};
    CPPUNIT_ASSERT(expected == world.agent.groups);
    CPPUNIT_ASSERT_EQUAL(6, world.routes.asked);
  }

  void outcomesAreInTheEnvelopesOrder() {
    World world({"1@a", "2@b", "3@refused", "4@a", "1@a", "6@default", "7@later"});
    same({"550 5.0.0 1@a at a", "550 5.0.0 2@b at b", "550 5.1.6 3@refused", "550 5.0.0 4@a at a",
          "550 5.0.0 1@a at a", "550 5.0.0 6@default at default", "451 4.1.6 7@later"},
         world.deliver());
  }

  void oneGroupHasTheClientsOwnEnvelope() {
    World world({"1@a", "2@a"});
    world.deliver();
    CPPUNIT_ASSERT(world.agent.envelopes == std::set<const Envelope*>{&world.envelope});
    CPPUNIT_ASSERT(world.agent.threads == std::set<std::thread::id>{std::this_thread::get_id()});
    CPPUNIT_ASSERT(World({}).deliver().empty());
  }

  void eachGroupHasTheWholeEnvelopeButTheOtherRecipients() {
    World world({"1@a", "2@b", "3@b"});
    world.envelope.recipients[2].ignore_quota = true;
    world.deliver();
    CPPUNIT_ASSERT_EQUAL(std::string("2@b 3@b!"), world.agent.groups["b"]);
    CPPUNIT_ASSERT(world.agent.senders == std::set<std::string>{"sender@example.org"});
    CPPUNIT_ASSERT(world.agent.bodies == std::set<const MailData*>{&world.data});
    CPPUNIT_ASSERT(world.agent.begins == std::set<Clock::time_point>{world.begun});
    CPPUNIT_ASSERT(world.agent.completes == std::set<Clock::time_point>{world.complete});
  }

  void noStoreIsAskedForRecipientsThatTheMapRefuses() {
    World world({"1@refused", "2@later", "3@refused"});
    same({"550 5.1.6 1@refused", "451 4.1.6 2@later", "550 5.1.6 3@refused"}, world.deliver());
    const std::map<std::string, std::string> expected = {
        {"decided", "1@refused 2@later 3@refused"}};
    CPPUNIT_ASSERT(expected == world.agent.groups);
  }

  void anExceptionOfTheMapDefersThatRecipient() {
    World world({"1@a", "2@broken"});
    same({"550 5.0.0 1@a at a", "451 4.3.0 lmtpq: the map is broken"}, world.deliver());
  }

  void anExceptionInOneGroupDoesNotAffectOthers() {
    World world({"1@throws", "2@b", "3@throws", "4@forgets", "5@forgets", "6@throws-odd"});
    same({"451 4.3.0 lmtpq: out of order", "550 5.0.0 2@b at b", "451 4.3.0 lmtpq: out of order",
          "451 4.3.0 lmtpq: internal error: wrong number of outcomes",
          "451 4.3.0 lmtpq: internal error: wrong number of outcomes",
          "451 4.3.0 lmtpq: unknown exception"},
         world.deliver());
    same({"451 4.3.0 lmtpq: out of order"}, World({"1@throws"}).deliver());
  }

  void theClientGetsEachOutcomeFromItsGroup() {
    World world({"1@a", "2@b", "3@refused", "4@a", "5@throws"});
    RecordingClient client;
    DeliveryRequest request = world.request();
    request.client = &client;
    FanOut fan_out(&world.routes, world.agent);
    fan_out.deliver(request);
    const std::map<std::size_t, std::string> expected = {
        {0, "1@a at a"}, {1, "2@b at b"}, {2, "3@refused"}, {3, "4@a at a"}};
    CPPUNIT_ASSERT(expected == client.texts);
    CPPUNIT_ASSERT_EQUAL(4, client.passed.load());  // whenever a group is done
    World one({"1@a", "2@a"});
    RecordingClient own;
    DeliveryRequest plain = one.request();
    plain.client = &own;
    FanOut(&one.routes, one.agent).deliver(plain);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, own.texts.size());
    CPPUNIT_ASSERT_EQUAL(0, own.passed.load());
  }

  void theResultHasOneTraceId() {
    World world({"1@throws", "2@b", "3@c"});
    world.deliver();
    CPPUNIT_ASSERT_EQUAL(std::string("t"), world.result.trace.text());
    CPPUNIT_ASSERT_EQUAL(std::string("q"), world.result.queue_id.text());
  }

  static World to_stores(std::size_t number) {
    std::vector<std::string> recipients;
    for (std::size_t i = 0; i < number; ++i) {
      recipients.push_back("u@s" + std::to_string(i));
    }
    return World(recipients);
  }

  static void deliver_all(std::size_t stores, MemoryBudget* memory, std::size_t at_once) {
    World world = to_stores(stores);
    world.agent.memory = memory;
    world.agent.wanted_at_once = static_cast<int>(at_once);
    world.result = FanOut(&world.routes, world.agent, memory).deliver(world.request());
    for (std::size_t i = 0; i < stores; ++i) {
      const std::string name = "s" + std::to_string(i);
      CPPUNIT_ASSERT_EQUAL("550 5.0.0 u@" + name + " at " + name,
                           reply_text(world.result.outcomes[i]));
    }
    CPPUNIT_ASSERT_EQUAL(static_cast<int>(at_once), world.agent.most_at_once.load());
    const std::size_t paid = at_once - std::min(at_once, FanOut::kAlways);
    CPPUNIT_ASSERT_EQUAL(memory == nullptr ? std::uint64_t{0} : MemoryCost::kPart * paid,
                         world.agent.most_memory);
    CPPUNIT_ASSERT(world.agent.threads.contains(std::this_thread::get_id()));
    // The client's timeout runs from the same moment for groups that waited for others.
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.agent.completes.size());
  }

  void groupsAreDeliveredInParallelUpToALimit() {  // trap: many-stalled-stores
    deliver_all(3 * FanOut::kAlways, nullptr, 3 * FanOut::kAlways);
    deliver_all(FanOut::kMaxAtOnce + 10, nullptr, FanOut::kMaxAtOnce);
  }

  // Up to 3/4 of it: the rest is for messages and clients.
  void groupsTakeMemory() {
    MemoryBudget none(0);
    deliver_all(3 * FanOut::kAlways, &none, FanOut::kAlways);
    MemoryBudget some(MemoryCost::kPart * 8);
    deliver_all(3 * FanOut::kAlways, &some, FanOut::kAlways + 6);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, some.used());
    MemoryBudget much(MemoryCost::kPart * 1000);
    deliver_all(FanOut::kAlways + 1, &much, FanOut::kAlways + 1);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, much.used());
  }

  void withoutThreadsGroupsFollowEachOther() {
    World world({"1@a", "2@b", "3@c"});
    const NoThreads no_threads;
    const auto words = world.deliver();
    same({"550 5.0.0 1@a at a", "550 5.0.0 2@b at b", "550 5.0.0 3@c at c"}, words);
    CPPUNIT_ASSERT_EQUAL(1, world.agent.most_at_once.load());
    CPPUNIT_ASSERT(world.agent.threads == std::set<std::thread::id>{std::this_thread::get_id()});
  }

  void manyMessagesAtOnce() {
    World world({"1@a", "2@b", "3@refused", "4@default"});
    std::atomic<int> good = 0;
    class Constant : public Routes {
      Route find(const Mailbox& to) override {
        return to.domain() == "default" ? Route(DefaultRoute()) : stores(std::string(to.domain()));
      }
    } map;
    FanOut fan_out(&map, world.agent);
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        for (int k = 0; k < 50; ++k) {
          const DeliveryResult made = fan_out.deliver(world.request());
          good += made.outcomes.size() == 4 && reply_text(made.outcomes[1]) == "550 5.0.0 2@b at b";
        }
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
    CPPUNIT_ASSERT_EQUAL(200, good.load());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FanOutTest);
