#include "mailer/message/over_quota.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Reply reply_of(const std::string& lines) {
  ReplyParser parser;
  const std::string bytes = lines + "\r\n";
  std::string_view rest = bytes;
  CPPUNIT_ASSERT_MESSAGE(lines, parser.parse(rest) == ReplyParser::Result::kReply);
  return parser.take();
}

}  // namespace

class OverQuotaTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OverQuotaTest);
  CPPUNIT_TEST(theEnhancedCodeDecides);
  CPPUNIT_TEST(withoutAnEnhancedCodeTheTextDecides);
  CPPUNIT_TEST(anAddressIsNoText);
  CPPUNIT_TEST(onlyARefusalOfTheRecipientIsOverQuota);
  CPPUNIT_TEST(aPolicyChangesTheCodesAndKeepsTheText);
  CPPUNIT_TEST_SUITE_END();

  void theEnhancedCodeDecides() {  // trap: two-meanings-of-452
    const struct {
      const char* said;
      bool full;
    } rows[] = {
        {"452 4.2.2 Over quota", true},
        {"552 5.2.2 <bob> Quota exceeded (mailbox for user is full)", true},
        {"452 4.2.2 x", true},
        {"550 5.2.2 x", true},
        {"554 5.2.2 x", true},
        {"422 4.2.2 x", true},
        {"452-4.2.2 Over", true},
        {"452-Sorry", true},
        {"552-5.3.4 Sorry", true},  // the last code of a reply counts
        {"452-5.2.1 Sorry", true},  // one of the reply's class counts first
        {"452 5.2.2 x", true},
        {"552 4.2.2 x", true},
        {"452 4.2.2\tx", true},
        {"552  5.2.2\t\tx", true},
        {"552 4.3.1 over quota", false},
        {"452 5.3.1 over quota", false},
        {"452 4.3.1\tover quota", false},
        {"552 5.0.0 over quota", false},
        {"250 5.2.2 over quota", false},
        {"452 4.5.3 Too many recipients, over quota", false},
        {"452 4.3.1 Mailbox over quota, try again later", false},
        {"552 5.3.4 Message exceeds quota", false},
        {"552 5.2.3 Message size exceeds fixed maximum", false},
        {"450 4.2.1 Mailbox full", false},
        {"250 2.2.2 Over quota", false},
    };
    for (const auto& row : rows) {
      const std::string said = row.said;
      const std::string code = said.substr(0, 3);
      const std::string last = code + ' ' + code[0] + ".2.2 x";
      const std::string whole = said[3] == '-' ? said + "\r\n" + last : said;
      CPPUNIT_ASSERT_EQUAL_MESSAGE(said, row.full, over_quota(reply_of(whole)));
    }
  }

  void withoutAnEnhancedCodeTheTextDecides() {
    const struct {
      const char* said;
      bool full;
    } rows[] = {
        {"452 Over quota", true},
        {"552 OVERQUOTA", true},
        {"550 bob is over-quota", true},
        {"452 bob: mailbox quota exceeded for this recipient", true},
        {"552 message would exceed maximum mailbox size for this recipient", true},
        {"452 User has exceeded its quota", true},
        {"450 Mailbox full", true},
        {"552 The mailbox is full", true},
        {"451 2.2.2 Over quota", true},  // no code of a refusal
        {"452 2.2.2 x", false},
        {"452 Over\tquota", true},
        {"452-Sorry, bob's\r\n452-mailbox is\r\n452 full", true},
        {"452 Insufficient system storage", false},
        {"452 Too many recipients", false},
        {"452 disk full", false},
        {"451 quota server unavailable", false},
        {"552 Message size exceeds maximum", false},
        {"552", false},
        {"250 Over quota", false},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, row.full, over_quota(reply_of(row.said)));
    }
  }

  // Stores repeat the recipient's address.
  void anAddressIsNoText() {
    const struct {
      const char* said;
      bool full;
    } rows[] = {
        {"550 <over quota@example.org> unknown", false},
        {"550 <overquota> unknown", false},
        {"550 <\"mailbox full\"@example.org>: unknown", false},
        {"550 <\"a>over quota\"@example.org>: unknown", false},
        {"550 <\"a\\\">over quota\"@example.org>: unknown", false},
        {"550 <over quota", false},
        {"550 over-quota@example.org: unknown", false},
        {"550 unknown: overquota@example.org", false},
        {"550 (over-quota@example.org) is unknown", false},
        {"550 \"over quota\"@example.org is unknown", false},
        {"550 unknown: \"over quota\"@example.org", false},
        {"550-<over quota@example.org>\r\n550 unknown", false},
        {"552 <over quota@example.org> is over quota", true},
        {"552 over-quota@example.org is over quota", true},
        {"552 <bob@example.org>: mailbox full", true},
        {"552 mailbox full: bob@example.org", true},
        {"552 mailbox full: \"bob\"@example.org", true},
        {"552 \"mailbox full\"", true},
        {"552 5\" mailbox full", true},
        {"552 over<bob> quota", false},
        {"552 over bob@example.org quota", false},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, row.full, over_quota(reply_of(row.said)));
    }
    // Only what is kept of a long reply counts, as in a delivery.
    const std::string long_text(kMaxReplyLine, 'x');
    CPPUNIT_ASSERT(!over_quota(reply_of("552 " + long_text + " over quota")));
  }

  void onlyARefusalOfTheRecipientIsOverQuota() {
    const struct {
      Awaited stage;
      const char* said;
      bool full;
    } rows[] = {
        {Awaited::kRcpt, "452 4.2.2 Over quota", true},
        {Awaited::kData, "452 4.2.2 Over quota", true},
        {Awaited::kFinal, "552 5.2.2 Over quota", true},
        {Awaited::kMail, "452 4.2.2 Over quota", false},
        {Awaited::kRcpt, "421 4.2.2 Over quota", false},
        {Awaited::kFinal, "421 4.2.2 Over quota", false},
        {Awaited::kRcpt, "530 5.2.2 Over quota", false},
        {Awaited::kRcpt, "503 5.2.2 Over quota", false},
        {Awaited::kRcpt, "250 2.2.2 Over quota", false},
        {Awaited::kMail, "452 Over quota", false},
        {Awaited::kRcpt, "421 Over quota", false},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, row.full,
                                   outcome_of(Answer{row.stage, reply_of(row.said)}).full);
    }
  }

  static std::string applied(const char* policy, int age, const char* said) {
    const Outcome made = apply(OverQuotaPolicy::parse(policy), std::chrono::seconds(age),
                               outcome_of(Answer{Awaited::kRcpt, reply_of(said)}));
    CPPUNIT_ASSERT_EQUAL(std::string(said), reply_text(made));
    constexpr const char* kActions[] = {"store", "defer", "refuse"};
    return std::string(kFateNames[static_cast<int>(made.fate)]) + ' ' + std::to_string(made.code) +
           ' ' + made.status.text() + ' ' + made.text + ' ' +
           kActions[static_cast<int>(made.over_quota)];
  }

  void aPolicyChangesTheCodesAndKeepsTheText() {
    const struct {
      const char* policy;
      int age;
      const char* said;
      const char* becomes;
    } rows[] = {
        {"store", 9, "452 4.2.2 Full", "deferred 452 4.2.2 Full store"},
        {"store", 9, "552 5.2.2 Full", "refused 552 5.2.2 Full store"},
        {"store", 9, "554 5.2.2 Full", "refused 554 5.2.2 Full store"},
        {"defer", 9, "452 4.2.2 Full", "deferred 452 4.2.2 Full defer"},
        {"defer", 9, "552 5.2.2 Full", "deferred 452 4.2.2 Full defer"},
        {"defer", 9, "450 mailbox full", "deferred 452 4.2.2 mailbox full defer"},
        {"store", 9, "452 5.2.2 Full", "deferred 452 4.2.2 Full store"},
        {"defer", 9, "452 5.2.2 Full", "deferred 452 4.2.2 Full defer"},
        {"refuse", 9, "452 5.2.2 Full", "refused 552 5.2.2 Full refuse"},
        {"defer", 9, "550 4.2.2 Full", "deferred 452 4.2.2 Full defer"},
        {"refuse", 0, "452 4.2.2 Full", "refused 552 5.2.2 Full refuse"},
        {"refuse", 0, "552 5.2.2 Full", "refused 552 5.2.2 Full refuse"},
        {"refuse", 0, "550 5.2.2 Full", "refused 552 5.2.2 Full refuse"},
        {"defer:10s", 0, "552 5.2.2 Full", "deferred 452 4.2.2 Full defer"},
        {"defer:10s", 9, "452 4.2.2 Full", "deferred 452 4.2.2 Full defer"},
        {"defer:10s", 10, "452 4.2.2 Full", "refused 552 5.2.2 Full refuse"},
        {"defer:10s", 99, "452 4.2.2 Full", "refused 552 5.2.2 Full refuse"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.becomes), applied(row.policy, row.age, row.said));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OverQuotaTest);
