#include "tests/unit/milter/message_scene.h"

using namespace lmtpq;
using namespace lmtpq::milter;

// The over-quota policies of rules: from the rule into the tag and the log.
class MilterOverQuotaTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MilterOverQuotaTest);
  CPPUNIT_TEST(oneRuleForAllIsOnePolicyForEverybody);
  CPPUNIT_TEST(rulesWithRcptDecideForEachRecipient);
  CPPUNIT_TEST(withoutSuchARuleTheTagIsAsBefore);
  CPPUNIT_TEST(aPolicyHoldsBeyondTheLimitOfItsRule);
  CPPUNIT_TEST(anUncertainRuleDecidesNothing);
  CPPUNIT_TEST(membersOfAliasesHaveThePolicyOnlyWhenAllRecipientsHaveIt);
  CPPUNIT_TEST(recipientsWithoutRoomAreCounted);
  CPPUNIT_TEST(policiesAndTheQuotaAreIndependent);
  CPPUNIT_TEST_SUITE_END();

  static constexpr const char* kByRecipient =
      "[rule.boss]\nrcpt = boss\nquota = ignore\nover-quota = defer\n"
      "[rule.bulk]\nrcpt = bob carol\nquota = honour\nover-quota = refuse\n";

  static std::string policy_of(const Tag& tag, const std::string& address) {
    const auto policy = tag.over_quota(address);
    return policy ? policy->text() : "-";
  }

  static Tag tag_of(const Scene& scene, const Configuration& configuration) {
    const auto judged = verified(scene.edits, configuration, "");
    CPPUNIT_ASSERT(std::holds_alternative<Tag>(judged));
    return std::get<Tag>(judged);
  }

  static void run(Scene& scene, const std::vector<RecipientFacts>& recipients) {
    for (const RecipientFacts& recipient : recipients) {
      scene.message.take_recipient(recipient);
    }
    CPPUNIT_ASSERT(decide(scene.message, scene.bench, scene.edits));
  }

  static void same(const std::string& expected, const std::string& actual) {
    CPPUNIT_ASSERT_EQUAL(expected, actual);
  }

  void oneRuleForAllIsOnePolicyForEverybody() {
    const auto configuration =
        shared(configuration_of("[rule.all]\nfrom = *\nquota = honour\nover-quota = defer:2d\n"));
    Scene scene(configuration);
    run(scene, {to("alice@x"), to("bob@x")});
    const Tag tag = tag_of(scene, *configuration);
    same("defer:2d", policy_of(tag, "alice"));
    same("defer:2d", policy_of(tag, "member-of-an-alias"));
    CPPUNIT_ASSERT(tag.quota() == QuotaScope::kNobody);
    CPPUNIT_ASSERT(scene.bench.logged("quota=honour over-quota=defer:2d reason=rule"));
  }

  void rulesWithRcptDecideForEachRecipient() {
    const auto configuration = shared(configuration_of(kByRecipient));
    Scene scene(configuration);
    run(scene, {to("boss@x"), to("bob@x"), to("dave@x"), to("carol@y")});
    const Tag tag = tag_of(scene, *configuration);
    for (const char* name : {"boss", "boss@x"}) {
      same("defer", policy_of(tag, name));
      CPPUNIT_ASSERT(tag.ignores_quota(name));
    }
    for (const char* name : {"bob", "bob@x", "carol", "carol@y"}) {
      same("refuse", policy_of(tag, name));
      CPPUNIT_ASSERT(!tag.ignores_quota(name));
    }
    same("-", policy_of(tag, "dave"));
    CPPUNIT_ASSERT(scene.bench.logged("quota=mixed over-quota=mixed "));
  }

  void withoutSuchARuleTheTagIsAsBefore() {
    const auto configuration = shared(configuration_of(
        kTrusted + std::string("[rule.rest]\nrcpt = dave\nquota = honour\nover-quota = store\n")));
    Scene without(configuration);
    run(without, {to("bob@x"), to("carol@x")});
    const std::vector<std::string> tags = without.edits.values(std::string(kTagName));
    CPPUNIT_ASSERT(tags.at(0).find("o=") == std::string::npos);
    CPPUNIT_ASSERT(!without.bench.logged("over-quota"));
    Scene with(configuration);
    run(with, {to("dave@x")});
    same("store", policy_of(tag_of(with, *configuration), "dave"));
  }

  void aPolicyHoldsBeyondTheLimitOfItsRule() {
    const auto configuration = shared(configuration_of(
        "[rule.all]\nfrom = *\nlimit = 1/hour\nquota = ignore\nover-quota = refuse\n"));
    Bench bench(configuration);
    for (const bool within : {true, false}) {
      FakeHeaderEdits edits;
      Message message(configuration, mail());
      message.take_recipient(to("bob@x"));
      CPPUNIT_ASSERT(decide(message, bench, edits));
      const auto judged = verified(edits, *configuration, "");
      CPPUNIT_ASSERT_EQUAL(within, scope_of(judged) == QuotaScope::kEverybody);
      same("refuse", policy_of(std::get<Tag>(judged), "bob"));
    }
  }

  // Recipients of other mailers, addresses that Sendmail may read differently, and messages with
  // more header than we look at.
  void anUncertainRuleDecidesNothing() {
    const auto configuration = shared(configuration_of(
        "[rule.all]\nfrom = *\nheader X-Notice = *\nquota = ignore\nover-quota = refuse\n"));
    Scene mixed(configuration);
    feed(mixed.message, mixed.edits, "X-Notice", "yes");
    run(mixed, {to("bob@x"), to("dave@elsewhere", "esmtp"), to("a%b@x")});
    const Tag tag = tag_of(mixed, *configuration);
    same("refuse", policy_of(tag, "bob"));
    same("-", policy_of(tag, "dave@elsewhere"));
    same("-", policy_of(tag, "a%b@x"));
    Scene large(configuration);
    feed(large.message, large.edits, "X-Notice", "yes");
    feed(large.message, large.edits, "X-Notice", std::string(Message::kMaxField, 'x'));
    run(large, {to("bob@x")});
    same("-", policy_of(tag_of(large, *configuration), "bob"));
    CPPUNIT_ASSERT(!large.bench.logged("over-quota"));
  }

  void membersOfAliasesHaveThePolicyOnlyWhenAllRecipientsHaveIt() {
    const auto configuration = shared(configuration_of(kByRecipient));
    Scene all(configuration);
    run(all, {to("bob@x"), to("carol@x")});
    same("refuse", policy_of(tag_of(all, *configuration), "member"));
    Scene differing(configuration);
    run(differing, {to("bob@x"), to("boss@x")});
    same("-", policy_of(tag_of(differing, *configuration), "member"));
  }

  void recipientsWithoutRoomAreCounted() {
    const auto configuration =
        shared(configuration_of("[rule.odd]\nrcpt = odd*\nquota = ignore\nover-quota = refuse\n"));
    Scene scene(configuration);
    std::vector<RecipientFacts> recipients = {to("bob@x")};
    for (int i = 0; i < 1100; ++i) {
      recipients.push_back(to("odd" + std::to_string(i) + "@x"));
    }
    run(scene, recipients);
    const Tag tag = tag_of(scene, *configuration);
    same("refuse", policy_of(tag, "odd0"));
    same("-", policy_of(tag, "odd1099"));
    CPPUNIT_ASSERT(scene.bench.logged("rcpts-beyond-limit=100 over-quota-beyond-limit=851 "));
  }

  void policiesAndTheQuotaAreIndependent() {
    const auto configuration =
        shared(configuration_of("[rule.a]\nrcpt = alice\nquota = ignore\nover-quota = refuse\n"
                                "[rule.b]\nrcpt = bob\nquota = ignore\n"));
    Scene scene(configuration);
    run(scene, {to("alice@x"), to("bob@x")});
    const Tag tag = tag_of(scene, *configuration);
    CPPUNIT_ASSERT(tag.quota() == QuotaScope::kEverybody);
    same("refuse", policy_of(tag, "alice"));
    same("-", policy_of(tag, "bob"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MilterOverQuotaTest);
