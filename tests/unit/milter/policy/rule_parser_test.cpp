#include "milter/policy/rule_parser.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/options/option_reader.h"

using lmtpq::milter::ConditionKind;
using lmtpq::milter::Quota;
using lmtpq::milter::Rule;

class RuleParserTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RuleParserTest);
  CPPUNIT_TEST(readsEveryKey);
  CPPUNIT_TEST(keepsTheOrderOfTheFile);
  CPPUNIT_TEST(valuesAreReadAsWritten);
  CPPUNIT_TEST(severalHeadersAreSeveralConditions);
  CPPUNIT_TEST(honourNeedsNoCondition);
  CPPUNIT_TEST(noSectionsGiveNoRules);
  CPPUNIT_TEST(errorsHaveThePlaceAndWhatWasExpected);
  CPPUNIT_TEST(theFirstErrorOfTheFileIsReported);
  CPPUNIT_TEST_SUITE_END();

  static std::vector<Rule> read(const std::string& text) {
    lmtpq::OptionReader options({}, {{"rule.", lmtpq::milter::rule_keys()}});
    options.take_text(text, "milter.conf");
    return lmtpq::milter::parse_rules(options.free_sections());
  }

  static std::string error(const std::string& text) {
    try {
      read(text);
    } catch (const lmtpq::ConfigError& error) {
      return error.what();
    }
    return "no error: " + text;
  }

  void readsEveryKey() {
    const auto rules = read(
        "[rule.notices]\n"
        "client = 127.0.0.1 192.0.2.0/24\n"
        "auth = backup\n"
        "tls-subject = /O=Example, Inc./CN=notice\n"
        "from = notice@example.org\n"
        "rcpt = *@example.org\n"
        "header X-Notice = yes*\n"
        "max-size = 64k\n"
        "limit = 100/hour\n"
        "over-quota = defer:36h\n"
        "quota = ignore\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, rules.size());
    CPPUNIT_ASSERT_EQUAL(std::string("notices"), rules[0].name);
    CPPUNIT_ASSERT(rules[0].quota == Quota::kIgnore);
    CPPUNIT_ASSERT(rules[0].limit && rules[0].limit->count == 100);
    CPPUNIT_ASSERT(rules[0].over_quota == lmtpq::OverQuotaPolicy::parse("defer:36h"));
    CPPUNIT_ASSERT_EQUAL(
        std::string("ignore: client = 127.0.0.1 192.0.2.0/24, auth = backup, tls-subject = "
                    "/O=Example, Inc./CN=notice, from = notice@example.org, rcpt = *@example.org, "
                    "header X-Notice = yes*, max-size = 64k, limit = 100/hour, over-quota = "
                    "defer:36h"),
        rules[0].summary());
  }

  void keepsTheOrderOfTheFile() {
    const auto rules = read(
        "[rule.b]\nquota = ignore\nfrom = b@b\nauth = b\n"
        "[rule.a]\nquota = honour\n[rule.c]\nfrom = *\nquota = ignore\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, rules.size());
    CPPUNIT_ASSERT_EQUAL(std::string("b"), rules[0].name);
    CPPUNIT_ASSERT_EQUAL(std::string("a"), rules[1].name);
    CPPUNIT_ASSERT_EQUAL(std::string("c"), rules[2].name);
    CPPUNIT_ASSERT(rules[0].conditions.at(0).kind() == ConditionKind::kFrom);
    CPPUNIT_ASSERT(rules[0].conditions.at(1).kind() == ConditionKind::kAuth);
  }

  void valuesAreReadAsWritten() {
    const auto rules =
        read("[rule.a]\n  header  Subject  =   [#42] \"a\" = b ;  c  \nquota=ignore\n");
    CPPUNIT_ASSERT_EQUAL(std::string("header Subject = [#42] \"a\" = b ;  c"),
                         rules.at(0).conditions.at(0).text());
  }

  void severalHeadersAreSeveralConditions() {
    const auto rules = read("[rule.a]\nheader X-A = 1\nheader X-B = 1\nquota = ignore\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, rules.at(0).conditions.size());
    CPPUNIT_ASSERT_EQUAL(std::string("X-B"), rules[0].conditions[1].header_name());
  }

  void honourNeedsNoCondition() {
    const auto rules = read("[rule.a]\nquota = honour\n");
    CPPUNIT_ASSERT(rules.at(0).quota == Quota::kHonour);
    CPPUNIT_ASSERT(rules[0].conditions.empty() && !rules[0].limit);
  }

  void noSectionsGiveNoRules() { CPPUNIT_ASSERT(read("").empty()); }

  void errorsHaveThePlaceAndWhatWasExpected() {
    const std::string limit =
        "expected 1 or more per second, minute, hour or day, such as 100/hour";
    const std::string client = "expected addresses, networks such as 192.0.2.0/24, or local";
    const std::string once = "appears twice in the rule; keep one of them";
    const struct {
      const char* lines;
      std::string error;
    } cases[] = {
        {"quota = Ignore", "2: [rule.a] quota: \"Ignore\": expected ignore or honour"},
        {"quota =", "2: [rule.a] quota: \"\": expected ignore or honour"},
        {"quota = ignore\nquota = ignore", "3: [rule.a] quota: " + once},
        {"limit = many", "2: [rule.a] limit: \"many\": " + limit},
        {"limit =", "2: [rule.a] limit: \"\": " + limit},
        {"limit = 1/s\nlimit = 2/s", "3: [rule.a] limit: " + once},
        {"client =", "2: [rule.a] client: \"\": " + client},
        {"client = 10.0.0.1/8", "2: [rule.a] client: \"10.0.0.1/8\": " + client},
        {"client = local 10.0.0.1/8",
         "2: [rule.a] client: \"local 10.0.0.1/8\": \"10.0.0.1/8\": " + client},
        {"client = 10.0.0.0/8\nclient = local", "3: [rule.a] client: " + once},
        {"auth =", "2: [rule.a] auth: \"\": expected names or patterns such as backup-*"},
        {"auth = a\nauth = b", "3: [rule.a] auth: " + once},
        {"tls-subject =",
         "2: [rule.a] tls-subject: \"\": expected one pattern such as */CN=notice.example.org"},
        {"tls-subject = a\ntls-subject = b", "3: [rule.a] tls-subject: " + once},
        {"from =",
         "2: [rule.a] from: \"\": expected addresses, patterns such as *@example.org, or <>"},
        {"from = a\nfrom = b", "3: [rule.a] from: " + once},
        {"rcpt = <>",
         "2: [rule.a] rcpt: \"<>\": expected addresses or patterns such as *@example.org"},
        {"rcpt = a\nrcpt = b", "3: [rule.a] rcpt: " + once},
        {"header X-A =", "2: [rule.a] header X-A: \"\": expected one pattern such as yes*"},
        {"header = yes",
         "2: [rule.a] header: \"yes\": expected header NAME, one field's name without a colon"},
        {"header X-A: = yes",
         "2: [rule.a] header X-A:: \"yes\": expected header NAME, one field's name without a "
         "colon"},
        {"header X-A = a\nheader x-a = b", "3: [rule.a] header x-a: " + once},
        {"max-size = big",
         "2: [rule.a] max-size: \"big\": expected a size such as 4096, 64k or 30M"},
        {"max-size = 1\nmax-size = 1", "3: [rule.a] max-size: " + once},
        {"sender = \"a\"",
         "2: [rule.a]: unknown key sender; expected client, auth, tls-subject, from, rcpt, header "
         "NAME, max-size, limit, over-quota or quota"},
        {"over-quota = bounce\nquota = honour",
         "2: [rule.a] over-quota: \"bounce\": expected store, defer, defer:AGE (such as defer:3d) "
         "or refuse"},
        {"over-quota = store\nover-quota = store\nquota = honour",
         "3: [rule.a] over-quota: appears twice in the rule; keep one of them"},
        {"over-quota = store", "1: [rule.a] has no quota; add quota = ignore or quota = honour"},
        {"clinet = local", "2: [rule.a]: unknown key clinet; did you mean client?"},
        {"", "1: [rule.a] has no quota; add quota = ignore or quota = honour"},
        {"from = *\nlimit = 1/s", "1: [rule.a] has no quota; add quota = ignore or quota = honour"},
        {"from = *\nlimit = 1/s\nquota = honour",
         "1: [rule.a] has a limit, which needs quota = ignore"},
        {"quota = ignore", "1: [rule.a] has no condition; write from = * to match every message"},
        {"limit = 1/s\nquota = ignore",
         "1: [rule.a] has no condition; write from = * to match every message"},
    };
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL("milter.conf:" + row.error,
                           error(std::string("[rule.a]\n") + row.lines + "\n"));
    }
  }

  void theFirstErrorOfTheFileIsReported() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("milter.conf:5: [rule.b] quota: \"x\": expected ignore or honour"),
        error("[rule.a]\nfrom = *\nquota = ignore\n[rule.b]\nquota = x\nfrom =\n[rule.c]\n"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RuleParserTest);
