#include "milter/policy/rule_condition.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/options/option_reader.h"

using lmtpq::Address;
using lmtpq::milter::ConditionKind;
using lmtpq::milter::MessageFacts;
using lmtpq::milter::RecipientFacts;
using lmtpq::milter::RuleCondition;

class RuleConditionTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RuleConditionTest);
  CPPUNIT_TEST(unknownNamesAreNoConditions);
  CPPUNIT_TEST(clientMatchesAnyOfTheNetworks);
  CPPUNIT_TEST(localMatchesOnlyClientsWithoutAnAddress);
  CPPUNIT_TEST(senderMatchesAnyOfThePatterns);
  CPPUNIT_TEST(recipientMatchesAsGivenOrAsResolved);
  CPPUNIT_TEST(authenticatedUserMatchesAnyOfThePatterns);
  CPPUNIT_TEST(subjectIsOnePatternThatMayHaveBlanksAndCommas);
  CPPUNIT_TEST(headerHoldsWhenAnyFieldOfThatNameMatches);
  CPPUNIT_TEST(maxSizeIsInclusive);
  CPPUNIT_TEST(unknownFactMatchesNoPattern);
  CPPUNIT_TEST(textIsAsWrittenInTheFile);
  CPPUNIT_TEST(factsAreEscaped);
  CPPUNIT_TEST(onlyClientUserAndSubjectAreNotForgeable);
  CPPUNIT_TEST(errorsSayWhatWasExpected);
  CPPUNIT_TEST_SUITE_END();

  static RuleCondition condition(std::string_view name, std::string_view value) {
    auto made = RuleCondition::parse(name, value);
    CPPUNIT_ASSERT_MESSAGE(std::string(name), made.has_value());
    return *made;
  }

  static bool holds(std::string_view name, std::string_view value, const MessageFacts& message,
                    const RecipientFacts& recipient = {}) {
    return condition(name, value).holds(message, recipient);
  }

  static MessageFacts from_client(const char* address) {
    MessageFacts message;
    message.client.address = Address::parse(address);
    return message;
  }

  static MessageFacts from_sender(const char* sender) {
    MessageFacts message;
    message.sender = sender;
    return message;
  }

  void unknownNamesAreNoConditions() {
    const struct {
      const char* name;
      const char* value;
      ConditionKind kind;
    } cases[] = {
        {"client", "192.0.2.1", ConditionKind::kClient},
        {"auth", "alice", ConditionKind::kAuth},
        {"tls-subject", "/CN=a", ConditionKind::kTlsSubject},
        {"from", "a@b", ConditionKind::kFrom},
        {"rcpt", "a@b", ConditionKind::kRcpt},
        {"header X-A", "yes", ConditionKind::kHeader},
        {"max-size", "64k", ConditionKind::kMaxSize},
    };
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_MESSAGE(row.name, condition(row.name, row.value).kind() == row.kind);
    }
    for (const char* name : {"", " ", "quota", "limit", "From", "from x", "senders", "head",
                             "headers X-A", "header-X-A", "client 192.0.2.1", "max_size"}) {
      CPPUNIT_ASSERT_MESSAGE(name, !RuleCondition::parse(name, "x"));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("X-A"), condition("header \t X-A", "y").header_name());
  }

  void clientMatchesAnyOfTheNetworks() {
    const char* value = "192.0.2.0/24 2001:db8::/32,198.51.100.7";
    for (const char* client : {"192.0.2.200", "2001:db8::7", "198.51.100.7", "::ffff:192.0.2.1"}) {
      CPPUNIT_ASSERT_MESSAGE(client, holds("client", value, from_client(client)));
    }
    for (const char* client : {"192.0.3.1", "2001:db9::7", "198.51.100.8"}) {
      CPPUNIT_ASSERT_MESSAGE(client, !holds("client", value, from_client(client)));
    }
    CPPUNIT_ASSERT(!holds("client", value, {}));
    CPPUNIT_ASSERT(!holds("client", "0.0.0.0/0 ::/0", {}));
  }

  void localMatchesOnlyClientsWithoutAnAddress() {
    CPPUNIT_ASSERT(holds("client", "local", {}));
    CPPUNIT_ASSERT(holds("client", "192.0.2.1 local", {}));
    CPPUNIT_ASSERT(!holds("client", "local", from_client("127.0.0.1")));
    CPPUNIT_ASSERT(!holds("client", "local", from_client("::1")));
  }

  void senderMatchesAnyOfThePatterns() {
    const struct {
      const char* value;
      const char* sender;
      bool holds;
    } cases[] = {
        {"notice@example.org", "notice@example.org", true},
        {"notice@example.org", "Notice@Example.ORG", true},
        {"notice@example.org", "alice@example.org", false},
        {"a@b c@d", "c@d", true},
        {"a@b, c@d", "c@d", true},
        {"a@b, c@d", "a@b", true},
        {"a@b c@d", "a@b c@d", false},
        {"*@example.org", "x@example.org", true},
        {"*@example.org", "", false},
        {"<notice@example.org>", "notice@example.org", true},
        {"<>", "", true},
        {"<>", "a@b", false},
        {"<> a@b", "a@b", true},
        {"#@[]", "#@[]", true},
        {"*", "a@b", true},
        {"*", "", true},
        {"?*", "", false},
    };
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(row.value) + " and " + row.sender, row.holds,
                                   holds("from", row.value, from_sender(row.sender)));
    }
  }

  void recipientMatchesAsGivenOrAsResolved() {
    const RecipientFacts recipient{"postmaster@example.org", "alice", "cyrusv2"};
    for (const char* value : {"postmaster@*", "ALICE", "bob alice", "<alice>", "*"}) {
      CPPUNIT_ASSERT_MESSAGE(value, holds("rcpt", value, {}, recipient));
    }
    for (const char* value : {"postmaster", "alice@example.org", "cyrusv2", "bob"}) {
      CPPUNIT_ASSERT_MESSAGE(value, !holds("rcpt", value, {}, recipient));
    }
  }

  void authenticatedUserMatchesAnyOfThePatterns() {
    MessageFacts message;
    message.auth = "backup-7";
    CPPUNIT_ASSERT(holds("auth", "alice backup-*", message));
    CPPUNIT_ASSERT(holds("auth", "*", message));
    CPPUNIT_ASSERT(!holds("auth", "alice bob", message));
  }

  void subjectIsOnePatternThatMayHaveBlanksAndCommas() {
    MessageFacts message;
    message.tls_subject = "/O=Example, Inc./CN=notice server";
    CPPUNIT_ASSERT(holds("tls-subject", "/O=Example, Inc./CN=notice *", message));
    CPPUNIT_ASSERT(!holds("tls-subject", "/O=other */O=Example, Inc./CN=notice server", message));
    CPPUNIT_ASSERT(!holds("tls-subject", "/O=Example,", message));
    message.sender = "/O=Example";
    CPPUNIT_ASSERT(!holds("tls-subject", "/O=Example", message));
  }

  void headerHoldsWhenAnyFieldOfThatNameMatches() {
    MessageFacts message;
    message.headers = {{"X-Other", "yes"}, {"x-notice", "no"}, {"X-NOTICE", "Yes, please"}};
    CPPUNIT_ASSERT(holds("header X-Notice", "yes, p*", message));
    CPPUNIT_ASSERT(holds("header X-Notice", "no", message));
    CPPUNIT_ASSERT(!holds("header X-Notice", "yes", message));
    CPPUNIT_ASSERT(!holds("header X-Absent", "*", message));
    message.headers = {{"X-Notice", ""}};
    CPPUNIT_ASSERT(holds("header X-Notice", "*", message));
    CPPUNIT_ASSERT(!holds("header X-Notice", "?*", message));
  }

  void maxSizeIsInclusive() {
    MessageFacts message;
    CPPUNIT_ASSERT(!holds("max-size", "64k", message));
    message.size = 65536;
    CPPUNIT_ASSERT(holds("max-size", "64k", message));
    message.size = 65537;
    CPPUNIT_ASSERT(!holds("max-size", "64k", message));
    message.size = 0;
    CPPUNIT_ASSERT(holds("max-size", "0", message));
  }

  void unknownFactMatchesNoPattern() {
    for (const char* name : {"auth", "tls-subject", "rcpt", "header X-A"}) {
      CPPUNIT_ASSERT_MESSAGE(name, !holds(name, "*", {}));
    }
    CPPUNIT_ASSERT(holds("rcpt", "*", {}, {"", "alice", ""}));
    CPPUNIT_ASSERT(holds("rcpt", "*", {}, {"alice", "", ""}));
  }

  void textIsAsWrittenInTheFile() {
    CPPUNIT_ASSERT_EQUAL(std::string("from = Notice@* <>"),
                         condition("from", "Notice@* <>").text());
    CPPUNIT_ASSERT_EQUAL(std::string("header X-A = a  b"), condition("header  X-A", "a  b").text());
    CPPUNIT_ASSERT_EQUAL(std::string("max-size = 64k"), condition("max-size", " 64k\t").text());
  }

  void factsAreEscaped() {
    MessageFacts message = from_client("::ffff:192.0.2.1");
    message.sender = "a\n\"b\x1b";
    message.headers = {{"X-A", "1"}, {"X-B", "2"}, {"x-a", "3\r"}, {"x-a", ""}};
    const RecipientFacts recipient{"a@b", "a", "cyrusv2"};
    const struct {
      const char* name;
      const char* value;
      const char* unknown;
      const char* known;
    } cases[] = {
        {"client", "local", "client has no address", "client is 192.0.2.1"},
        {"auth", "x", "auth is not known", "auth is not known"},
        {"tls-subject", "x", "tls-subject is not known", "tls-subject is not known"},
        {"from", "x", "from is <>", "from is a\\n\\\"b\\x1b"},
        {"rcpt", "x", "rcpt is not known", "rcpt is a@b, resolved to a"},
        {"header X-A", "x", "there is no X-A", "X-A is 1 and 3\\r and empty"},
        {"max-size", "1", "size is not known", "size is not known"},
    };
    for (const auto& row : cases) {
      const RuleCondition shown = condition(row.name, row.value);
      CPPUNIT_ASSERT_EQUAL(std::string(row.unknown), shown.fact({}, {}));
      CPPUNIT_ASSERT_EQUAL(std::string(row.known), shown.fact(message, recipient));
    }
    message.auth = "alice";
    message.tls_subject = "/CN=a";
    message.size = 7;
    CPPUNIT_ASSERT_EQUAL(std::string("auth is alice"), condition("auth", "x").fact(message, {}));
    CPPUNIT_ASSERT_EQUAL(std::string("tls-subject is /CN=a"),
                         condition("tls-subject", "x").fact(message, {}));
    CPPUNIT_ASSERT_EQUAL(std::string("size is 7"), condition("max-size", "1").fact(message, {}));
  }

  void onlyClientUserAndSubjectAreNotForgeable() {
    const struct {
      const char* name;
      const char* value;
      bool forgeable;
    } cases[] = {
        {"client", "192.0.2.1", false},
        {"client", "local", false},
        {"client", "0.0.0.0/0", true},
        {"client", "::/0", true},
        {"client", "::ffff:0.0.0.0/96", true},
        {"client", "192.0.2.1 ::/0", true},
        {"auth", "*", false},
        {"tls-subject", "*", false},
        {"from", "a@b", true},
        {"rcpt", "a@b", true},
        {"header X-A", "secret", true},
        {"max-size", "1", true},
    };
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(row.name) + " = " + row.value, row.forgeable,
                                   condition(row.name, row.value).forgeable());
    }
  }

  void errorsSayWhatWasExpected() {
    const std::string client = "expected addresses, networks such as 192.0.2.0/24, or local";
    const std::string from = "expected addresses, patterns such as *@example.org, or <>";
    const std::string rcpt = "expected addresses or patterns such as *@example.org";
    const std::string header = "expected header NAME, one field's name without a colon";
    const std::string subject = "expected one pattern such as */CN=notice.example.org";
    const struct {
      const char* name;
      const char* value;
      std::string expected;
    } cases[] = {
        {"client", "", client},
        {"client", " , ", client},
        {"client", "192.0.2.1 192.0.2.1/24", "\"192.0.2.1/24\": " + client},
        {"client", "mail.example.org", client},
        {"client", "Local", client},
        {"client", "a\"b", client},
        {"auth", "", "expected names or patterns such as backup-*"},
        {"auth", "bob # the other one", "expected names or patterns such as backup-*"},
        {"auth", "bob #", "expected names or patterns such as backup-*"},
        {"tls-subject", " \t", subject},
        {"tls-subject", "\"/CN=x\"", "expected a pattern without quotes around it"},
        {"header X-A", " \"yes\" ", "expected a pattern without quotes around it"},
        {"from", "a@b #comment", from},
        {"from", "\"a\"@b", from},
        {"from", "'a@b'", from},
        {"from", "a\\@b", from},
        {"from", "a@b;c@d", from},
        {"from", "<a@b", from},
        {"from", "a@b>", from},
        {"from", "@example.org", from},
        {"rcpt", "bob (the other)", rcpt},
        {"from", "", from},
        {"from", ",", from},
        {"rcpt", "", rcpt},
        {"rcpt", "a@b <>", rcpt},
        {"header X-A", " ", "expected one pattern such as yes*"},
        {"header", "yes", header},
        {"header X-A:", "yes", header},
        {"header X-A X-B", "yes", header},
        {"header X-\xc3\xa4", "yes", header},
        {"header X-\x7f", "yes", header},
        {"max-size", "", "expected a size such as 4096, 64k or 30M"},
        {"max-size", "64 k", "expected a size such as 4096, 64k or 30M"},
    };
    for (const auto& row : cases) {
      try {
        RuleCondition::parse(row.name, row.value);
        CPPUNIT_FAIL(std::string("no error: ") + row.name + " = " + row.value);
      } catch (const lmtpq::ConfigError& error) {
        CPPUNIT_ASSERT_EQUAL(row.expected, std::string(error.what()));
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RuleConditionTest);
