#include "mailer/lmtp/lmtp_client.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "tests/unit/mailer/lmtp/client_replies.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using enum ClientState;

namespace {

constexpr const char* kCyrus =
    "250-mail.example.org\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n"
    "250-SIZE 262144\r\n250-IGNOREQUOTA\r\n250-TRACE\r\n250 Ok SESSIONID=<s1>\r\n";

// From s@x to u1, u2 and so on.
Transaction message_to(int recipients, const char* trace = "") {
  Transaction transaction;
  transaction.sender = Mailbox::parse("s@x").value();
  transaction.trace = TraceId::parse(trace).value_or(TraceId());
  for (int i = 1; i <= recipients; ++i) {
    transaction.recipients.push_back({Mailbox::parse("u" + std::to_string(i)).value(), false});
  }
  return transaction;
}

std::string begin(LmtpClient& client, Transaction transaction) {
  client.begin(std::move(transaction));
  return std::exchange(client.output(), {});
}

LmtpClient opened(const char* lhlo, std::size_t window = LmtpClient::kPipelineWindow) {
  LmtpClient client("here.example.org", window);
  hear(client, "220 hello\r\n");
  hear(client, lhlo);
  CPPUNIT_ASSERT(client.reusable());
  return client;
}

// A message for this many recipients was begun, and these are the replies so far.
LmtpClient begun(int recipients, std::string_view replies) {
  LmtpClient client = opened(kCyrus);
  begin(client, message_to(recipients));
  CPPUNIT_ASSERT_EQUAL(std::string(), hear(client, lines(replies)));
  return client;
}

// A message for three accepted recipients was sent completely, and these are the replies so far.
LmtpClient after_data(std::string_view replies) {
  LmtpClient client = begun(3, "250 a/250 b/250 c/250 d/354 go");
  client.end_of_data();
  hear(client, lines(replies));
  return client;
}

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

// "RCPT 452 4.2.2 full | -": one entry per recipient, "-" without an answer.
std::string answers(const LmtpClient& client) {
  std::string all;
  for (const auto& answer : client.answers()) {
    all += all.empty() ? "" : " | ";
    all += answer ? std::string(kAwaitedNames[static_cast<int>(answer->stage)]) + " " +
                        answer->reply.summary()
                  : "-";
  }
  return all;
}

void check_end(ClientState state, const std::string& expected, const LmtpClient& client,
               const std::string& about = "") {
  check(kClientStateNames[static_cast<int>(state)],
        kClientStateNames[static_cast<int>(client.state())], about + " " + client.reason());
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, state == kReady, client.reusable());
  check(expected, answers(client), about);
}

// How a message for `recipients` ends when the store sends `replies` and then `finals`; in between
// the message is sent, if the client is ready for it.
struct Dialogue {
  const char* name;
  int recipients;
  const char* replies;
  const char* finals;
  ClientState state;
  const char* answers;
};

constexpr const char* kOne = "250 a/250 b/354 go";
constexpr const char* kTwo = "250 a/250 b/250 c/354 go";

