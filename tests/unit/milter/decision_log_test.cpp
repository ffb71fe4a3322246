#include "tests/unit/milter/message_scene.h"

#include <algorithm>

using namespace lmtpq;
using namespace lmtpq::milter;

class DecisionLogTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DecisionLogTest);
  CPPUNIT_TEST(anMtaThatRefusesEditsIsLogged);
  CPPUNIT_TEST(everyMessageHasOneLogLine);
  CPPUNIT_TEST(anIpv6AddressIsInBrackets);
  CPPUNIT_TEST(aMessageOverTheLimitIsAWarning);
  CPPUNIT_TEST(theFirstEightRulesAreNamed);
  CPPUNIT_TEST(whatIsNotKnownIsADash);
  CPPUNIT_TEST(textFromTheClientCannotBreakALogLine);
  CPPUNIT_TEST_SUITE_END();

  void anMtaThatRefusesEditsIsLogged() {
    const auto configuration = shared(configuration_of(kTrusted));
    for (const int takes : {0, 1, 2, 3}) {
      Bench bench(configuration);
      FakeHeaderEdits edits;
      edits.takes = takes;
      Message message(configuration, mail());
      message.take_recipient(to("bob@x"));
      feed(message, edits, "X-LMTPQ-Tag", "v=1");
      feed(message, edits, "X-LMTPQ-Tag", "v=1");
      CPPUNIT_ASSERT_EQUAL(takes == 3, decide(message, bench, edits));
      // With a tag that stayed, the new one would be one of two.
      CPPUNIT_ASSERT_EQUAL(std::size_t{takes >= 2 ? 3U : 2U}, edits.calls.size());
      CPPUNIT_ASSERT(bench.logged("the MTA took no edits") == (takes < 3));
      CPPUNIT_ASSERT(bench.logged("event=old-tags-removed") == (takes >= 2));
    }
  }

  void everyMessageHasOneLogLine() {
    const auto configuration = shared(configuration_of(kTrusted));
    MessageFacts facts = mail();
    facts.auth = "jo@example.org";
    facts.size = 1234;
    Scene scene(configuration, facts);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@x"));
    message.take_recipient(to("carol@x"));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    const std::string log = bench.log();
    CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1}, std::count(log.begin(), log.end(), '\n'));
    CPPUNIT_ASSERT(bench.logged(
        " qid=4AL93Qxa012345 client=192.0.2.9 auth=jo@example.org from=<notice@example.org> "
        "rcpts=2 rule=carol quota=mixed reason=\"no rule,rule\" tagged=yes old-tags=0 "
        "size=1234\n"));
    CPPUNIT_ASSERT(bench.logged("trace=4AL93Qxa012345-"));
    CPPUNIT_ASSERT(!bench.logged("level="));
  }

  void anIpv6AddressIsInBrackets() {
    const auto configuration = shared(configuration_of(kTrusted));
    MessageFacts facts = mail();
    facts.client.address = Address::parse("2001:db8::1");
    Scene scene(configuration, facts);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@x"));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT_MESSAGE(bench.log(), bench.logged(" client=[2001:db8::1] "));
  }

  void aMessageOverTheLimitIsAWarning() {
    const auto configuration =
        shared(configuration_of("[rule.all]\nfrom = *\nlimit = 1/hour\nquota = ignore\n"));
    Bench bench(configuration);
    for (int i = 0; i < 2; ++i) {
      FakeHeaderEdits edits;
      Message message(configuration, mail());
      message.take_recipient(to("bob@x"));
      CPPUNIT_ASSERT(decide(message, bench, edits));
      CPPUNIT_ASSERT(scope_of(verified(edits, *configuration, "")) ==
                     (i == 0 ? QuotaScope::kEverybody : QuotaScope::kNobody));
      CPPUNIT_ASSERT_EQUAL(i == 1, bench.logged("level=warning event=decision trace="));
    }
    CPPUNIT_ASSERT(bench.logged("rule=all quota=honour reason=\"over limit\""));
  }

  // Each once, in the order of the recipients.
  void theFirstEightRulesAreNamed() {
    for (const int rules : {8, 9, 12}) {
      std::string text;
      for (int i = 0; i < rules; ++i) {
        const std::string name(1, static_cast<char>('a' + i));
        text += "[rule." + name + "]\nrcpt = " + name + "@*\nquota = ignore\n";
      }
      Scene scene(shared(configuration_of(text)));
      auto& [bench, edits, message] = scene;
      for (int i = 0; i < 2 * rules; ++i) {
        message.take_recipient(to(std::string(1, static_cast<char>('a' + i / 2)) + "@x"));
      }
      CPPUNIT_ASSERT(decide(message, bench, edits));
      CPPUNIT_ASSERT_MESSAGE(bench.log(),
                             bench.logged(rules == 8 ? " rule=a,b,c,d,e,f,g,h quota=ignore "
                                                     : " rule=a,b,c,d,e,f,g,h,... quota=ignore "));
    }
  }

  void whatIsNotKnownIsADash() {
    Scene scene(shared(configuration_of(kTrusted)), MessageFacts());
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@x"));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT_MESSAGE(
        bench.log(), bench.logged(" client=local auth=- from=<> rcpts=1 rule=- quota=honour "
                                  "reason=\"no rule\" tagged=no no-tag=\"no queue id\" old-tags=0 "
                                  "size=-\n"));
  }

  void textFromTheClientCannotBreakALogLine() {
    const auto configuration = shared(configuration_of(kTrusted));
    MessageFacts facts = mail();
    facts.sender = "a\nquota=ignore \"x";
    Scene scene(configuration, facts);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@x"));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT(bench.logged("from=\"<a\\nquota=ignore \\\"x>\""));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DecisionLogTest);
