#include "mailer/message/outcome.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sysexits.h>

#include <iterator>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Reply reply_of(const std::string& line) {
  ReplyParser parser;
  const std::string bytes = line + "\r\n";
  std::string_view rest = bytes;
  CPPUNIT_ASSERT_MESSAGE(line, parser.parse(rest) == ReplyParser::Result::kReply);
  return parser.take();
}

Outcome decided(Awaited stage, const std::string& line) {
  return outcome_of(Answer{stage, reply_of(line)});
}

// "deferred 452 4.2.2"
std::string verdict(const Outcome& outcome) {
  return std::string(kFateNames[static_cast<int>(outcome.fate)]) + " " +
         std::to_string(outcome.code) + " " + outcome.status.text();
}

constexpr Awaited kStages[] = {Awaited::kMail, Awaited::kRcpt, Awaited::kData, Awaited::kFinal};

TraceId id_of(const std::string& text) { return TraceId::parse(text).value(); }

}  // namespace

class OutcomeTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OutcomeTest);
  CPPUNIT_TEST(everyStageKeepsTheClassOfAnOrdinaryReply);
  CPPUNIT_TEST(aCodeWithoutEnhancedStatusGetsTheMatchingOne);
  CPPUNIT_TEST(theClassIsThatOfTheCode);
  CPPUNIT_TEST(aFullMailboxHasItsOwnStatus);
  CPPUNIT_TEST(theStageDecidesWhereACodeHasTwoMeanings);
  CPPUNIT_TEST(a421AfterEndOfDataIsAPossibleDuplicate);
  CPPUNIT_TEST(aProtocolErrorIsTemporaryAtEveryStage);
  CPPUNIT_TEST(aMissingLoginIsTemporaryAtEveryStage);
  CPPUNIT_TEST(everyReplyOfAStoreBecomesOneThatSendmailReadsAsMeant);
  CPPUNIT_TEST(onlyFaultsOfTheMessageArePermanent);
  CPPUNIT_TEST(aTroubleTextHasItsDetail);
  CPPUNIT_TEST(anErrorRouteIsPermanentInClass5Only);
  CPPUNIT_TEST(theStoresReplyIsKept);
  CPPUNIT_TEST(theReplyIsOursWhereTheStoreSentNone);
  CPPUNIT_TEST(aReplyCarriesTheTraceIdOnce);
  CPPUNIT_TEST(aReplyWithoutTraceIdHasNoMark);
  CPPUNIT_TEST(theTraceIdIsNeverCutOffALongReply);
  CPPUNIT_TEST(theTraceIdInTheStoresReplyIsNeverCutOff);
  CPPUNIT_TEST(aReplyIsOnePrintableLine);
  CPPUNIT_TEST(theExitStatusIsTempfailOrTheFirstRefusals);
  CPPUNIT_TEST_SUITE_END();

  void everyStageKeepsTheClassOfAnOrdinaryReply() {
    const struct {
      const char* said;
      const char* becomes;
    } rows[] = {
        {"250 2.1.5 ok", "sent 250 2.1.5"},
        {"250 2.0.0 ok", "sent 250 2.0.0"},
        {"251 2.1.5 will forward", "sent 250 2.1.5"},
        {"252 2.5.0 perhaps", "sent 250 2.5.0"},
        {"200 ok", "sent 250 2.1.5"},
        {"450 4.2.1 busy", "deferred 450 4.2.1"},
        {"451 4.3.0 later", "deferred 451 4.3.0"},
        {"452 4.2.2 Over quota", "deferred 452 4.2.2"},
        {"452 4.5.3 too many recipients", "deferred 452 4.5.3"},
        {"455 4.5.1 not now", "deferred 455 4.5.1"},
        {"499 4.0.0 x", "deferred 499 4.0.0"},
        {"550 5.1.1 User unknown", "refused 550 5.1.1"},
        {"550 5.7.1 no", "refused 550 5.7.1"},
        {"551 5.1.6 moved", "refused 551 5.1.6"},
        {"552 5.2.2 Over quota", "refused 552 5.2.2"},
        {"552 5.2.3 Message size", "refused 552 5.2.3"},
        {"553 5.1.3 syntax", "refused 553 5.1.3"},
        {"554 5.6.0 Message contains NUL characters", "refused 554 5.6.0"},
        {"501 5.5.4 Unrecognized parameters", "refused 554 5.5.4"},
        {"510 5.1.0 x", "refused 554 5.1.0"},
        {"521 5.3.2 no mail here", "refused 554 5.3.2"},
        {"555 5.5.4 parameters", "refused 554 5.5.4"},
        {"571 5.7.1 blocked", "refused 554 5.7.1"},
        {"599 5.0.0 x", "refused 554 5.0.0"},
    };
    for (const auto& row : rows) {
      for (const Awaited stage : kStages) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, std::string(row.becomes),
                                     verdict(decided(stage, row.said)));
      }
    }
  }

  void aCodeWithoutEnhancedStatusGetsTheMatchingOne() {
    const struct {
      const char* said;
      const char* becomes;
    } rows[] = {
        {"250 ok", "sent 250 2.1.5"},    {"250", "sent 250 2.1.5"},
        {"430 x", "deferred 430 4.0.0"}, {"450 x", "deferred 450 4.2.0"},
        {"451 x", "deferred 451 4.0.0"}, {"452 x", "deferred 452 4.3.1"},
        {"551 x", "refused 551 5.1.6"},  {"552 x", "refused 552 5.0.0"},
        {"554 x", "refused 554 5.0.0"},  {"554 2.1.5 x", "refused 554 5.0.0"},
        {"556 x", "refused 556 5.0.0"},  {"501 x", "refused 554 5.0.0"},
        {"530 x", "deferred 451 4.0.0"},
    };
    for (const auto& row : rows) {
      for (const Awaited stage : kStages) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, std::string(row.becomes),
                                     verdict(decided(stage, row.said)));
      }
    }
  }

  void theClassIsThatOfTheCode() {
    const struct {
      const char* said;
      const char* becomes;
    } rows[] = {
        {"451 5.3.0 x", "deferred 451 4.3.0"}, {"452 5.2.2 x", "deferred 452 4.2.2"},
        {"421 5.3.2 x", "deferred 451 4.3.2"}, {"554 4.7.1 x", "refused 554 5.7.1"},
        {"552 4.3.4 x", "refused 552 5.3.4"},  {"250 4.2.2 x", "sent 250 2.1.5"},
        {"530 4.7.0 x", "deferred 451 4.7.0"}, {"452 2.2.2 x", "deferred 452 4.3.1"},
    };
    for (const auto& row : rows) {
      const Outcome made = decided(Awaited::kRcpt, row.said);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, std::string(row.becomes), verdict(made));
      CPPUNIT_ASSERT_EQUAL(std::string(row.said), reply_text(made));  // as the store sent it
    }
  }

  void aFullMailboxHasItsOwnStatus() {
    const struct {
      Awaited stage;
      const char* said;
      const char* becomes;
    } rows[] = {
        {Awaited::kRcpt, "450 Mailbox full", "deferred 450 4.2.2"},
        {Awaited::kRcpt, "452 Over quota", "deferred 452 4.2.2"},
        {Awaited::kFinal, "552 Over quota", "refused 552 5.2.2"},
        {Awaited::kFinal, "552 Message size exceeds maximum", "refused 552 5.0.0"},
        {Awaited::kRcpt, "510 Over quota", "refused 554 5.2.2"},
        {Awaited::kMail, "452 Over quota", "deferred 452 4.3.1"},
        {Awaited::kRcpt, "421 Over quota", "deferred 451 4.0.0"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.said, std::string(row.becomes),
                                   verdict(decided(row.stage, row.said)));
    }
  }

  void theStageDecidesWhereACodeHasTwoMeanings() {
    const struct {
      Awaited stage;
      const char* said;
      const char* becomes;
    } rows[] = {
        {Awaited::kMail, "550 no", "refused 550 5.0.0"},
        {Awaited::kRcpt, "550 no", "refused 550 5.1.1"},
        {Awaited::kData, "550 no", "refused 550 5.0.0"},
        {Awaited::kFinal, "550 no", "refused 550 5.0.0"},
        {Awaited::kMail, "553 no", "refused 553 5.1.7"},
        {Awaited::kRcpt, "553 no", "refused 553 5.1.3"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.becomes), verdict(decided(row.stage, row.said)));
    }
  }

  // Dovecot sends 421 when it shuts down, and may have filed the message before.
  void a421AfterEndOfDataIsAPossibleDuplicate() {
    const Outcome behind = decided(Awaited::kFinal, "421 4.3.2 shutting down");
    CPPUNIT_ASSERT_EQUAL(std::string("deferred 451 4.4.2"), verdict(behind));
    CPPUNIT_ASSERT(behind.text.find("possible duplicate") != std::string::npos);
    CPPUNIT_ASSERT(behind.text.find("421 4.3.2 shutting down") != std::string::npos);
    for (const Awaited stage : {Awaited::kMail, Awaited::kRcpt, Awaited::kData}) {
      const Outcome before = decided(stage, "421 4.3.2 shutting down");
      CPPUNIT_ASSERT_EQUAL(std::string("deferred 451 4.3.2"), verdict(before));
      CPPUNIT_ASSERT(before.text.find("duplicate") == std::string::npos);
    }
  }

  void aProtocolErrorIsTemporaryAtEveryStage() {
    for (const char* code : {"500", "502", "503", "504"}) {
      const std::string said = std::string(code) + " 5.5.1 Nested MAIL command";
      for (const Awaited stage :
           {Awaited::kMail, Awaited::kRcpt, Awaited::kData, Awaited::kFinal}) {
        const Outcome outcome = decided(stage, said);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said, std::string("deferred 451 4.5.0"), verdict(outcome));
        CPPUNIT_ASSERT_EQUAL(said, outcome.store_reply);
      }
    }
  }

  void aMissingLoginIsTemporaryAtEveryStage() {  // trap: login-demanded
    for (const Awaited stage : kStages) {
      CPPUNIT_ASSERT_EQUAL(std::string("deferred 430 4.7.0"),
                           verdict(decided(stage, "430 4.7.0 Authentication required")));
      for (const char* code : {"530", "534", "535", "538"}) {
        const std::string said = std::string(code) + " 5.7.0 Authentication required";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said, std::string("deferred 451 4.7.0"),
                                     verdict(decided(stage, said)));
      }
    }
  }

  // Sendmail (smtpgetstat) defers 4xx, bounces 55x, and takes any other 5xx for a protocol error;
  // after a 421 it ignores all replies.
  void everyReplyOfAStoreBecomesOneThatSendmailReadsAsMeant() {
    for (int code = 200; code < 600; code = code == 299 ? 400 : code + 1) {
      for (const char* status : {"", "2.1.5 ", "4.7.0 ", "5.123.999 "}) {
        for (const Awaited stage : kStages) {
          const std::string said = std::to_string(code) + " " + status + "words";
          const Outcome outcome = decided(stage, said);
          const int klass = outcome.fate == Fate::kDelivered   ? 2
                            : outcome.fate == Fate::kTemporary ? 4
                                                               : 5;
          CPPUNIT_ASSERT_EQUAL_MESSAGE(said, klass, outcome.code / 100);
          CPPUNIT_ASSERT_EQUAL_MESSAGE(said, klass, outcome.status.klass);
          CPPUNIT_ASSERT_MESSAGE(said, outcome.code != 421);
          CPPUNIT_ASSERT_MESSAGE(said, klass != 5 || outcome.code / 10 == 55);
          CPPUNIT_ASSERT_MESSAGE(said, (klass == 2) == (code < 300));
          CPPUNIT_ASSERT_MESSAGE(said, code / 100 != 4 || klass == 4);
        }
      }
    }
  }

  void onlyFaultsOfTheMessageArePermanent() {
    const struct {
      Trouble trouble;
      const char* becomes;
    } rows[] = {
        {Trouble::kUnreachable, "deferred 451 4.4.1"},
        {Trouble::kTls, "deferred 451 4.7.5"},
        {Trouble::kLogin, "deferred 451 4.7.8"},
        {Trouble::kLoop, "deferred 451 4.4.6"},
        {Trouble::kBusy, "deferred 451 4.4.5"},
        {Trouble::kMailboxBusy, "deferred 451 4.2.1"},
        {Trouble::kLost, "deferred 451 4.4.2"},
        {Trouble::kUncertain, "deferred 451 4.4.2"},
        {Trouble::kProtocolError, "deferred 451 4.5.0"},
        {Trouble::kSpool, "deferred 452 4.3.1"},
        {Trouble::kConfiguration, "deferred 451 4.3.5"},
        {Trouble::kUnrouted, "deferred 451 4.4.3"},
        {Trouble::kInternal, "deferred 451 4.3.0"},
        {Trouble::kTooLarge, "refused 552 5.3.4"},
        {Trouble::kNeedsUtf8, "refused 550 5.6.7"},
        {Trouble::kBadAddress, "refused 553 5.1.3"},
        {Trouble::kNul, "refused 554 5.6.0"},
        {Trouble::kClientGone, "deferred 451 4.4.2"},
    };
    CPPUNIT_ASSERT_EQUAL(std::size(kTroubleNames), std::size(rows));
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.becomes), verdict(outcome_of(row.trouble, "detail")));
    }
  }

  void aTroubleTextHasItsDetail() {
    for (int i = 0; i < static_cast<int>(std::size(kTroubleNames)); ++i) {
      const Outcome outcome = outcome_of(static_cast<Trouble>(i), "the detail");
      CPPUNIT_ASSERT(outcome.text.ends_with("the detail"));
      CPPUNIT_ASSERT(outcome.store_reply.empty());
      const bool doubtful = outcome.text.find("possible duplicate") != std::string::npos;
      CPPUNIT_ASSERT_EQUAL(static_cast<Trouble>(i) == Trouble::kUncertain, doubtful);
    }
  }

  void anErrorRouteIsPermanentInClass5Only() {
    CPPUNIT_ASSERT_EQUAL(std::string("refused 550 5.1.6"), verdict(outcome_of({5, 1, 6}, "moved")));
    CPPUNIT_ASSERT_EQUAL(std::string("deferred 451 4.2.1"),
                         verdict(outcome_of({4, 2, 1}, "moves")));
    CPPUNIT_ASSERT_EQUAL(std::string("550 5.1.6 moved"),
                         reply_text(outcome_of({5, 1, 6}, "moved")));
  }

  void theStoresReplyIsKept() {
    const Outcome moved = decided(Awaited::kRcpt, "571 5.7.1 blocked");
    CPPUNIT_ASSERT_EQUAL(std::string("blocked"), moved.text);
    CPPUNIT_ASSERT_EQUAL(std::string("571 5.7.1 blocked"), moved.store_reply);
    CPPUNIT_ASSERT_EQUAL(std::string("571 5.7.1 blocked"), reply_text(moved));
    const Outcome unknown =
        decided(Awaited::kRcpt, "550-Mailbox unknown.\r\n550 5.1.1 User unknown");
    CPPUNIT_ASSERT_EQUAL(std::string("User unknown; Mailbox unknown."), unknown.text);
  }

  void theReplyIsOursWhereTheStoreSentNone() {
    CPPUNIT_ASSERT_EQUAL(std::string("451 4.4.1 Store unreachable: unix:/s: refused"),
                         reply_text(outcome_of(Trouble::kUnreachable, "unix:/s: refused")));
  }

  void aReplyCarriesTheTraceIdOnce() {
    const Outcome sent = decided(Awaited::kFinal, "250 2.1.5 Success SESSIONID=<s-1>");
    CPPUNIT_ASSERT_EQUAL(std::string("250 2.1.5 Success SESSIONID=<s-1> TRACEID=<t1>\r\n"),
                         reply_line(sent, id_of("t1")));
    const Outcome said = decided(Awaited::kFinal, "250 2.1.5 Success TRACEID=<t1>");
    CPPUNIT_ASSERT_EQUAL(std::string("250 2.1.5 Success TRACEID=<t1>\r\n"),
                         reply_line(said, id_of("t1")));
    CPPUNIT_ASSERT_EQUAL(std::string("250 2.1.5 Success TRACEID=<t1> TRACEID=<t>\r\n"),
                         reply_line(said, id_of("t")));
  }

  void aReplyWithoutTraceIdHasNoMark() {
    CPPUNIT_ASSERT_EQUAL(std::string("452 4.2.2 Over quota\r\n"),
                         reply_line(decided(Awaited::kRcpt, "452 4.2.2 Over quota"), TraceId()));
  }

  void theTraceIdIsNeverCutOffALongReply() {
    for (const std::size_t id : {1u, 14u, 254u, 255u}) {
      for (const std::size_t text : {0u, 200u, 220u, 221u, 222u, 460u, 480u, 500u, 2000u}) {
        Outcome outcome = outcome_of(Trouble::kLost, std::string(text, 'x'));
        outcome.status = {4, 123, 999};  // the longest
        const std::string line = reply_line(outcome, id_of(std::string(id, 'i')));
        CPPUNIT_ASSERT(line.size() < 512);
        CPPUNIT_ASSERT(line.starts_with("451 4.123.999 Connection to the store lost: "));
        CPPUNIT_ASSERT(line.ends_with(" TRACEID=<" + std::string(id, 'i') + ">\r\n"));
      }
    }
  }

  void theTraceIdInTheStoresReplyIsNeverCutOff() {
    const std::string mark = "TRACEID=<t1-aaa>";
    Outcome outcome = outcome_of(Trouble::kLost, std::string(2000, 'x') + " " + mark);
    const std::string line = reply_line(outcome, id_of("t1-aaa"));
    CPPUNIT_ASSERT(line.size() < 512);
    CPPUNIT_ASSERT_MESSAGE(line, line.find(mark) != std::string::npos);
  }

  void aReplyIsOnePrintableLine() {
    const std::string line = reply_line(
        outcome_of(Trouble::kSpool, "a\r\n550 5.0.0 b\t\x1b[1m\xc3\xbc\x7f"), id_of("t1"));
    CPPUNIT_ASSERT(line.ends_with(" TRACEID=<t1>\r\n"));
    for (const char c : line.substr(0, line.size() - 2)) {
      CPPUNIT_ASSERT(c >= ' ' && c <= '~');
    }
  }

  void theExitStatusIsTempfailOrTheFirstRefusals() {
    const Outcome sent = decided(Awaited::kFinal, "250 2.1.5 ok");
    const Outcome later = decided(Awaited::kRcpt, "452 4.2.2 Over quota");
    const Outcome unknown = decided(Awaited::kRcpt, "550 5.1.1 User unknown");
    const Outcome full = decided(Awaited::kRcpt, "552 5.2.2 Over quota");
    const Outcome bad = decided(Awaited::kFinal, "554 5.6.0 invalid header");
    const struct {
      std::vector<Outcome> outcomes;
      int status;
    } rows[] = {
        {{sent}, EX_OK},
        {{sent, sent}, EX_OK},
        {{later}, EX_TEMPFAIL},
        {{unknown}, EX_NOUSER},
        {{outcome_of({5, 1, 6}, "")}, EX_NOUSER},
        {{outcome_of({5, 1, 7}, "")}, EX_UNAVAILABLE},  // of the sender
        {{outcome_of({5, 1, 8}, "")}, EX_UNAVAILABLE},
        {{outcome_of({5, 1, 9}, "")}, EX_NOUSER},
        {{full}, EX_UNAVAILABLE},
        {{bad}, EX_DATAERR},
        {{sent, unknown}, EX_NOUSER},
        {{unknown, sent}, EX_NOUSER},
        {{full, unknown, bad}, EX_UNAVAILABLE},
        {{bad, full}, EX_DATAERR},
        {{unknown, later}, EX_TEMPFAIL},
        {{later, unknown}, EX_TEMPFAIL},
        {{sent, full, later}, EX_TEMPFAIL},
        {{outcome_of(Trouble::kConfiguration, "")}, EX_TEMPFAIL},
        {{outcome_of(Trouble::kUncertain, "")}, EX_TEMPFAIL},
        {{outcome_of(Trouble::kNeedsUtf8, "")}, EX_DATAERR},
        {{outcome_of(Trouble::kTooLarge, "")}, EX_UNAVAILABLE},
        {{outcome_of(Trouble::kBadAddress, "")}, EX_NOUSER},
        {{outcome_of(Trouble::kNul, "")}, EX_DATAERR},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(row.status, exit_status(row.outcomes));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutcomeTest);