constexpr Dialogue kDialogues[] = {
    // trap: idle-connection-closed
    // traps: invalid-final-reply, multi-line-reply, recipients-apart, reply-class
    // traps: one-reply-per-recipient, replies-cut-anywhere, wrong-number-of-replies

    {"takesOneReplyForEachAcceptedRecipientInOrder", 4,
     "250 a/250 b/452 4.2.2 full/250 c/250 d/354 go", "550 5.7.1 no/250 2.1.5 in/452 4.3.1 disk",
     kReady,
     "end of data 550 5.7.1 no | RCPT 452 4.2.2 full | end of data 250 2.1.5 in | "
     "end of data 452 4.3.1 disk"},
    {"waitsForEveryFinalReply", 2, kTwo, "250 in", kFinal, "end of data 250 in | -"},
    {"aReplyOfThreeLinesIsOneReply", 2, kTwo, "550-5.1.1 a/550-5.1.1 b/550 5.1.1 c/250 in", kReady,
     "end of data 550 5.1.1 a b c | end of data 250 in"},
    {"anExtraReplyBreaks", 1, kOne, "250 in/550 no", kBroken, "end of data 250 in"},
    {"garbageAfterTheLastReplyBreaks", 1, kOne, "250 in/", kBroken, "end of data 250 in"},
    {"a421OnAnIdleConnectionBreaks", 1, kOne, "250 in/421 bye", kBroken, "end of data 250 in"},
    {"a421AfterTheEndOfDataIsForAllWithoutAReply", 2, kTwo, "421 bye/250 in", kBroken,
     "end of data 421 bye | end of data 421 bye"},
    // traps: refused-mail, 354-for-nobody
    {"a421AfterTheEndOfDataIsAnAnswer", 1, kOne, "421 bye", kBroken, "end of data 421 bye"},
    {"anInvalidFinalReplyIsNoAnswer", 2, kTwo, "250 in/354 go", kBroken, "end of data 250 in | -"},
    {"anIncompleteFinalReplyIsNoAnswer", 1, kOne, "25", kBroken, "-"},

    {"aRefusedMailIsNeverFollowedByABody", 2, "552 big/250 a/250 b/354 go", "", kBroken,
     "MAIL 552 big | MAIL 552 big"},
    {"aRefusedMailAnswersAllRecipients", 2, "451 no/503 a/250 b/503 c", "", kReady,
     "MAIL 451 no | MAIL 451 no"},
    {"withoutAnAcceptedRecipientNoBodyIsSent", 2, "250 a/550 5.1.1 no/452 full/354 go", "", kBroken,
     "RCPT 550 5.1.1 no | RCPT 452 full"},
    {"withoutAnAcceptedRecipientTheReplyToDataIsStillAwaited", 1, "250 a/550 no", "", kEnvelope,
     "RCPT 550 no"},
    {"withoutAnAcceptedRecipientTheConnectionStaysUsable", 1, "250 a/550 no/503 b", "", kReady,
     "RCPT 550 no"},
    {"aRefusedDataAnswersTheAcceptedRecipients", 2, "250 a/550 no/250 b/451 disk", "", kReady,
     "RCPT 550 no | DATA 451 disk"},
    {"neverSendsDataWithoutARecipient", 0, "250 a", "", kReady, ""},
    {"a421ToMailBreaks", 1, "421 bye/250 a/354 go", "", kBroken, "-"},
    {"a421ToRcptBreaks", 2, "250 a/550 no/421 bye/354 go", "", kBroken, "RCPT 550 no | -"},
    {"a421ToDataBreaks", 1, "250 a/250 b/421 bye", "", kBroken, "-"},
    {"a250ToDataBreaks", 1, "250 a/250 b/250 c", "", kBroken, "-"},
    {"onlyA354ToDataLetsTheMessageBegin", 1, "250 a/250 b/350 c", "250 in", kBroken, "-"},
    {"a354ToMailBreaks", 1, "354 a", "", kBroken, "-"},
    {"a100ToRcptBreaks", 1, "250 a/100 b", "", kBroken, "-"},
    // trap: reply-before-end-of-data
    {"anInvalidReplyBreaks", 1, "250 a/foo", "", kBroken, "-"},
    {"aRefusalBeforeTheEndOfDataAnswersAllRecipients", 2, "250 a/250 b/250 c/354 go/452 disk",
     "250 in", kBroken, "DATA 452 disk | DATA 452 disk"},
    {"aSuccessBeforeTheEndOfDataIsNoAnswer", 1, "250 a/250 b/354 go/250 in", "250 in", kBroken,
     "-"},
};

class DialogueTest : public CppUnit::TestCase {
 public:
  explicit DialogueTest(const Dialogue& row)
      : TestCase("LmtpClientTest::" + std::string(row.name)), row_(row) {}

  void runTest() override {
    play(1, 1);
    for (std::size_t cut = 1; cut < 100; ++cut) {  // trap: replies-cut-anywhere
      play(cut, 100);
    }
  }

