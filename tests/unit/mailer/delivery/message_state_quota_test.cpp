#include "common/tag/key_file.h"
#include "tests/unit/mailer/delivery/message_state_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

const std::string kFull = "452 4.2.2 Over quota\r\n";
const std::string kFullForGood = "552 5.2.2 Over quota\r\n";
constexpr const char* kPlain = "250-store\r\n250-SIZE 1000\r\n250 PIPELINING\r\n";

}  // namespace

// --ignore-quota=retry, and what --over-quota and a tag make of a refusal.
class MessageStateQuotaTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageStateQuotaTest);
  CPPUNIT_TEST(retryAsksForIgnoreQuotaAfterARefusalOnly);
  CPPUNIT_TEST(retryAlsoFollowsARefusalAfterEndOfData);
  CPPUNIT_TEST(retryEndsWithTheSecondAnswer);
  CPPUNIT_TEST(retryWithoutTheExtensionLeavesTheRefusal);
  CPPUNIT_TEST(retryGoesOnOverAnotherConnection);
  CPPUNIT_TEST(aRetryIsProgressForRecipientsThatWereTooMany);
  CPPUNIT_TEST(aPolicyDecidesAtRcptAndAfterEndOfData);
  CPPUNIT_TEST(aPolicyIsForRefusalsByQuotaOnly);
  CPPUNIT_TEST(theAgeIsThatOfTheTopmostReceivedField);
  CPPUNIT_TEST(theTagsPolicyComesBeforeTheListenersAndThatBeforeTheStores);
  CPPUNIT_TEST(aRetryComesBeforeThePolicy);
  CPPUNIT_TEST_SUITE_END();

  // "452 4.2.2 defer", for each recipient.
  static std::string fates(MessageStateFixture& fixture) {
    constexpr const char* kActions[] = {"store", "defer", "refuse"};
    std::string all;
    for (std::size_t i = 0; i < fixture.envelope().recipients.size(); ++i) {
      const Outcome& outcome = fixture.state().outcome(i);
      all += (i == 0 ? "" : ", ") + std::to_string(outcome.code) + ' ' + outcome.status.text() +
             ' ' + kActions[static_cast<int>(outcome.over_quota)];
    }
    return all;
  }

  void retryAsksForIgnoreQuotaAfterARefusalOnly() {
    MessageStateFixture fixture({"--ignore-quota=retry"});
    fixture.meet({kOk, kOk, kOk, kFull, "550 5.1.1 unknown\r\n", kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    CPPUNIT_ASSERT(fixture.heard().find("IGNOREQUOTA") == std::string::npos);
    check("alice sent 2.1.5 no, carol refused 5.1.1 no", fixture.fates());
    fixture.hear({kOk, kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check(
        "RSET | TRACE A1 | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<bob> IGNOREQUOTA | "
        "DATA",
        fixture.heard());
    check("alice sent 2.1.5 no, carol refused 5.1.1 no, bob sent 2.1.5 retried", fixture.fates());
    CPPUNIT_ASSERT(!fixture.state().undecided());
  }

  void retryAlsoFollowsARefusalAfterEndOfData() {
    MessageStateFixture fixture({"--ignore-quota=retry", "--trace=off"}, "", {"alice", "bob"});
    fixture.meet({kOk, kOk, kOk, kGo, kFullForGood + kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("bob sent 2.1.5 no", fixture.fates());
    fixture.hear({kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("RSET | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<alice> IGNOREQUOTA | DATA",
          fixture.heard());
    check("bob sent 2.1.5 no, alice sent 2.1.5 retried", fixture.fates());
  }

  void retryEndsWithTheSecondAnswer() {
    const struct {
      const char* second;
      const char* third;
      const char* fates;
    } rows[] = {
        {"452 4.2.2 Over quota", "", "alice deferred 4.2.2 ignored"},
        {"550 5.1.1 gone", "", "alice refused 5.1.1 retried"},
        // A store that refuses the parameter is asked a last time without it.
        {"501 5.5.4 parameter", "552 5.2.2 Over quota", "alice refused 5.2.2 refused"},
        {"501 5.5.4 parameter", "250 2.1.5 ok", "alice sent 2.1.5 refused"},
    };
    for (const auto& row : rows) {
      MessageStateFixture fixture({"--ignore-quota=retry", "--trace=off"}, "", {"alice"});
      fixture.meet({kOk, kFull});
      CPPUNIT_ASSERT(!fixture.transact());
      fixture.hear({kOk, kOk, row.second + std::string("\r\n")});
      CPPUNIT_ASSERT(!fixture.transact());
      if (row.third[0] != '\0') {
        CPPUNIT_ASSERT(fixture.state().undecided());
        fixture.hear({kOk, kOk, row.third + std::string("\r\n"), kGo, kSent});
        CPPUNIT_ASSERT(!fixture.transact());
        CPPUNIT_ASSERT(fixture.heard().find("IGNOREQUOTA") == std::string::npos);
      }
      check(row.fates, fixture.fates());
    }
  }

  void retryWithoutTheExtensionLeavesTheRefusal() {
    MessageStateFixture fixture({"--ignore-quota=retry"}, "", {"alice", "bob"});
    fixture.meet({kOk, kFull, kOk, kGo, kSent}, kPlain);
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice deferred 4.2.2 not-offered, bob sent 2.1.5 no", fixture.fates());
  }

  void retryGoesOnOverAnotherConnection() {
    for (const bool offered : {true, false}) {
      MessageStateFixture fixture({"--ignore-quota=retry", "--trace=off"}, "", {"alice"});
      fixture.meet({kOk, kFull});
      CPPUNIT_ASSERT(!fixture.transact());
      fixture.meet({kOk, Play::kClose});
      CPPUNIT_ASSERT(fixture.transact());
      CPPUNIT_ASSERT(fixture.state().undecided());
      fixture.meet({kOk, kFull}, offered ? kOffers : kPlain);
      CPPUNIT_ASSERT(!fixture.transact());
      check(offered ? "alice deferred 4.2.2 ignored" : "alice deferred 4.2.2 not-offered",
            fixture.fates());
    }
  }

  void aRetryIsProgressForRecipientsThatWereTooMany() {
    const std::string too_many = "452 4.5.3 Too many recipients\r\n";
    MessageStateFixture fixture({"--ignore-quota=retry", "--trace=off"});
    fixture.meet({kOk, kFull, too_many, too_many});
    CPPUNIT_ASSERT(!fixture.transact());
    check("", fixture.fates());
    fixture.hear({kOk, kOk, kOk, kOk, kGo, kSent + kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice sent 2.1.5 retried, bob sent 2.1.5 no", fixture.fates());
  }

  void aPolicyDecidesAtRcptAndAfterEndOfData() {
    const struct {
      const char* policy;
      const char* fates;
    } rows[] = {{"store", "452 4.2.2 store, 552 5.2.2 store, 250 2.1.5 store"},
                {"defer", "452 4.2.2 defer, 452 4.2.2 defer, 250 2.1.5 store"},
                {"refuse", "552 5.2.2 refuse, 552 5.2.2 refuse, 250 2.1.5 store"}};
    for (const auto& row : rows) {
      MessageStateFixture fixture({"--over-quota=" + std::string(row.policy)});
      fixture.meet({kOk, kOk, kFull, kOk, kOk, kGo, kFullForGood + kSent});
      CPPUNIT_ASSERT(!fixture.transact());
      check(row.fates, fates(fixture));
      check("Over quota", fixture.state().outcome(0).text);
      check("552 5.2.2 Over quota", fixture.state().outcome(1).store_reply);
    }
  }

  void aPolicyIsForRefusalsByQuotaOnly() {
    MessageStateFixture fixture({"--over-quota=refuse", "--trace=off"});
    fixture.meet({kOk, "452 4.3.1 disk full, mailbox over quota\r\n", "452 out of space\r\n", kOk,
                  kGo, "554 5.6.0 bad\r\n"});
    CPPUNIT_ASSERT(!fixture.transact());
    check("452 4.3.1 store, 452 4.3.1 store, 554 5.6.0 store", fates(fixture));
  }

  static std::string dated(std::int64_t before_now) {
    const std::time_t then = std::time(nullptr) - before_now;
    std::tm parts{};
    char text[64];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&then, &parts));
    return std::string("Received: by mx id A1; ") + text + "\r\n";
  }

  void theAgeIsThatOfTheTopmostReceivedField() {
    const struct {
      std::string head;
      const char* fates;
    } rows[] = {{dated(0), "452 4.2.2 defer"},
                {dated(3600), "452 4.2.2 defer"},
                {dated(3 * 86'400 + 60), "552 5.2.2 refuse"},
                {dated(-3600), "452 4.2.2 defer"},
                {dated(0) + dated(9 * 86'400), "452 4.2.2 defer"},
                {dated(9 * 86'400) + dated(0), "552 5.2.2 refuse"},
                {"Received: by mx id A1; d\r\n", "452 4.2.2 defer"},
                {"Subject: s\r\n", "452 4.2.2 defer"}};
    for (const auto& row : rows) {
      MessageStateFixture fixture({"--over-quota=defer:3d"}, row.head + "\r\nhi\r\n", {"alice"});
      fixture.meet({kOk, kOk, kFullForGood}, kPlain);
      CPPUNIT_ASSERT(!fixture.transact());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.head, std::string(row.fates), fates(fixture));
    }
  }

  static std::string tagged_message() {
    TagClaims claims;
    claims.trace = TraceId::parse("t1").value();
    claims.list_over_quota(OverQuotaPolicy::parse("refuse"), {"Alice", "alice"});
    claims.list_over_quota(OverQuotaPolicy::parse("store"), {"bob", "bob"});
    claims.expiry = std::time(nullptr) + 60;
    claims.queue_id = "A1";
    std::string tag = sign_tag(claims, parse_keys(kTestKey, "keys").signer());
    tag.erase(std::remove(tag.begin(), tag.end(), '\n'), tag.end());
    return "X-LMTPQ-Tag: " + tag + "\r\nReceived: by mx id A1; d\r\n\r\nhi\r\n";
  }

  void theTagsPolicyComesBeforeTheListenersAndThatBeforeTheStores() {
    for (const bool of_listener : {false, true}) {
      MessageStateFixture fixture({"--over-quota=defer", "--trace=off"}, tagged_message());
      if (of_listener) {
        fixture.settings().over_quota = OverQuotaPolicy::parse("refuse");
      }
      fixture.meet({kOk, kFull, kFull, kFull});
      CPPUNIT_ASSERT(!fixture.transact());
      check(std::string("552 5.2.2 refuse, 452 4.2.2 store, ") +
                (of_listener ? "552 5.2.2 refuse" : "452 4.2.2 defer"),
            fates(fixture));
    }
  }

  void aRetryComesBeforeThePolicy() {
    MessageStateFixture fixture({"--ignore-quota=retry", "--over-quota=refuse", "--trace=off"}, "",
                                {"alice", "bob"});
    fixture.meet({kOk, kFull, kFull});
    CPPUNIT_ASSERT(!fixture.transact());
    check("", fixture.fates());
    fixture.hear({kOk, kOk, kOk, kFull, kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("250 2.1.5 store, 552 5.2.2 refuse", fates(fixture));
    check("alice sent 2.1.5 retried, bob refused 5.2.2 ignored", fixture.fates());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageStateQuotaTest);
