#include "milter/policy/policy.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::Address;
using lmtpq::QuotaScope;
using lmtpq::milter::Decision;
using lmtpq::milter::Limit;
using lmtpq::milter::Limiter;
using lmtpq::milter::MessageFacts;
using lmtpq::milter::Policy;
using lmtpq::milter::Quota;
using lmtpq::milter::RecipientFacts;
using lmtpq::milter::Rule;
using lmtpq::milter::RuleCondition;
using lmtpq::milter::Verdict;
using lmtpq::milter::Why;

class PolicyTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PolicyTest);
  CPPUNIT_TEST(firstMatchDecides);
  CPPUNIT_TEST(everyConditionOfARuleMustHold);
  CPPUNIT_TEST(noMatchHonoursTheQuota);
  CPPUNIT_TEST(aRuleWithRcptDecidesForEachRecipientSeparately);
  CPPUNIT_TEST(scopeIsEverybodyOnlyWhenEveryRecipientIgnoresTheQuota);
  CPPUNIT_TEST(scopeIsNotEverybodyWithARecipientOfAnotherMailer);
  CPPUNIT_TEST(rulesAreNotUsedForRecipientsOfAnotherMailer);
  CPPUNIT_TEST(overTheLimitHonoursTheQuota);
  CPPUNIT_TEST(messageIsCountedOnceForAllItsRecipients);
  CPPUNIT_TEST(onlyRulesThatIgnoreAQuotaAreCounted);
  CPPUNIT_TEST(overTheLimitNoLaterRuleIsUsed);
  CPPUNIT_TEST(nothingIsCountedWithoutALimiter);
  CPPUNIT_TEST(limitsCountTheProvenIdentityOtherwiseTheSender);
  CPPUNIT_TEST(mismatchIsTheFirstConditionThatDoesNotHold);
  CPPUNIT_TEST(decideAndMismatchAgree);
  CPPUNIT_TEST(headerNamesListEachNameOfTheConditionsOnce);
  CPPUNIT_TEST(summaryShowsTheWholeRule);
  CPPUNIT_TEST(anyoneCanMatchARuleWithoutProof);
  CPPUNIT_TEST(headersAreMatchedOncePerMessageNotPerRecipient);
  CPPUNIT_TEST_SUITE_END();

  static constexpr Limiter::Time kNow{};

  using Conditions = std::vector<std::pair<const char*, const char*>>;

  static Rule rule(const char* name, Quota quota, const Conditions& conditions,
                   const char* limit = nullptr) {
    Rule made;
    made.name = name;
    made.quota = quota;
    for (const auto& [key, value] : conditions) {
      made.conditions.push_back(*RuleCondition::parse(key, value));
    }
    if (limit != nullptr) {
      made.limit = Limit::parse(limit);
    }
    return made;
  }

  static Rule ignore(const char* name, const Conditions& conditions, const char* limit = nullptr) {
    return rule(name, Quota::kIgnore, conditions, limit);
  }

  static Rule honour(const char* name, const Conditions& conditions) {
    return rule(name, Quota::kHonour, conditions);
  }

  static Policy policy(std::vector<Rule> rules) {
    return Policy(std::move(rules), {"cyrusv2", "cyrusv2q"});
  }

  static RecipientFacts ours(const std::string& name) {
    return {name + "@example.org", name, "cyrusv2q"};
  }

  static RecipientFacts elsewhere(const std::string& name) {
    return {name + "@example.net", name + "@example.net", "esmtp"};
  }

  static MessageFacts message(const char* sender, std::vector<RecipientFacts> recipients) {
    MessageFacts made;
    made.sender = sender;
    made.recipients = std::move(recipients);
    return made;
  }

  // "ignore/rule/notices honour/no rule/-"
  static std::string shown(const Verdict& verdict) {
    std::string text;
    for (const Decision& decision : verdict.recipients) {
      text += text.empty() ? "" : " ";
      text += lmtpq::milter::kQuotaNames[static_cast<std::size_t>(decision.quota)];
      text += std::string("/") + lmtpq::milter::kWhyNames[static_cast<std::size_t>(decision.why)];
      text += '/' + (decision.rule != nullptr ? decision.rule->name : "-");
    }
    return text;
  }

  static std::string decided(const Policy& policy, const MessageFacts& message,
                             Limiter* limiter = nullptr) {
    return shown(policy.decide(message, limiter, kNow));
  }

  static void check(const std::string& expected, const std::string& actual) {
    CPPUNIT_ASSERT_EQUAL(expected, actual);
  }

  void firstMatchDecides() {
    const Rule no = honour("no", {{"from", "bad@*"}});
    const Rule yes = ignore("yes", {{"from", "*@example.org"}});
    const MessageFacts bad = message("bad@example.org", {ours("alice")});
    check("honour/rule/no", decided(policy({no, yes}), bad));
    check("ignore/rule/yes", decided(policy({yes, no}), bad));
    check("ignore/rule/yes",
          decided(policy({no, yes}), message("good@example.org", {ours("alice")})));
  }

  void everyConditionOfARuleMustHold() {
    const Policy asked = policy({ignore("all", {{"client", "192.0.2.0/24"},
                                                {"from", "notice@*"},
                                                {"rcpt", "alice@*"},
                                                {"header X-A", "yes"},
                                                {"max-size", "10"}})});
    MessageFacts all = message("notice@example.org", {ours("alice")});
    all.client.address = Address::parse("192.0.2.7");
    all.headers = {{"X-A", "yes"}};
    all.size = 10;
    check("ignore/rule/all", decided(asked, all));
    MessageFacts changed = all;
    changed.client.address = Address::parse("192.0.3.7");
    check("honour/no rule/-", decided(asked, changed));
    changed = all;
    changed.sender = "alice@example.org";
    check("honour/no rule/-", decided(asked, changed));
    changed = all;
    changed.recipients = {ours("bob")};
    check("honour/no rule/-", decided(asked, changed));
    changed = all;
    changed.headers.clear();
    check("honour/no rule/-", decided(asked, changed));
    changed = all;
    changed.size = 11;
    check("honour/no rule/-", decided(asked, changed));
  }

  void noMatchHonoursTheQuota() {
    const Policy none = policy({});
    const Verdict verdict = none.decide(message("a@b", {ours("alice")}), nullptr, kNow);
    check("honour/no rule/-", shown(verdict));
    CPPUNIT_ASSERT(verdict.tagged);
    CPPUNIT_ASSERT(verdict.scope == QuotaScope::kNobody);
    const Verdict empty = none.decide(message("a@b", {}), nullptr, kNow);
    CPPUNIT_ASSERT(empty.recipients.empty() && !empty.tagged);
    CPPUNIT_ASSERT(empty.scope == QuotaScope::kNobody);
  }

  void aRuleWithRcptDecidesForEachRecipientSeparately() {
    const Policy asked =
        policy({honour("boss", {{"rcpt", "boss"}}), ignore("staff", {{"rcpt", "alice@* bob@*"}}),
                ignore("null", {{"from", "<>"}})});
    const std::vector<RecipientFacts> all = {ours("alice"), ours("boss"), ours("carol"),
                                             ours("bob")};
    const Verdict verdict = asked.decide(message("a@b", all), nullptr, kNow);
    check("ignore/rule/staff honour/rule/boss honour/no rule/- ignore/rule/staff", shown(verdict));
    CPPUNIT_ASSERT(verdict.scope == QuotaScope::kListed);
    check("ignore/rule/staff honour/rule/boss ignore/rule/null ignore/rule/staff",
          decided(asked, message("", all)));
  }

  void scopeIsEverybodyOnlyWhenEveryRecipientIgnoresTheQuota() {
    const Policy asked =
        policy({ignore("alice", {{"rcpt", "alice"}}), ignore("bob", {{"rcpt", "bob"}})});
    const auto scope = [&](std::vector<RecipientFacts> recipients) {
      return asked.decide(message("a@b", std::move(recipients)), nullptr, kNow).scope;
    };
    CPPUNIT_ASSERT(scope({ours("alice")}) == QuotaScope::kEverybody);
    CPPUNIT_ASSERT(scope({ours("alice"), ours("bob")}) == QuotaScope::kEverybody);
    CPPUNIT_ASSERT(scope({ours("alice"), ours("carol")}) == QuotaScope::kListed);
    CPPUNIT_ASSERT(scope({ours("carol"), ours("alice")}) == QuotaScope::kListed);
    CPPUNIT_ASSERT(scope({ours("carol")}) == QuotaScope::kNobody);
  }

  void scopeIsNotEverybodyWithARecipientOfAnotherMailer() {
    const Policy asked = policy({ignore("all", {{"from", "*"}})});
    const Verdict mixed =
        asked.decide(message("a@b", {ours("alice"), elsewhere("bob")}), nullptr, kNow);
    check("ignore/rule/all honour/other mailer/-", shown(mixed));
    CPPUNIT_ASSERT(mixed.tagged);
    CPPUNIT_ASSERT(mixed.scope == QuotaScope::kListed);
    const Verdict other = asked.decide(message("a@b", {elsewhere("bob")}), nullptr, kNow);
    CPPUNIT_ASSERT(!other.tagged);
    CPPUNIT_ASSERT(other.scope == QuotaScope::kNobody);
    // The mailer is unknown.
    const Verdict untold = asked.decide(message("a@b", {{"a@b", "a", ""}}), nullptr, kNow);
    check("honour/other mailer/-", shown(untold));
    CPPUNIT_ASSERT(!untold.tagged);
    CPPUNIT_ASSERT(asked.reads_tags({"", "", "CyrusV2"}));
    CPPUNIT_ASSERT(!asked.reads_tags({"", "", "cyrusv2x"}));
  }

  void rulesAreNotUsedForRecipientsOfAnotherMailer() {
    const Policy asked = policy({ignore("all", {{"from", "*"}}, "1/day")});
    Limiter limiter;
    check("honour/other mailer/-", decided(asked, message("a@b", {elsewhere("bob")}), &limiter));
    check("ignore/rule/all", decided(asked, message("a@b", {ours("bob")}), &limiter));
  }

  void overTheLimitHonoursTheQuota() {
    const Policy asked = policy({ignore("few", {{"rcpt", "alice bob"}}, "2/hour")});
    Limiter limiter;
    const MessageFacts asks = message("a@b", {ours("alice"), ours("carol"), ours("bob")});
    for (int i = 0; i < 2; ++i) {
      check("ignore/rule/few honour/no rule/- ignore/rule/few", decided(asked, asks, &limiter));
    }
    const Verdict over = asked.decide(asks, &limiter, kNow);
    check("honour/over limit/few honour/no rule/- honour/over limit/few", shown(over));
    CPPUNIT_ASSERT(over.tagged);
    CPPUNIT_ASSERT(over.scope == QuotaScope::kNobody);
    MessageFacts another = asks;
    another.sender = "c@d";
    check("ignore/rule/few honour/no rule/- ignore/rule/few", decided(asked, another, &limiter));
    check("ignore/rule/few honour/no rule/- ignore/rule/few",
          shown(asked.decide(asks, &limiter, kNow + std::chrono::hours(1))));
  }

  void messageIsCountedOnceForAllItsRecipients() {
    const Policy asked = policy({ignore("few", {{"from", "*"}}, "2/hour")});
    Limiter limiter;
    const MessageFacts asks =
        message("a@b", {ours("u1"), ours("u2"), ours("u3"), ours("u4"), ours("u5")});
    for (const bool within : {true, true, false}) {
      CPPUNIT_ASSERT((asked.decide(asks, &limiter, kNow).scope == QuotaScope::kEverybody) ==
                     within);
    }
  }

  void onlyRulesThatIgnoreAQuotaAreCounted() {
    const Policy asked = policy({honour("boss", {{"rcpt", "boss"}}),
                                 ignore("alice", {{"rcpt", "alice boss"}}, "1/hour"),
                                 ignore("all", {{"from", "*"}}, "2/hour")});
    Limiter limiter;
    const MessageFacts to_boss = message("a@b", {ours("boss")});
    const MessageFacts to_both = message("a@b", {ours("alice"), ours("bob")});
    check("honour/rule/boss", decided(asked, to_boss, &limiter));
    check("ignore/rule/all", decided(asked, message("a@b", {ours("bob")}), &limiter));
    check("ignore/rule/alice ignore/rule/all", decided(asked, to_both, &limiter));
    check("honour/over limit/alice honour/over limit/all", decided(asked, to_both, &limiter));
    const Policy refusing = policy({rule("no", Quota::kHonour, {{"from", "*"}}, "1/hour")});
    check("honour/rule/no", decided(refusing, to_boss, &limiter));
    check("honour/rule/no", decided(refusing, to_boss, &limiter));
  }

  void overTheLimitNoLaterRuleIsUsed() {
    const Policy asked =
        policy({ignore("few", {{"from", "a@*"}}, "1/hour"), ignore("all", {{"from", "*"}})});
    Limiter limiter;
    check("ignore/rule/few", decided(asked, message("a@b", {ours("alice")}), &limiter));
    check("honour/over limit/few", decided(asked, message("a@b", {ours("alice")}), &limiter));
  }

  void nothingIsCountedWithoutALimiter() {
    const Policy asked = policy({ignore("few", {{"from", "*"}}, "1/hour")});
    for (int i = 0; i < 3; ++i) {
      check("ignore/rule/few", decided(asked, message("a@b", {ours("alice")})));
    }
  }

  void limitsCountTheProvenIdentityOtherwiseTheSender() {
    MessageFacts facts;
    check("client local", lmtpq::milter::limited_sender(facts));
    facts.client.address = Address::parse("2001:DB8::1");
    check("client 2001:db8::1", lmtpq::milter::limited_sender(facts));
    facts.sender = "Notice@Example.org";
    check("from notice@example.org", lmtpq::milter::limited_sender(facts));
    facts.tls_subject = "/CN=Host";
    check("tls-subject /cn=host", lmtpq::milter::limited_sender(facts));
    facts.auth = "Alice";
    check("auth alice", lmtpq::milter::limited_sender(facts));
  }

  void mismatchIsTheFirstConditionThatDoesNotHold() {
    const Rule asked = ignore("r", {{"from", "a@*"}, {"rcpt", "alice"}, {"header X-A", "yes"}});
    MessageFacts facts = message("a@b", {});
    CPPUNIT_ASSERT(asked.mismatch(facts, ours("bob")) == &asked.conditions[1]);
    CPPUNIT_ASSERT(asked.mismatch(facts, ours("alice")) == &asked.conditions[2]);
    facts.headers = {{"X-A", "yes"}};
    CPPUNIT_ASSERT(asked.mismatch(facts, ours("alice")) == nullptr);
    facts.sender = "";
    CPPUNIT_ASSERT(asked.mismatch(facts, ours("bob")) == &asked.conditions[0]);
  }

  // --explain must show the rule that decides.
  void decideAndMismatchAgree() {
    const Policy asked =
        policy({ignore("two", {{"rcpt", "u1* u2*"}, {"header X-A", "yes"}}),
                honour("sender", {{"from", "bad@*"}, {"rcpt", "*3"}}),
                ignore("size", {{"max-size", "100"}, {"rcpt", "*1 *3"}}),
                honour("rest", {{"from", "worse@*"}}), ignore("last", {{"rcpt", "u4*"}})});
    const std::vector<RecipientFacts> recipients = {ours("u1"), ours("u2"), ours("u3"), ours("u4"),
                                                    ours("u5")};
    for (const char* sender : {"", "bad@b", "worse@b"}) {
      for (const char* header : {"yes", "no"}) {
        for (const std::uint64_t size : {100U, 101U}) {
          MessageFacts facts = message(sender, recipients);
          facts.headers = {{"X-A", header}};
          facts.size = size;
          const Verdict verdict = asked.decide(facts, nullptr, kNow);
          for (std::size_t i = 0; i < recipients.size(); ++i) {
            const Rule* first = nullptr;
            for (const Rule& one : asked.rules()) {
              if (first == nullptr && one.mismatch(facts, recipients[i]) == nullptr) {
                first = &one;
              }
            }
            CPPUNIT_ASSERT(verdict.recipients.at(i).rule == first);
          }
        }
      }
    }
  }

  void headerNamesListEachNameOfTheConditionsOnce() {
    const Policy asked = policy({ignore("a", {{"header X-B", "1"}, {"from", "*"}}),
                                 honour("b", {{"header X-A", "1"}, {"header x-b", "2"}})});
    CPPUNIT_ASSERT((asked.header_names() == std::vector<std::string>{"X-B", "X-A"}));
    CPPUNIT_ASSERT(policy({ignore("a", {{"from", "*"}})}).header_names().empty());
  }

  void summaryShowsTheWholeRule() {
    check("ignore: client = 192.0.2.1, from = notice@*, limit = 100/hour",
          ignore("r", {{"client", "192.0.2.1"}, {"from", "notice@*"}}, "100/h").summary());
    check("honour: header X-A = yes", honour("r", {{"header X-A", "yes"}}).summary());
    check("honour: every message", honour("r", {}).summary());
  }

  void anyoneCanMatchARuleWithoutProof() {
    const Conditions texts = {
        {"from", "a@b"}, {"rcpt", "c@d"}, {"header X-A", "y"}, {"max-size", "1"}};
    CPPUNIT_ASSERT(ignore("r", texts).anyone_can_match());
    CPPUNIT_ASSERT(ignore("r", {{"client", "0.0.0.0/0 ::/0"}}).anyone_can_match());
    CPPUNIT_ASSERT(ignore("r", texts, "1/day").anyone_can_match());
    CPPUNIT_ASSERT(!honour("r", texts).anyone_can_match());
    for (const char* name : {"client", "auth", "tls-subject"}) {
      Conditions proved = texts;
      proved.emplace_back(name, "192.0.2.1");
      CPPUNIT_ASSERT_MESSAGE(name, !ignore("r", proved).anyone_can_match());
    }
  }

  // Matching the headers for each recipient would take a very long time.
  void headersAreMatchedOncePerMessageNotPerRecipient() {
    std::vector<Rule> rules;
    for (int i = 0; i < 99; ++i) {
      rules.push_back(ignore("r", {{"header X-A", "*a*a*b"}, {"rcpt", "nobody@*"}}));
    }
    rules.push_back(ignore("last", {{"rcpt", "u*"}, {"header X-A", "a*"}}));
    MessageFacts facts;
    facts.headers = {{"X-A", std::string(8 * 1024, 'a')}};
    for (int i = 0; i < 20'000; ++i) {
      facts.recipients.push_back(ours("u" + std::to_string(i)));
    }
    const Verdict verdict = policy(std::move(rules)).decide(facts, nullptr, kNow);
    CPPUNIT_ASSERT(verdict.scope == QuotaScope::kEverybody);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PolicyTest);
