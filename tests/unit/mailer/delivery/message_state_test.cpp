#include "common/tag/key_file.h"
#include "tests/unit/mailer/store/scripted_store.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

// When each recipient is decided, and which go into another transaction.
class MessageStateTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageStateTest);
  CPPUNIT_TEST(eachRecipientGetsItsOwnOutcome);
  CPPUNIT_TEST(theTraceIdIsTheQueueIdByDefault);
  CPPUNIT_TEST(ignoreQuotaIsSentForAllRecipientsOnlyWithAlways);
  CPPUNIT_TEST(aValidTagNamesTheRecipientsWhoseQuotaIsIgnored);
  CPPUNIT_TEST(theClientsTraceIdComesBeforeTheTagsTraceId);
  CPPUNIT_TEST(theClientsIgnoreQuotaIsHonoredUnlessNever);
  CPPUNIT_TEST(ignoreQuotaIsNotSentToAStoreThatDoesNotOfferIt);
  CPPUNIT_TEST(aRecipientWithRefusedIgnoreQuotaIsSentAgainWithoutIt);
  CPPUNIT_TEST(onlyARefusalOfTheParameterCountsAsRefusedIgnoreQuota);
  CPPUNIT_TEST(overQuotaDespiteIgnoreQuotaIsReported);
  CPPUNIT_TEST(tooManyRecipientsGoIntoAnotherTransaction);
  CPPUNIT_TEST(tooManyRecipientsWithoutProgressAreDeferred);
  CPPUNIT_TEST(aStoresLimitsSplitTransactions);
  CPPUNIT_TEST(onlyTheEnhancedCodeMeansTooManyRecipients);
  CPPUNIT_TEST(aConnectionLostBeforeEndOfDataLeavesUnansweredRecipientsForAnother);
  CPPUNIT_TEST(aConnectionLostAfterEndOfDataKeepsTheRepliesThatWereRead);
  CPPUNIT_TEST(oneRefusalOfTheMessageCountsForAllRecipients);
  CPPUNIT_TEST(troubleDecidesOnlyTheUndecidedRecipients);
  CPPUNIT_TEST_SUITE_END();

  void eachRecipientGetsItsOwnOutcome() {
    Road road;
    road.meet({kOk, kOk, kOk, "452 4.2.2 Over quota\r\n", kOk, kGo,
               kSent + "554 5.6.0 invalid header\r\n"});
    CPPUNIT_ASSERT(!road.transact());
    check("alice sent 2.1.5 no, bob deferred 4.2.2 no, carol refused 5.6.0 no", road.fates());
    CPPUNIT_ASSERT(!road.progress().undecided());
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, road.progress().outcomes().size());
    check("Over quota", road.progress().outcomes()[1].text);
  }

  void theTraceIdIsTheQueueIdByDefault() {
    const struct {
      std::vector<std::string> arguments;
      const char* trace;
    } rows[] = {{{}, "A1"},
                {{"--trace=queue-id"}, "A1"},
                {{"--trace=off"}, ""},
                {{"-t", "t1"}, "t1"},
                {{"-t", "t1", "--trace=off"}, "t1"}};
    for (const auto& row : rows) {
      Road road(row.arguments);
      check(row.trace, road.progress().trace().text());
      check("A1", road.progress().queue_id().text());
      road.meet({});
      road.transact();
      const std::string first =
          row.trace[0] == '\0' ? "MAIL FROM:" : "TRACE " + std::string(row.trace);
      CPPUNIT_ASSERT_MESSAGE(road.heard(), road.heard().starts_with(first));
    }
    Road without({}, "Subject: s\r\n\r\n");
    check("", without.progress().trace().text());
  }

  void ignoreQuotaIsSentForAllRecipientsOnlyWithAlways() {
    for (const char* value : {"always", "tagged", "never"}) {
      Road road({"--trace=off", "--ignore-quota=" + std::string(value)}, "", {"alice"});
      road.meet({kOk, kOk, kGo, kSent});
      CPPUNIT_ASSERT(!road.transact());
      const bool always = std::string(value) == "always";
      check("MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<alice>" +
                std::string(always ? " IGNOREQUOTA" : "") + " | DATA",
            road.heard());
      check(always ? "alice sent 2.1.5 sent" : "alice sent 2.1.5 no", road.fates());
    }
  }

  // The tag is for alice, and for carol's address as Sendmail resolved it.
  void aValidTagNamesTheRecipientsWhoseQuotaIsIgnored() {
    TagClaims claims;
    claims.trace = TraceId::parse("t1").value();
    claims.quota = QuotaScope::kListed;
    claims.listed = {{"Alice", "alice"}, {"info@example.org", "carol"}};
    claims.expiry = std::time(nullptr) + 60;
    claims.queue_id = "A1";
    const struct {
      const char* ignore_quota;
      const char* fates;
    } rows[] = {{"tagged", "alice sent 2.1.5 sent, bob sent 2.1.5 no, carol sent 2.1.5 sent"},
                {"never", "alice sent 2.1.5 no, bob sent 2.1.5 no, carol sent 2.1.5 no"},
                {"always", "alice sent 2.1.5 sent, bob sent 2.1.5 sent, carol sent 2.1.5 sent"}};
    for (const auto& row : rows) {
      const Keyring keys = parse_keys(kTestKey, "keys");
      std::string tag = sign_tag(claims, keys.signer());
      tag.erase(std::remove(tag.begin(), tag.end(), '\n'), tag.end());
      Road road({"--ignore-quota=" + std::string(row.ignore_quota)},
                "X-LMTPQ-Tag: " + tag + "\r\nReceived: by mx id A1; d\r\n\r\nhi\r\n");
      check("t1", road.progress().trace().text());
      check("A1", road.progress().queue_id().text());
      road.meet({kOk, kOk, kOk, kOk, kOk, kGo, kSent + kSent + kSent});
      CPPUNIT_ASSERT(!road.transact());
      check(row.fates, road.fates());
      CPPUNIT_ASSERT_EQUAL(std::size_t{32}, road.progress().body().size());
    }
  }

  static std::string tagged_message() {
    TagClaims claims;
    claims.trace = TraceId::parse("tagged").value();
    claims.quota = QuotaScope::kListed;
    claims.listed = {{"carol", "carol"}};
    claims.expiry = std::time(nullptr) + 60;
    claims.queue_id = "A1";
    std::string tag = sign_tag(claims, parse_keys(kTestKey, "keys").signer());
    tag.erase(std::remove(tag.begin(), tag.end(), '\n'), tag.end());
    return "X-LMTPQ-Tag: " + tag + "\r\nReceived: by mx id A1; d\r\n\r\nhi\r\n";
  }

  void theClientsTraceIdComesBeforeTheTagsTraceId() {
    const struct {
      std::vector<std::string> arguments;
      const char* said;
      const char* trace;
    } rows[] = {{{}, "said", "said"},
                {{}, "", "tagged"},
                {{"--trace=queue-id"}, "said", "said"},
                {{"--trace=off"}, "said", ""},
                {{"-t", "t1"}, "said", "t1"}};
    for (const auto& row : rows) {
      Road road(row.arguments, tagged_message());
      road.envelope().trace = TraceId::parse(row.said).value_or(TraceId());
      check(row.trace, road.progress().trace().text());
    }
  }

  void theClientsIgnoreQuotaIsHonoredUnlessNever() {
    const struct {
      const char* ignore_quota;
      const char* fates;
    } rows[] = {{"tagged", "alice sent 2.1.5 no, bob sent 2.1.5 sent, carol sent 2.1.5 sent"},
                {"never", "alice sent 2.1.5 no, bob sent 2.1.5 no, carol sent 2.1.5 no"},
                {"always", "alice sent 2.1.5 sent, bob sent 2.1.5 sent, carol sent 2.1.5 sent"}};
    for (const auto& row : rows) {
      Road road({"--ignore-quota=" + std::string(row.ignore_quota)}, tagged_message());
      road.envelope().recipients[1].ignore_quota = true;
      road.meet({kOk, kOk, kOk, kOk, kOk, kGo, kSent + kSent + kSent});
      CPPUNIT_ASSERT(!road.transact());
      check(row.fates, road.fates());
    }
  }

  void ignoreQuotaIsNotSentToAStoreThatDoesNotOfferIt() {
    Road road({"-Q"}, "", {"alice"});
    road.meet({kOk, "452 4.2.2 Over quota\r\n"}, "250 store\r\n");
    CPPUNIT_ASSERT(!road.transact());
    check("MAIL FROM:<sender@example.org> | RCPT TO:<alice>", road.heard());
    check("alice deferred 4.2.2 not-offered", road.fates());
  }

  void aRecipientWithRefusedIgnoreQuotaIsSentAgainWithoutIt() {
    Road road({"-Q"});
    road.meet(
        {kOk, kOk, kOk, "501 5.5.4 Unrecognized parameters\r\n", "555 5.5.4 x\r\n", kGo, kSent});
    CPPUNIT_ASSERT(!road.transact());
    check("alice sent 2.1.5 sent", road.fates());
    CPPUNIT_ASSERT(road.progress().undecided());
    road.hear({kOk, kOk, kOk, kOk, "452 4.2.2 Over quota\r\n", kGo, kSent});
    CPPUNIT_ASSERT(!road.transact());
    check(
        "RSET | TRACE A1 | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<bob> | "
        "RCPT TO:<carol> | DATA",
        road.heard());
    check("alice sent 2.1.5 sent, bob sent 2.1.5 refused, carol deferred 4.2.2 refused",
          road.fates());
    CPPUNIT_ASSERT(!road.progress().undecided());
  }

  void onlyARefusalOfTheParameterCountsAsRefusedIgnoreQuota() {
    const struct {
      const char* said;
      bool again;
    } rows[] = {
        {"500 5.5.2 syntax", true},      {"501 syntax", true},
        {"504 5.5.4 parameter", true},   {"555 parameters", true},
        {"550 5.7.1 not yours", true},   {"554 5.5.4 parameter", true},
        {"550 5.1.1 unknown", false},    {"550 unknown", false},
        {"552 5.2.2 over quota", false}, {"452 4.2.2 over quota", false},
        {"450 4.7.1 later", false},      {"551 5.1.6 moved", false},
    };
    for (const auto& row : rows) {
      Road road({"-Q"}, "", {"alice"});
      road.meet({kOk, kOk, row.said + std::string("\r\n")});
      CPPUNIT_ASSERT(!road.transact());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, row.again, road.progress().undecided());
      if (row.again) {
        road.hear({kOk, kOk, kOk, row.said + std::string("\r\n")});
        CPPUNIT_ASSERT(!road.transact());
        CPPUNIT_ASSERT_MESSAGE(row.said, !road.progress().undecided());
      }
    }
  }

  void overQuotaDespiteIgnoreQuotaIsReported() {
    Road road({"-Q"}, "", {"alice", "bob"});
    road.meet({kOk, kOk, "452 4.2.2 Over quota\r\n", kOk, kGo, "552 5.2.2 Over quota\r\n"});
    CPPUNIT_ASSERT(!road.transact());
    check("alice deferred 4.2.2 ignored, bob refused 5.2.2 ignored", road.fates());
  }

  void tooManyRecipientsGoIntoAnotherTransaction() {
    const std::string too_many = "452 4.5.3 Too many recipients\r\n";
    Road road({"--trace=off"});
    road.meet({kOk, kOk, too_many, too_many, kGo, kSent});
    CPPUNIT_ASSERT(!road.transact());
    check("alice sent 2.1.5 no", road.fates());
    road.hear({kOk, kOk, "550 5.1.1 unknown\r\n", too_many});
    CPPUNIT_ASSERT(!road.transact());
    check("RSET | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<bob> | RCPT TO:<carol>",
          road.heard().substr(0, road.heard().find(" | DATA")));
    check("alice sent 2.1.5 no, bob refused 5.1.1 no", road.fates());
    road.hear({kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!road.transact());
    check("alice sent 2.1.5 no, bob refused 5.1.1 no, carol sent 2.1.5 no", road.fates());
  }

  void tooManyRecipientsWithoutProgressAreDeferred() {
    const std::string too_many = "452 4.5.3 Too many recipients\r\n";
    Road road({"--trace=off"});
    road.meet({kOk, too_many, too_many, too_many});
    CPPUNIT_ASSERT(!road.transact());
    check("alice deferred 4.5.3 no, bob deferred 4.5.3 no, carol deferred 4.5.3 no", road.fates());
  }

  // The RCPT lines of each transaction of a message to these recipients.
  static std::string cut_by(const std::string& limits, std::vector<const char*> recipients) {
    Road road({"--trace=off"}, "", recipients);
    road.meet({}, "250-store\r\n250-LIMITS " + limits + "\r\n250 SIZE\r\n");
    std::string all;
    for (std::size_t done = 0; done < recipients.size();) {
      const auto next = road.progress().next_transaction(road.upstream().client().capabilities());
      CPPUNIT_ASSERT(next && !next->recipients.empty());
      const std::size_t count = next->recipients.size();
      Replies replies(count + (all.empty() ? 1 : 2), kOk);
      replies.push_back(kGo);
      std::string finals;
      for (std::size_t i = 0; i < count; ++i) {
        finals += kSent;
        all += next->recipients[i].mailbox.text() + (i + 1 < count ? "," : "; ");
      }
      replies.push_back(finals);
      road.hear(replies);
      CPPUNIT_ASSERT(!road.transact());
      done += count;
    }
    CPPUNIT_ASSERT(!road.progress().undecided());
    return all;
  }

  void aStoresLimitsSplitTransactions() {  // trap: limits-keyword
    check("a,b,c; ", cut_by("RCPTMAX=3", {"a", "b", "c"}));
    check("a,b; c; ", cut_by("RCPTMAX=2", {"a", "b", "c"}));
    check("a; b; c; ", cut_by("RCPTMAX=1 MAILMAX=9", {"a", "b", "c"}));
    check("a,b,c; ", cut_by("RCPTMAX=0 X", {"a", "b", "c"}));
    check("a@x,b@X,d@x; c@y; ", cut_by("RCPTDOMAINMAX=1", {"a@x", "b@X", "c@y", "d@x"}));
    check("a@x,b@y,d@Y; c@z,e; ", cut_by("RCPTDOMAINMAX=2", {"a@x", "b@y", "c@z", "d@Y", "e"}));
    check("a@x,b@x; c@x; ", cut_by("RCPTDOMAINMAX=1 RCPTMAX=2", {"a@x", "b@x", "c@x"}));
  }

  void onlyTheEnhancedCodeMeansTooManyRecipients() {  // trap: two-meanings-of-452
    Road road({"--trace=off"});
    road.meet({kOk, kOk, "452 Too many recipients\r\n", "452 4.2.2 Over quota\r\n", kGo,
               "452 4.5.3 too many\r\n"});
    CPPUNIT_ASSERT(!road.transact());
    check("alice deferred 4.5.3 no, bob deferred 4.3.1 no, carol deferred 4.2.2 no", road.fates());
  }

  void aConnectionLostBeforeEndOfDataLeavesUnansweredRecipientsForAnother() {
    Road road({"-Q", "--trace=off"});
    road.meet({kOk, kOk, "550 5.1.1 unknown\r\n", kOk, Play::kClose});
    CPPUNIT_ASSERT(road.transact());
    CPPUNIT_ASSERT(!road.upstream().dot_sent());
    check("the peer closed the connection before the reply to DATA",
          road.upstream().client().reason());
    check("bob refused 5.1.1 sent", road.fates());
    // At another store, which does not offer IGNOREQUOTA.
    road.meet({kOk, kOk, kOk, kGo, kSent + kSent}, "250 store\r\n");
    CPPUNIT_ASSERT(!road.transact());
    check("MAIL FROM:<sender@example.org> | RCPT TO:<alice> | RCPT TO:<carol> | DATA",
          road.heard());
    check("bob refused 5.1.1 sent, alice sent 2.1.5 not-offered, carol sent 2.1.5 not-offered",
          road.fates());
  }

  void aConnectionLostAfterEndOfDataKeepsTheRepliesThatWereRead() {  // trap: lost-among-replies
    Road road;
    road.meet({kOk, kOk, kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(road.transact());
    CPPUNIT_ASSERT(road.upstream().dot_sent());
    check("alice sent 2.1.5 no", road.fates());
    road.progress().decide_unanswered(Trouble::kUncertain, "test: time was up");
    check("alice sent 2.1.5 no, bob deferred 4.4.2 no, carol deferred 4.4.2 no", road.fates());
    CPPUNIT_ASSERT(road.progress().outcome(2).text.find("possible duplicate") != std::string::npos);
    CPPUNIT_ASSERT(!road.progress().undecided());
  }

  void oneRefusalOfTheMessageCountsForAllRecipients() {  // trap: one-552-for-all
    Road road;
    road.meet({kOk, kOk, kOk, kOk, kOk, kGo, "552 5.2.3 Message size\r\n"});
    CPPUNIT_ASSERT(!road.transact());
    check("alice refused 5.2.3 no, bob refused 5.2.3 no, carol refused 5.2.3 no", road.fates());
    CPPUNIT_ASSERT(!road.upstream().client().reusable());
  }

  void troubleDecidesOnlyTheUndecidedRecipients() {
    Road road;
    road.progress().decide(1, outcome_of(Trouble::kBadAddress, "x"));
    road.progress().decide_rest(Trouble::kUnreachable, "y");
    check("bob refused 5.1.3 no, alice deferred 4.4.1 no, carol deferred 4.4.1 no", road.fates());
    road.progress().decide_rest(Trouble::kInternal, "z");
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, road.told().size());
    CPPUNIT_ASSERT(!road.progress().undecided());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageStateTest);