 private:
  void play(std::size_t first, std::size_t other) {
    LmtpClient client = begun(row_.recipients, "");
    for (const char* said : {row_.replies, row_.finals}) {
      std::string all = lines(said);
      for (std::size_t length = first; !all.empty(); length = other) {
        check("", hear(client, all.substr(0, length)));
        all.erase(0, length);
      }
      if (client.state() == kBody) {
        client.end_of_data();
      }
    }
    check_end(row_.state, row_.answers, client);
  }

  const Dialogue& row_;
};

}  // namespace

class LmtpClientTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LmtpClientTest);
  CPPUNIT_TEST(aLongReplyIsKeptCapped);
  CPPUNIT_TEST(sendsLhloAfterTheCompleteGreeting);
  CPPUNIT_TEST(aRefusedOpeningBreaksAndNothingIsSent);
  CPPUNIT_TEST(sendsOnlyParametersThatAreOffered);
  CPPUNIT_TEST(sendsOneCommandAtATimeWithoutPipelining);
  CPPUNIT_TEST(neverHasMoreCommandsInProgressThanTheWindow);
  CPPUNIT_TEST(beginsEveryLaterTransactionWithRset);
  CPPUNIT_TEST(aRefusedTraceDoesNotStopMail);
  CPPUNIT_TEST(aRefusedRsetBreaks);
  CPPUNIT_TEST(sendsNothingAfterARefusedMailWithoutPipelining);
  CPPUNIT_TEST(aQuestionEndsAtRcpt);
  CPPUNIT_TEST(aReplyBeforeItsCommandBreaks);
  CPPUNIT_TEST(oneRefusalOfTheMessageMayCountForAllRecipients);
  CPPUNIT_TEST(aRefusalOfTheMessageCountsForOneRecipientIfOthersAreAnswered);
  CPPUNIT_TEST(a221ThatWasNotAskedForAnswersNobody);
  CPPUNIT_TEST(anyOtherRefusalCountsForOneRecipient);
  CPPUNIT_TEST(isNotReusableAfterQuitOrAnIncompleteReply);
  CPPUNIT_TEST(keepsTheAnswersFromBeforeALoss);
  CPPUNIT_TEST(acceptsALineOfAMegabyteButNotAnEndlessReply);
  CPPUNIT_TEST(namesMatchTheirEnums);
  CPPUNIT_TEST_SUITE_ADD_CUSTOM_TESTS(addDialogues);
  CPPUNIT_TEST_SUITE_END();

  void aLongReplyIsKeptCapped() {
    std::string reply = "550-5.1.1 the detail\r\n";
    for (int i = 0; i < 8; ++i) {
      reply += "550-" + std::string(900, 'x') + "\r\n";
    }
    reply += "550 the end\r\n";
    const auto size_kept = [](const LmtpClient& client) {
      const std::vector<std::string>& kept = client.answers().at(0)->reply.lines;
      CPPUNIT_ASSERT(client.answers().at(0)->reply.text().starts_with("the detail; xxx"));
      CPPUNIT_ASSERT((client.answers().at(0)->reply.status == EnhancedStatus{5, 1, 1}));
      return std::accumulate(kept.begin(), kept.end(), std::size_t{0},
                             [](std::size_t sum, const auto& line) { return sum + line.size(); });
    };
    for (const char* const before : {"", "250 sender/", "250 sender/250 rcpt/354 go/"}) {
      LmtpClient client = opened(kCyrus);
      begin(client, message_to(1));
      const std::string stage(before);
      hear(client, lines(stage.substr(0, stage.empty() ? 0 : stage.size() - 1)));
      if (client.state() == kBody) {
        client.end_of_data();
      }
      hear(client, reply);
      CPPUNIT_ASSERT(size_kept(client) <= kMaxReplyLine);
    }
    Transaction question = message_to(1);
    question.purpose = Transaction::Purpose::kAsk;
    LmtpClient client = opened(kCyrus);
    begin(client, std::move(question));
    hear(client, "250 sender\r\n" + reply);
    CPPUNIT_ASSERT(size_kept(client) > 7000);
  }

  static void addDialogues(TestSuiteBuilderContextType& context) {
    for (const Dialogue& row : kDialogues) {
      context.addTest(new DialogueTest(row));
    }
  }

  void sendsLhloAfterTheCompleteGreeting() {  // traps: odd-greeting, sessionid-in-lhlo
    LmtpClient client("here.example.org");
    check("", hear(client, "220-one\r\n220-two\r\n220 thr"));
    check("LHLO here.example.org\r\n", hear(client, "ee\r\n"));
    check("one two three", client.greeting().text());
    for (const char& c : std::string_view(kCyrus)) {
      CPPUNIT_ASSERT(!client.reusable());
      hear(client, std::string_view(&c, 1));
    }
    check("s1", client.session());
    CPPUNIT_ASSERT(client.reusable() && client.capabilities().offers("TRACE"));
  }

  void aRefusedOpeningBreaksAndNothingIsSent() {  // trap: odd-greeting
    for (const char* before : {"", "220 hello"}) {
      for (const char* said : {"421 busy", "554 no", "554-no/554 never", "/", "354 go", "SSH-2.0-x",
                               "421-4.3.0 usage/421 bye", "250-a/251 b", "250-a/b"}) {
        LmtpClient client("here");
        hear(client, lines(before));
        check("", hear(client, lines(said)), said);
        check_end(kBroken, "", client, said);
      }
    }
  }

  // trap: ignorequota-ends-line
  void sendsOnlyParametersThatAreOffered() {  // the exact bytes
    const std::pair<const char*, const char*> rows[] = {
        {kCyrus,
         "TRACE t1.x\r\nMAIL FROM:<s@x> SIZE=4321 BODY=8BITMIME\r\n"
         "RCPT TO:<u1> IGNOREQUOTA\r\nRCPT TO:<u2>\r\nDATA\r\n"},
        {"250-x\r\n250-PIPELINING\r\n250-XIGNOREQUOTA\r\n250 TRACES\r\n",
         "MAIL FROM:<s@x>\r\nRCPT TO:<u1>\r\nRCPT TO:<u2>\r\nDATA\r\n"},
        {"250-x\r\n250-PIPELINING\r\n250 XLMTPQ\r\n",
         "MAIL FROM:<s@x> XLMTPQ=a.b\r\nRCPT TO:<u1>\r\nRCPT TO:<u2>\r\nDATA\r\n"}};
    for (const auto& [lhlo, flight] : rows) {
      LmtpClient client = opened(lhlo);
      Transaction transaction = message_to(2, "t1.x");
      transaction.body = BodyType::k8BitMime;
      transaction.size = 4321;
      transaction.hops.add("a.b");
      transaction.recipients[0].ignore_quota = true;
      check(flight, begin(client, transaction));
    }
  }

  void sendsOneCommandAtATimeWithoutPipelining() {
    LmtpClient client = opened("250 x\r\n");
    Transaction transaction = message_to(2);
    transaction.sender = {};
    check("MAIL FROM:<>\r\n", begin(client, transaction));  // trap: null-sender
    check("RCPT TO:<u1>\r\n", hear(client, "250 ok\r\n"));
    check("RCPT TO:<u2>\r\n", hear(client, "250 ok\r\n"));
    check("DATA\r\n", hear(client, "550 no\r\n"));
    check("", hear(client, "354 go\r\n"));
    check_end(kBody, "- | RCPT 550 no", client);
  }

  void
  neverHasMoreCommandsInProgressThanTheWindow() {  // traps: pipelining-window, both-sides-write
    for (const std::size_t window : {1u, 2u, 5u, 100u}) {
      LmtpClient client = opened(kCyrus, window);
      std::string output = begin(client, message_to(250));
      std::size_t sent = 0;
      for (std::size_t received = 0; client.state() == kEnvelope; ++received) {
        sent += static_cast<std::size_t>(std::count(output.begin(), output.end(), '\n'));
        CPPUNIT_ASSERT_EQUAL(std::min(window, 252 - received), sent - received);
        output = hear(client, received < 251 ? "250 ok\r\n" : "354 go\r\n");
      }
      CPPUNIT_ASSERT_EQUAL(std::size_t{252}, sent);
    }
  }

  // traps: trace-id-stays, sessionid-changes, stale-capabilities
  void beginsEveryLaterTransactionWithRset() {
    LmtpClient client = after_data("250 a/250 b/250 c");
    Transaction next = message_to(1, "t2");
    next.recipients[0].ignore_quota = true;
    check("RSET\r\nTRACE t2\r\nMAIL FROM:<s@x>\r\nRCPT TO:<u1> IGNOREQUOTA\r\nDATA\r\n",
          begin(client, next));
    hear(client, "250 2.0.0 Ok SESSIONID=<s2>\r\n");
    check("s2", client.session());
    check("-", answers(client));
    hear(client, lines("250 a/250 b/550 no/503 c"));
    check("RSET\r\nMAIL FROM:<s@x>\r\n", begin(client, message_to(0)));  // no old trace
  }

  void aRefusedTraceDoesNotStopMail() {  // trap: trace-refused
    for (const char* refusal : {"500 x", "501 5.5.4 Invalid TRACE id.", "450 later", "354 go"}) {
      LmtpClient client = opened(kCyrus);
      begin(client, message_to(1, "t1"));
      hear(client, lines(refusal) + lines("250 ok/250 ok/354 go"));
      check(refusal, client.trace_refusal().value().summary());
      check_end(kBody, "-", client, refusal);
      client.end_of_data();
      hear(client, "250 ok\r\n");
      begin(client, message_to(1));
      CPPUNIT_ASSERT(!client.trace_refusal());
    }
  }

  void aRefusedRsetBreaks() {  // trap: rset-refused
    for (const char* said : {"500 x/250 a/250 b/250 c/354 go", "421 x", "354 go", "250 a/421 x"}) {
      LmtpClient client = after_data("250 a/250 b/250 c");
      begin(client, message_to(1, "t2"));
      hear(client, lines(said));
      check_end(kBroken, "-", client, said);
    }
  }

  void sendsNothingAfterARefusedMailWithoutPipelining() {  // trap: refused-mail
    LmtpClient client = opened("250 x\r\n");
    begin(client, message_to(2));
    check("", hear(client, "451 4.3.0 later\r\n"));
    check_end(kReady, "MAIL 451 4.3.0 later | MAIL 451 4.3.0 later", client);
    check("RSET\r\n", begin(client, message_to(1)));
  }

  void aQuestionEndsAtRcpt() {
    LmtpClient client = opened(kCyrus);
    Transaction transaction = message_to(2);
    transaction.purpose = Transaction::Purpose::kAsk;
    check("MAIL FROM:<s@x>\r\nRCPT TO:<u1>\r\nRCPT TO:<u2>\r\n", begin(client, transaction));
    check("", hear(client, "250 ok\r\n250 2.1.5 ok\r\n452 4.2.2 full\r\n"));
    check_end(kReady, "RCPT 250 2.1.5 ok | RCPT 452 4.2.2 full", client);
  }

  // A reply that comes before its command was sent cannot be its reply.
  void aReplyBeforeItsCommandBreaks() {
    LmtpClient client = opened("250 x\r\n");
    begin(client, message_to(1));
    hear(client, lines("250 ok/250 ok"));
    check_end(kBroken, "-", client);
    LmtpClient greeted("here");
    hear(greeted, lines("220 hello/250 ok"));
    check_end(kBroken, "", greeted);
  }

  // A client that asked by QUIT whether there are more replies.
  static LmtpClient after_refusal(const std::string& refusal) {
    LmtpClient client = after_data(refusal);
    CPPUNIT_ASSERT(client.message_refused());
    client.quit_after_refusal();
    CPPUNIT_ASSERT(!client.message_refused() && client.state() == kFinal);
    return client;
  }

  void oneRefusalOfTheMessageMayCountForAllRecipients() {  // trap: one-552-for-all
    for (const std::string refusal : {"552 5.2.3 too big", "552 5.3.4 too big"}) {
      LmtpClient client = after_refusal(refusal);
      check("QUIT\r\n", std::exchange(client.output(), {}));
      hear(client, "221 bye\r\n");
      const std::string one = "end of data " + refusal;
      const std::string other = one + " (the only reply, taken for all recipients)";
      check_end(kBroken, one + " | " + other + " | " + other, client);
    }
  }

  void aRefusalOfTheMessageCountsForOneRecipientIfOthersAreAnswered() {
    const std::string one = "end of data 552 5.2.3 big | ";
    for (const auto& [said, answers] : std::vector<std::pair<std::string, std::string>>{
             {"250 in/452 full/221 bye", "end of data 250 in | end of data 452 full"},
             {"250 in/452 full", "end of data 250 in | end of data 452 full"},
             {"552 5.2.3 no/221 bye", "end of data 552 5.2.3 no | -"},
             {"250 in/221 bye", "end of data 250 in | -"}}) {
      LmtpClient client = after_refusal("552 5.2.3 big");
      client.output().clear();
      hear(client, lines(said));
      check_end(kBroken, one + answers, client, said);
    }
  }

  void a221ThatWasNotAskedForAnswersNobody() {
    LmtpClient early = after_refusal("552 5.2.3 big");  // QUIT is not written yet
    hear(early, "221 bye\r\n");
    check_end(kBroken, "end of data 552 5.2.3 big | - | -", early);
    check_end(kBroken, "end of data 250 in | - | -", after_data("250 in/221 bye"));
    check_end(kBroken, "end of data 552 5.2.3 big | - | -", after_data("552 5.2.3 big/221 bye"));
  }

  void anyOtherRefusalCountsForOneRecipient() {
    for (const char* said : {"", "552 5.2.2 full", "552 no", "452 4.2.3 x", "552 5.2.3 x/250 ok",
                             "250 ok/552 5.2.3 x", "552 5.2.3 x/552 5.2.3 x/552 5.2.3 x"}) {
      CPPUNIT_ASSERT_MESSAGE(said, !after_data(said).message_refused());
    }
  }

  void isNotReusableAfterQuitOrAnIncompleteReply() {
    LmtpClient half = after_data("250 a/250 b/250 c");
    hear(half, "25");
    CPPUNIT_ASSERT(half.state() == kReady && !half.reusable());
    LmtpClient client = opened(kCyrus);
    client.quit();
    check("QUIT\r\n", std::exchange(client.output(), {}));
    CPPUNIT_ASSERT(!client.reusable());
    hear(client, "221 bye\r\n");
    CPPUNIT_ASSERT(!client.reusable() && !client.awaited());
  }

  void keepsTheAnswersFromBeforeALoss() {  // trap: lost-among-replies
    LmtpClient client = after_data("250 2.1.5 in");
    client.lost("first");
    client.lost("second");
    check_end(kBroken, "end of data 250 2.1.5 in | - | -", client);
    check("first", client.reason());
  }

  void acceptsALineOfAMegabyteButNotAnEndlessReply() {
    const std::string megabyte(1 << 20, 'x');
    LmtpClient client = after_data("250-" + megabyte);
    check_end(kFinal, "- | - | -", client);
    for (int i = 0; i < 5; ++i) {
      hear(client, megabyte);
    }
    check_end(kBroken, "- | - | -", client);
  }

  void namesMatchTheirEnums() {
    CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(Awaited::kQuit) + 1, std::size(kAwaitedNames));
    CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(kBroken) + 1, std::size(kClientStateNames));
    check("end of data", kAwaitedNames[static_cast<int>(Awaited::kFinal)]);
    check("broken", kClientStateNames[static_cast<int>(kBroken)]);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LmtpClientTest);
