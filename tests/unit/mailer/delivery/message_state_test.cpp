#include "common/tag/key_file.h"
#include "tests/unit/mailer/delivery/message_state_fixture.h"

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
  CPPUNIT_TEST(anAnswerIsTakenWhileOthersAreAwaited);
  CPPUNIT_TEST(noAnswerIsTakenEarlyThatAnotherTransactionMayReplace);
  CPPUNIT_TEST(noAnswerIsTakenBeforeTheEndOfData);
  CPPUNIT_TEST(oneRefusalOfTheMessageCountsForAllRecipients);
  CPPUNIT_TEST(troubleDecidesOnlyTheUndecidedRecipients);
  CPPUNIT_TEST_SUITE_END();

  void eachRecipientGetsItsOwnOutcome() {
    MessageStateFixture fixture;
    fixture.meet({kOk, kOk, kOk, "452 4.2.2 Over quota\r\n", kOk, kGo,
                  kSent + "554 5.6.0 invalid header\r\n"});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice sent 2.1.5 no, bob deferred 4.2.2 no, carol refused 5.6.0 no", fixture.fates());
    CPPUNIT_ASSERT(!fixture.state().undecided());
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, fixture.state().outcomes().size());
    check("Over quota", fixture.state().outcomes()[1].text);
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
      MessageStateFixture fixture(row.arguments);
      check(row.trace, fixture.state().trace().text());
      check("A1", fixture.state().queue_id().text());
      fixture.meet({});
      fixture.transact();
      const std::string first =
          row.trace[0] == '\0' ? "MAIL FROM:" : "TRACE " + std::string(row.trace);
      CPPUNIT_ASSERT_MESSAGE(fixture.heard(), fixture.heard().starts_with(first));
    }
    MessageStateFixture without({}, "Subject: s\r\n\r\n");
    check("", without.state().trace().text());
  }

  void ignoreQuotaIsSentForAllRecipientsOnlyWithAlways() {
    for (const char* value : {"always", "tagged", "never"}) {
      MessageStateFixture fixture({"--trace=off", "--ignore-quota=" + std::string(value)}, "",
                                  {"alice"});
      fixture.meet({kOk, kOk, kGo, kSent});
      CPPUNIT_ASSERT(!fixture.transact());
      const bool always = std::string(value) == "always";
      check("MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<alice>" +
                std::string(always ? " IGNOREQUOTA" : "") + " | DATA",
            fixture.heard());
      check(always ? "alice sent 2.1.5 sent" : "alice sent 2.1.5 no", fixture.fates());
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
      MessageStateFixture fixture(
          {"--ignore-quota=" + std::string(row.ignore_quota)},
          "X-LMTPQ-Tag: " + tag + "\r\nReceived: by mx id A1; d\r\n\r\nhi\r\n");
      check("t1", fixture.state().trace().text());
      check("A1", fixture.state().queue_id().text());
      fixture.meet({kOk, kOk, kOk, kOk, kOk, kGo, kSent + kSent + kSent});
      CPPUNIT_ASSERT(!fixture.transact());
      check(row.fates, fixture.fates());
      CPPUNIT_ASSERT_EQUAL(std::size_t{32}, fixture.state().body().size());
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
      MessageStateFixture fixture(row.arguments, tagged_message());
      fixture.envelope().trace = TraceId::parse(row.said).value_or(TraceId());
      check(row.trace, fixture.state().trace().text());
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
      MessageStateFixture fixture({"--ignore-quota=" + std::string(row.ignore_quota)},
                                  tagged_message());
      fixture.envelope().recipients[1].ignore_quota = true;
      fixture.meet({kOk, kOk, kOk, kOk, kOk, kGo, kSent + kSent + kSent});
      CPPUNIT_ASSERT(!fixture.transact());
      check(row.fates, fixture.fates());
    }
  }

  void ignoreQuotaIsNotSentToAStoreThatDoesNotOfferIt() {
    MessageStateFixture fixture({"-Q"}, "", {"alice"});
    fixture.meet({kOk, "452 4.2.2 Over quota\r\n"}, "250 store\r\n");
    CPPUNIT_ASSERT(!fixture.transact());
    check("MAIL FROM:<sender@example.org> | RCPT TO:<alice>", fixture.heard());
    check("alice deferred 4.2.2 not-offered", fixture.fates());
  }

  void aRecipientWithRefusedIgnoreQuotaIsSentAgainWithoutIt() {
    MessageStateFixture fixture({"-Q"});
    fixture.meet(
        {kOk, kOk, kOk, "501 5.5.4 Unrecognized parameters\r\n", "555 5.5.4 x\r\n", kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice sent 2.1.5 sent", fixture.fates());
    CPPUNIT_ASSERT(fixture.state().undecided());
    fixture.hear({kOk, kOk, kOk, kOk, "452 4.2.2 Over quota\r\n", kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check(
        "RSET | TRACE A1 | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<bob> | "
        "RCPT TO:<carol> | DATA",
        fixture.heard());
    check("alice sent 2.1.5 sent, bob sent 2.1.5 refused, carol deferred 4.2.2 refused",
          fixture.fates());
    CPPUNIT_ASSERT(!fixture.state().undecided());
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
      MessageStateFixture fixture({"-Q"}, "", {"alice"});
      fixture.meet({kOk, kOk, row.said + std::string("\r\n")});
      CPPUNIT_ASSERT(!fixture.transact());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, row.again, fixture.state().undecided());
      if (row.again) {
        fixture.hear({kOk, kOk, kOk, row.said + std::string("\r\n")});
        CPPUNIT_ASSERT(!fixture.transact());
        CPPUNIT_ASSERT_MESSAGE(row.said, !fixture.state().undecided());
      }
    }
  }

  void overQuotaDespiteIgnoreQuotaIsReported() {
    MessageStateFixture fixture({"-Q"}, "", {"alice", "bob"});
    fixture.meet({kOk, kOk, "452 4.2.2 Over quota\r\n", kOk, kGo, "552 5.2.2 Over quota\r\n"});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice deferred 4.2.2 ignored, bob refused 5.2.2 ignored", fixture.fates());
  }

  void tooManyRecipientsGoIntoAnotherTransaction() {
    const std::string too_many = "452 4.5.3 Too many recipients\r\n";
    MessageStateFixture fixture({"--trace=off"});
    fixture.meet({kOk, kOk, too_many, too_many, kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice sent 2.1.5 no", fixture.fates());
    fixture.hear({kOk, kOk, "550 5.1.1 unknown\r\n", too_many});
    CPPUNIT_ASSERT(!fixture.transact());
    check("RSET | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<bob> | RCPT TO:<carol>",
          fixture.heard().substr(0, fixture.heard().find(" | DATA")));
    check("alice sent 2.1.5 no, bob refused 5.1.1 no", fixture.fates());
    fixture.hear({kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice sent 2.1.5 no, bob refused 5.1.1 no, carol sent 2.1.5 no", fixture.fates());
  }

  void tooManyRecipientsWithoutProgressAreDeferred() {
    const std::string too_many = "452 4.5.3 Too many recipients\r\n";
    MessageStateFixture fixture({"--trace=off"});
    fixture.meet({kOk, too_many, too_many, too_many});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice deferred 4.5.3 no, bob deferred 4.5.3 no, carol deferred 4.5.3 no",
          fixture.fates());
  }

  // The RCPT lines of each transaction of a message to these recipients.
  static std::string cut_by(const std::string& limits, std::vector<const char*> recipients) {
    MessageStateFixture fixture({"--trace=off"}, "", recipients);
    fixture.meet({}, "250-store\r\n250-LIMITS " + limits + "\r\n250 SIZE\r\n");
    std::string all;
    for (std::size_t done = 0; done < recipients.size();) {
      const auto next =
          fixture.state().next_transaction(fixture.upstream().client().capabilities());
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
      fixture.hear(replies);
      CPPUNIT_ASSERT(!fixture.transact());
      done += count;
    }
    CPPUNIT_ASSERT(!fixture.state().undecided());
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
    MessageStateFixture fixture({"--trace=off"});
    fixture.meet({kOk, kOk, "452 Too many recipients\r\n", "452 4.2.2 Over quota\r\n", kGo,
                  "452 4.5.3 too many\r\n"});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice deferred 4.5.3 no, bob deferred 4.3.1 no, carol deferred 4.2.2 no",
          fixture.fates());
  }

  void aConnectionLostBeforeEndOfDataLeavesUnansweredRecipientsForAnother() {
    MessageStateFixture fixture({"-Q", "--trace=off"});
    fixture.meet({kOk, kOk, "550 5.1.1 unknown\r\n", kOk, Play::kClose});
    CPPUNIT_ASSERT(fixture.transact());
    CPPUNIT_ASSERT(!fixture.upstream().dot_sent());
    check("the peer closed the connection before the reply to DATA",
          fixture.upstream().client().reason());
    check("bob refused 5.1.1 sent", fixture.fates());
    // At another store, which does not offer IGNOREQUOTA.
    fixture.meet({kOk, kOk, kOk, kGo, kSent + kSent}, "250 store\r\n");
    CPPUNIT_ASSERT(!fixture.transact());
    check("MAIL FROM:<sender@example.org> | RCPT TO:<alice> | RCPT TO:<carol> | DATA",
          fixture.heard());
    check("bob refused 5.1.1 sent, alice sent 2.1.5 not-offered, carol sent 2.1.5 not-offered",
          fixture.fates());
  }

  void aConnectionLostAfterEndOfDataKeepsTheRepliesThatWereRead() {  // trap: lost-among-replies
    MessageStateFixture fixture;
    fixture.meet({kOk, kOk, kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(fixture.transact());
    CPPUNIT_ASSERT(fixture.upstream().dot_sent());
    check("alice sent 2.1.5 no", fixture.fates());
    fixture.state().decide_unanswered(Trouble::kUncertain, "test: time was up");
    check("alice sent 2.1.5 no, bob deferred 4.4.2 no, carol deferred 4.4.2 no", fixture.fates());
    CPPUNIT_ASSERT(fixture.state().outcome(2).text.find("possible duplicate") != std::string::npos);
    CPPUNIT_ASSERT(!fixture.state().undecided());
  }

  void anAnswerIsTakenWhileOthersAreAwaited() {  // trap: replies-held-back
    MessageStateFixture fixture;
    fixture.meet({kOk, kOk, "550 5.1.1 unknown\r\n", kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(fixture.transact());
    check("1 2", fixture.told_at_waits());
    check("alice refused 5.1.1 no, bob sent 2.1.5 no", fixture.fates());
    fixture.state().decide_unanswered(Trouble::kUncertain, "test: time was up");
    check("alice refused 5.1.1 no, bob sent 2.1.5 no, carol deferred 4.4.2 no", fixture.fates());
  }

  void noAnswerIsTakenEarlyThatAnotherTransactionMayReplace() {
    MessageStateFixture fixture({"-Q", "--trace=off"});
    fixture.meet({kOk, "501 5.5.4 no IGNOREQUOTA\r\n", kOk, "452 4.5.3 too many\r\n", kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("0", fixture.told_at_waits());
    check("bob sent 2.1.5 sent", fixture.fates());
    fixture.hear({kOk, kOk, kOk, kOk, kGo, kSent + kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check(
        "RSET | MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<alice> | "
        "RCPT TO:<carol> IGNOREQUOTA | DATA",
        fixture.heard());
    check("bob sent 2.1.5 sent, alice sent 2.1.5 refused, carol sent 2.1.5 sent", fixture.fates());
  }

  void noAnswerIsTakenBeforeTheEndOfData() {
    MessageStateFixture fixture({"--trace=off"});
    fixture.meet({kOk, "550 5.1.1 unknown\r\n", kOk, kOk, "354 go\r\n250 2.0.0 what\r\n"});
    CPPUNIT_ASSERT(fixture.transact());
    check("", fixture.told_at_waits());
    check("", fixture.fates());  // one of the replies was one too many, and nobody knows which
  }

  void oneRefusalOfTheMessageCountsForAllRecipients() {  // trap: one-552-for-all
    MessageStateFixture fixture;
    fixture.meet({kOk, kOk, kOk, kOk, kGo, "552 5.2.3 Message size\r\n", "221 2.0.0 bye\r\n"},
                 "250-store\r\n250-PIPELINING\r\n250 SIZE\r\n");
    CPPUNIT_ASSERT(!fixture.transact());
    CPPUNIT_ASSERT(fixture.heard().ends_with(" | QUIT"));
    check("alice refused 5.2.3 no, bob refused 5.2.3 no, carol refused 5.2.3 no", fixture.fates());
    CPPUNIT_ASSERT(!fixture.upstream().client().reusable());
  }

  void troubleDecidesOnlyTheUndecidedRecipients() {
    MessageStateFixture fixture;
    fixture.state().decide(1, outcome_of(Trouble::kBadAddress, "x"));
    fixture.state().decide_rest(Trouble::kUnreachable, "y");
    check("bob refused 5.1.3 no, alice deferred 4.4.1 no, carol deferred 4.4.1 no",
          fixture.fates());
    fixture.state().decide_rest(Trouble::kInternal, "z");
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, fixture.told().size());
    CPPUNIT_ASSERT(!fixture.state().undecided());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageStateTest);
