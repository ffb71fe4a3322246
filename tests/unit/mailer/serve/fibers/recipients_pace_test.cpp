#include <string>
#include <vector>

#include "mailer/delivery/fan_out.h"
#include "mailer/routes/directory_routes.h"
#include "mailer/routes/route_file.h"
#include "tests/unit/mailer/delivery/message_state_fixture.h"
#include "tests/unit/mailer/routes/route_texts.h"
#include "tests/unit/mailer/routes/scripted_directory.h"
#include "tests/unit/mailer/serve/fibers/fibers.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

constexpr int kMany = 20'000;  // recipients: far more than a fiber's share of time

Envelope envelope_of(int recipients) {
  Envelope made;
  for (int i = 0; i < recipients; ++i) {
    made.recipients.push_back({recipient("user" + std::to_string(i) + "@store.test")});
  }
  return made;
}

Mailboxes mailboxes_of(const Envelope& envelope) {
  Mailboxes all;
  for (const auto& one : envelope.recipients) {
    all.push_back(&one.mailbox);
  }
  return all;
}

// All at the default stores, without a loop.
class Default : public Routes {
  Route find(const Mailbox&) override { return DefaultRoute(); }
  std::vector<Route> find_all(const Mailboxes& all) override {
    return std::vector<Route>(all.size());
  }
};

class Agent : public DeliveryAgent {
  DeliveryResult deliver(const DeliveryRequest& request) override {
    return {TraceId(), std::vector<Outcome>(request.envelope.recipients.size())};
  }
};

}  // namespace

// Work for each recipient of a message lets other fibers run, though it waits for nothing.
class RecipientsPaceTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RecipientsPaceTest);
  CPPUNIT_TEST(onePatternAfterTheOther);
  CPPUNIT_TEST(routesOfOneRecipientAfterTheOther);
  CPPUNIT_TEST(answersOfADirectoryThatAreKept);
  CPPUNIT_TEST(recipientsOfOneStore);
  CPPUNIT_TEST(aStoresNextTransaction);
  CPPUNIT_TEST_SUITE_END();

  // Whether another fiber, which is ready when the work begins, runs before its end.
  static bool others_run_during(const std::function<void()>& work) {
    Reactor reactor;
    Fibers fibers;
    bool over = false;
    bool ran = false;
    fibers.start(reactor, [&] {
      fibers.start(reactor, [&] { ran = !over; });
      pace();  // the first one after a wait does nothing
      work();
      over = true;
    });
    fibers.await_all();
    return ran;
  }

  void onePatternAfterTheOther() {  // trap: a-thousand-recipients
    std::string text;
    for (std::size_t i = 0; i < RouteFile::kMaxGlobs; ++i) {
      text += "*b*" + std::to_string(i) + "*@x s\n";
    }
    const RouteFile file = RouteFile::parse(text, "routes");
    const Mailbox one = recipient(std::string(1000, 'a') + "@x");
    CPPUNIT_ASSERT(others_run_during([&] { file.find(one); }));
  }

  void routesOfOneRecipientAfterTheOther() {  // trap: a-thousand-recipients
    class File : public Routes {
     public:
      Route find(const Mailbox& to) override { return file_.find(to); }

     private:
      const RouteFile file_ = RouteFile::parse("u@x s\n", "routes");
    } routes;
    const Envelope envelope = envelope_of(kMany);
    const Mailboxes all = mailboxes_of(envelope);
    CPPUNIT_ASSERT(others_run_during([&] { routes.find_all(all); }));
  }

  void answersOfADirectoryThatAreKept() {  // trap: a-thousand-recipients
    DirectorySettings settings;
    settings.filter = "(m=%s)";
    settings.cache = settings.negative_cache = std::chrono::hours(1);
    settings.cache_size = 2 * kMany;
    const Log log("test", "/dev/null", LogLevel::kInfo);
    ScriptedDirectory directory;
    CuttableWork look_ups;
    DirectoryRoutes routes(settings, directory.opener(), log, look_ups, {});
    const Envelope envelope = envelope_of(kMany);
    const Mailboxes all = mailboxes_of(envelope);
    routes.find_all(all);
    CPPUNIT_ASSERT(others_run_during([&] { routes.find_all(all); }));
    CPPUNIT_ASSERT_EQUAL(2, directory.calls.load());  // addresses, domains: all before
  }

  void recipientsOfOneStore() {  // trap: a-thousand-recipients
    Default routes;
    Agent agent;
    const MailData data("/nowhere", std::nullopt);
    const Envelope envelope = envelope_of(kMany);
    CPPUNIT_ASSERT(others_run_during([&] {
      FanOut(&routes, agent).deliver({envelope, data, Clock::now(), Clock::now()});
    }));
  }

  void aStoresNextTransaction() {  // trap: a-thousand-recipients
    MessageStateFixture message;
    message.envelope() = envelope_of(kMany);
    message.meet({});
    CPPUNIT_ASSERT(others_run_during(
        [&] { message.state().next_transaction(message.upstream().client().capabilities()); }));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecipientsPaceTest);
