#include "mailer/lmtp/lmtp_server.h"

#include <cppunit/extensions/HelperMacros.h>

#include <utility>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

constexpr const char* kMessage =
    "LHLO a\r\nMAIL FROM:<s@x>\r\nRCPT TO:<u1>\r\nRCPT TO:<u2>\r\nDATA\r\nhi\r\n.\r\n";

ServerLimits limits() {
  ServerLimits made;
  made.name = "here";
  return made;
}

// A server, and what it has sent and received so far.
struct Session {
  explicit Session(ServerLimits with = limits()) : server(std::move(with)) { say(""); }

  // The server's replies. Stops at a complete message, and leaves the rest of the input in `rest`.
  std::string say(std::string_view input) {
    ServerEvent event = ServerEvent::kBody;
    while (event == ServerEvent::kBody) {
      event = server.advance(input);
      body += std::exchange(server.body(), {});
    }
    rest = input;
    return std::exchange(server.output(), {});
  }

  // The codes of the replies: "250 250 354".
  std::string codes(std::string_view input) {
    std::string all;
    const std::string output = say(input);
    for (std::size_t start = 0; start < output.size(); start = output.find('\n', start) + 1) {
      if (output.at(start + 3) == ' ') {
        all += (all.empty() ? "" : " ") + output.substr(start, 3);
      }
    }
    return all;
  }

  std::string state() const { return kServerStateNames[static_cast<int>(server.state())]; }

  LmtpServer server;
  std::string body;
  std::string rest;
};

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

std::string recipients(const Session& session) {
  std::string all;
  for (const Recipient& recipient : session.server.envelope().recipients) {
    all += recipient.mailbox.path() + (recipient.ignore_quota ? "!" : "");
  }
  return all;
}

}  // namespace

class LmtpServerTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LmtpServerTest);
  CPPUNIT_TEST(offersWhatSendmailNeedsAndNoMore);
  CPPUNIT_TEST(answersEveryVerbInEveryState);
  CPPUNIT_TEST(everyReplyIsOneLineWithAMatchingEnhancedStatus);
  CPPUNIT_TEST(neverRefusesDataWhileThereIsARecipient);
  CPPUNIT_TEST(dataWithoutARecipientIsRefused);
  CPPUNIT_TEST(keepsTheEnvelopeInTheClientsOrder);
  CPPUNIT_TEST(acceptsCommandsInAnyCase);
  CPPUNIT_TEST(onlyCrlfDotCrlfEndsTheMessage);
  CPPUNIT_TEST(keepsALoneDotAsText);
  CPPUNIT_TEST(aLongRunOfLoneCrsLosesNoInput);
  CPPUNIT_TEST(isReadyForTheNextMessageWhenTheLastIsAnswered);
  CPPUNIT_TEST(readsNothingUntilTheMessageIsAnswered);
  CPPUNIT_TEST(acceptsAWholeSessionInOnePiece);
  CPPUNIT_TEST(everyCutOfTheInputGivesTheSameSession);
  CPPUNIT_TEST(oneTransactionLeavesNoStateToTheNext);
  CPPUNIT_TEST(aRefusedMailLeavesNoTransaction);
  CPPUNIT_TEST(aRefusedRecipientDoesNotAffectTheOthers);
  CPPUNIT_TEST(refusesRecipientsBeyondTheLimitTemporarily);
  CPPUNIT_TEST(refusesADeclaredSizeOverTheLimit);
  CPPUNIT_TEST(aLineOfAMegabyteIsRefusedAndItsTailIsNoCommand);
  CPPUNIT_TEST(aTooLongRcptLineIsARefusedAddress);
  CPPUNIT_TEST(aLoneCrOrANulCannotHideACommand);
  CPPUNIT_TEST(readsNothingAfterQuit);
  CPPUNIT_TEST(offersWhatTheLimitsAllow);
  CPPUNIT_TEST(acceptsIgnoreQuotaPerRecipient);
  CPPUNIT_TEST(aTraceIdStaysUntilRset);
  CPPUNIT_TEST(traceIsAnsweredInEveryStateBeforeData);
  CPPUNIT_TEST(anInvalidTraceLeavesThePreviousId);
  CPPUNIT_TEST(aPipelinedSessionIsTheSameAtEveryCut);
  CPPUNIT_TEST(aServerWithAMarkShowsItAndPassesItOn);
  CPPUNIT_TEST(aMessageThatWasHereBeforeIsDeferredAtMail);
  CPPUNIT_TEST(drainingRefusesOnlyTheNextMail);
  CPPUNIT_TEST(drainingLetsAClientSendTheMessageThatItHasBegun);
  CPPUNIT_TEST(drainingAnswersRsetBy421SoThatTheClientDialsAgain);
  CPPUNIT_TEST(atItsEndQuitHasItsReplyAndAnyOtherCommand421);
  CPPUNIT_TEST(sends421OnlyBeforeData);
  CPPUNIT_TEST(withoutMemoryNewMessagesAndRecipientsAreDeferred);
  CPPUNIT_TEST(tooManyCommandsWithoutAMessageEndTheSession);
  CPPUNIT_TEST(recipientsAndMessagesAreNotIdleCommands);
  CPPUNIT_TEST(anHttpRequestDeliversNothing);
  CPPUNIT_TEST(namesMatchTheEnum);
  CPPUNIT_TEST(theClientIsJudgedBeforeEachMessage);
  CPPUNIT_TEST_SUITE_END();

  // traps: enhanced-codes, pipelining-mta, size-offered, smtputf8-missing, dsn-parameters
  void offersWhatSendmailNeedsAndNoMore() {
    LmtpServer server(limits());
    check("220 here LMTP lmtpq\r\n", server.output());
    check("250-here\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
          Session().say("LHLO a\r\n"));
    ServerLimits sized = limits();
    sized.max_size = 1000;
    check(
        "250-here\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250 SMTPUTF8\r\n",
        Session(sized).say("LHLO a\r\n"));
  }

  void answersEveryVerbInEveryState() {
    const char* const inputs[] = {"",
                                  "LHLO a\r\n",
                                  "LHLO a\r\nMAIL FROM:<s>\r\n",
                                  "LHLO a\r\nMAIL FROM:<s>\r\nRCPT TO:<u>\r\n",
                                  "LHLO a\r\nMAIL FROM:<s>\r\nRCPT TO:<u>\r\nDATA\r\n",
                                  kMessage,
                                  "QUIT\r\n"};
    // Code and next state in greeted, ready, mail, rcpt; in later states verbs are text or unread.
    const struct {
      const char* line;
      const char* ends[4];
    } rows[] = {
        {"LHLO b", {"250 ready", "250 ready", "250 ready", "250 ready"}},
        {"LHLO", {"501 greeted", "501 ready", "501 mail", "501 rcpt"}},
        {"EHLO b", {"500 greeted", "500 ready", "500 mail", "500 rcpt"}},
        {"HELO b", {"500 greeted", "500 ready", "500 mail", "500 rcpt"}},
        {"MAIL FROM:<s>", {"503 greeted", "250 mail", "503 mail", "503 rcpt"}},
        {"MAIL FROM:s", {"503 greeted", "553 ready", "503 mail", "503 rcpt"}},
        {"RCPT TO:<u>", {"503 greeted", "503 ready", "250 rcpt", "250 rcpt"}},
        {"RCPT TO:<>", {"503 greeted", "503 ready", "553 mail", "553 rcpt"}},
        {"DATA", {"503 greeted", "503 ready", "503 mail", "354 data"}},
        {"RSET", {"250 greeted", "250 ready", "250 ready", "250 ready"}},
        {"NOOP", {"250 greeted", "250 ready", "250 mail", "250 rcpt"}},
        {"VRFY u", {"252 greeted", "252 ready", "252 mail", "252 rcpt"}},
        {"QUIT", {"221 closed", "221 closed", "221 closed", "221 closed"}},
        {"TRACE x", {"500 greeted", "500 ready", "500 mail", "500 rcpt"}},
        {"RCPT TO:<u> IGNOREQUOTA", {"503 greeted", "503 ready", "555 mail", "555 rcpt"}},
        {"STARTTLS", {"500 greeted", "500 ready", "500 mail", "500 rcpt"}},
        {"", {"500 greeted", "500 ready", "500 mail", "500 rcpt"}},
    };
    for (const auto& row : rows) {
      for (std::size_t state = 0; state < std::size(inputs); ++state) {
        Session session;
        session.say(inputs[state]);
        check(kServerStateNames[state], session.state());
        const std::string codes = session.codes(std::string(row.line) + "\r\n");
        check(state < 4 ? row.ends[state] : std::string(" ") + kServerStateNames[state],
              codes + " " + session.state(),
              std::string(row.line) + " in " + kServerStateNames[state]);
      }
    }
  }

  // traps: long-reply-line, enhanced-codes, 421-after-end-of-data
  void everyReplyIsOneLineWithAMatchingEnhancedStatus() {
    Session session;
    session.say("LHLO a\r\n");
    const std::string longest = "RCPT TO:<" + std::string(5000, 'x') + ">";
    for (const std::string& line :
         {std::string("LHLO"), std::string("EHLO x"), std::string("DATA"),
          std::string("RCPT TO:<a>"), std::string("MAIL x"), std::string("MAIL FROM:<a> X=1"),
          std::string("MAIL FROM:<a>"), std::string("MAIL FROM:<a>"),
          std::string("RCPT TO:<a> NOTIFY=NEVER"), std::string("RCPT TO:<\xff>"), longest,
          std::string(5000, 'x'), std::string("RCPT TO:<a>"), std::string("NOOP"),
          std::string("VRFY a"), std::string("RSET"), std::string("QUIT")}) {
      const std::string reply = session.say(line + "\r\n");
      CPPUNIT_ASSERT_EQUAL_MESSAGE(line, reply.size() - 1, reply.find('\n'));
      std::string_view text = std::string_view(reply).substr(4);
      const auto status = EnhancedStatus::take(text);
      CPPUNIT_ASSERT_MESSAGE(reply, status && status->klass == reply[0] - '0');
      CPPUNIT_ASSERT_MESSAGE(reply, reply.size() <= kMaxReplyLine && !reply.starts_with("421"));
      CPPUNIT_ASSERT_MESSAGE(reply, reply.ends_with("\r\n") && text.size() > 2);
    }
  }

  void neverRefusesDataWhileThereIsARecipient() {
    for (const char* before : {"", "RCPT TO:<>\r\n", "RCPT x\r\n", "MAIL FROM:<a>\r\n", "FOO\r\n",
                               "NOOP\r\n", "VRFY a\r\n", "LHLO\r\n", "EHLO a\r\n"}) {
      for (const char* data : {"DATA\r\n", "data\r\n", "DATA \r\n", "DATA now\r\n", "DATA\n"}) {
        Session session;
        session.say("LHLO a\r\nMAIL FROM:<s>\r\nRCPT TO:<u>\r\n");
        session.say(before);
        check("354", session.codes(data), std::string(before) + data);
      }
    }
  }

  void dataWithoutARecipientIsRefused() {
    Session session;
    session.say("LHLO a\r\nMAIL FROM:<s>\r\nRCPT TO:<>\r\n");
    check("503 250 250 354", session.codes("DATA\r\nNOOP\r\nRCPT TO:<u>\r\nDATA\r\n"));
  }

  void keepsTheEnvelopeInTheClientsOrder() {  // traps: one-reply-per-recipient, null-sender
    Session session;
    session.say(
        "LHLO a\r\nMAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n"
        "RCPT TO:<c>\r\nRCPT TO:<<>>\r\nRCPT TO:<a@x>\r\nRCPT TO:<c>\r\n");
    const Envelope& envelope = session.server.envelope();
    CPPUNIT_ASSERT(envelope.sender.null() && envelope.body == BodyType::k8BitMime);
    CPPUNIT_ASSERT(envelope.charset == AddressCharset::kUtf8);
    check("<c><a@x><c>", recipients(session));
  }

  void acceptsCommandsInAnyCase() {  // trap: command-spelling
    check("250 250 250 354", Session().codes("lhlo a\r\nMAIL From: <s@x>  size=3\r\n"
                                             "rCPT to : <u>\r\nData\r\n"));
  }

  void onlyCrlfDotCrlfEndsTheMessage() {  // traps: bare-lf-ends-message, bare-cr-ends-message
    for (const char* text :
         {"a\n.\n", "a\n.\r\n", "a\r\n.\n", "a\r.\r\n", "a\r\n\r.\r\n", "a\r\n.\rQUIT",
          "a\r\n.\r\r\n", "a.\r\n", "a\r\n..\r\n", "a\r\n. \r\n"}) {
      Session session;
      check("250 250 250 354", session.codes("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\n"));
      check("", session.say(text), text);
      check("data", session.state(), text);
      session.say("\r\n.\r\n");
      check("deciding", session.state(), text);
    }
  }

  // In the header nothing comes of most of them, in the body more than fits into one event.
  void aLongRunOfLoneCrsLosesNoInput() {
    const std::string run(100'000, '\r');
    for (const std::string top : {"", "a: b\r\n\r\n"}) {
      Session session;
      session.say("LHLO a\r\nMAIL FROM:<s@x>\r\nRCPT TO:<u1>\r\nDATA\r\n");
      session.say(top + run + "x\r\n.\r\n");
      check("deciding", session.state());
      CPPUNIT_ASSERT(session.body.ends_with("x\r\n"));
      CPPUNIT_ASSERT(top.empty() || session.body.size() == top.size() + 2 * run.size() + 3);
    }
  }

  void keepsALoneDotAsText() {  // traps: odd-message, dot-stuffing; Sendmail stuffs with F=X;
                                // Sendmail stuffs with F=X
    Session session;
    session.say("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\n..\r\n...\r\n.a\r\n\r\n.\r\n");
    check(".\r\n..\r\na\r\n\r\n", session.body);
    Session empty;
    empty.say("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\n.\r\n");
    check("deciding", empty.state() + empty.body);
  }

  void isReadyForTheNextMessageWhenTheLastIsAnswered() {
    Session session;
    check("250 250 250 250 354", session.codes(kMessage));
    check("deciding hi\r\n", session.state() + " " + session.body);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, session.server.answered().recipients.size());
    check("", session.say(""));
    check("ready", session.state());
    check("", recipients(session));
  }

  void readsNothingUntilTheMessageIsAnswered() {
    Session session;
    session.say(std::string(kMessage) + "RSET\r\nQUIT\r\n");
    check("RSET\r\nQUIT\r\n", session.rest);
    std::string_view input = session.rest;
    CPPUNIT_ASSERT(session.server.advance(input) == ServerEvent::kMessage);
    CPPUNIT_ASSERT_EQUAL(session.rest.size(), input.size());
    check("<u1><u2>", recipients(session));
  }

  // The whole session's replies, messages and envelopes, fed in pieces of `first`, then `other`.
  static std::string play(std::string_view input, std::size_t first, std::size_t other,
                          const ServerLimits& with = limits()) {
    Session session(with);
    std::string all;
    for (std::size_t length = first; !input.empty(); length = other) {
      std::string piece(input.substr(0, length));
      input.remove_prefix(piece.size());
      while (!piece.empty() || session.state() == "deciding") {
        all += session.say(piece);
        piece = session.state() == "closed" ? "" : session.rest;
        if (session.state() == "deciding") {
          all += recipients(session) + std::exchange(session.body, {});
          for (std::size_t left = session.server.answered().recipients.size(); left > 0; --left) {
            all += "250 2.1.5 in\r\n";
          }
        }
      }
    }
    all += session.say("");
    return all + session.state();
  }

  void acceptsAWholeSessionInOnePiece() {
    check(
        "250-here\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n"
        "354 End data with <CR><LF>.<CR><LF>\r\n<u>a\r\n.b\r\n250 2.1.5 in\r\n"
        "221 2.0.0 Bye\r\nclosed",
        play("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\na\r\n..b\r\n.\r\nQUIT\r\n", 999, 1));
  }

  void everyCutOfTheInputGivesTheSameSession() {
    const std::string_view input =
        "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\na\r\n..b\n.\r\rc\r.\r\n.\rd\r\n\r\n.\r\n"
        "MAIL FROM:<s> SIZE=x\r\nMAIL FROM:<s>\r\nRCPT TO:<v>\r\nRSET\r\nMAIL FROM:<s>\r\n"
        "RCPT TO:<w>\r\nDATA\r\n.\r\nQUIT\r\nNOOP\r\n";
    const std::string whole = play(input, input.size(), 1);
    CPPUNIT_ASSERT(whole.find("<u>") < whole.find("<w>") && whole.ends_with("closed"));
    for (std::size_t cut = 1; cut < input.size(); ++cut) {
      check(whole, play(input, cut, input.size()), "cut at " + std::to_string(cut));
    }
    check(whole, play(input, 1, 1), "byte by byte");
  }

  void oneTransactionLeavesNoStateToTheNext() {  // trap: state-between-messages
    for (const char* between : {"", "RSET\r\n", "LHLO a\r\n"}) {
      Session session;
      session.say(kMessage);
      session.server.answered();
      check("", recipients(session));
      session.say("MAIL FROM:<a> SMTPUTF8 BODY=7BIT\r\nRCPT TO:<old>\r\n");
      session.say(*between == '\0' ? "RSET\r\n" : between);
      check("", recipients(session), between);
      session.say("MAIL FROM:<b>\r\nRCPT TO:<new>\r\n");
      check("<new>", recipients(session), between);
      CPPUNIT_ASSERT(session.server.envelope().charset == AddressCharset::kAscii);
      CPPUNIT_ASSERT(session.server.envelope().body == BodyType::kUnstated);
    }
  }

  void aRefusedMailLeavesNoTransaction() {  // trap: refused-mail; as a server
    for (const char* mail : {"MAIL FROM:<a b>", "MAIL FROM:<a> SIZE=x", "MAIL FROM:<a> FOO"}) {
      Session session;
      session.say("LHLO a\r\n");
      session.say(std::string(mail) + "\r\n");
      check("503 503 250", session.codes("RCPT TO:<u>\r\nDATA\r\nMAIL FROM:<a>\r\n"), mail);
    }
  }

  void aRefusedRecipientDoesNotAffectTheOthers() {  // trap: recipients-apart
    Session session;
    check("250 250 250 553 555 250", session.codes("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\n"
                                                   "RCPT TO:<b c>\r\nRCPT TO:<d> ORCPT=e\r\n"
                                                   "RCPT TO:<f>\r\n"));
    check("<a><f>", recipients(session));
  }

  void refusesRecipientsBeyondTheLimitTemporarily() {
    ServerLimits few = limits();
    few.max_recipients = 2;
    Session session(few);
    session.say("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\n");
    CPPUNIT_ASSERT(session.say("RCPT TO:<c>\r\n").starts_with("452 4.5.3 "));
    check("354", session.codes("DATA\r\n"));
    check("<a><b>", recipients(session));
  }

  void refusesADeclaredSizeOverTheLimit() {  // trap: size-offered
    ServerLimits sized = limits();
    sized.max_size = 1000;
    const std::pair<const char*, const char*> rows[] = {
        {"0", "250 2.1.0"},    {"1000", "250 2.1.0"},
        {"1001", "552 5.3.4"}, {"-1", "555 5.5.4"},
        {"", "555 5.5.4"},     {"1k", "555 5.5.4"},
        {"0x10", "555 5.5.4"}, {"18446744073709551615", "552 5.3.4"}};
    for (const auto& [size, reply] : rows) {
      Session session(sized);
      session.say("LHLO a\r\n");
      check(reply, session.say(std::string("MAIL FROM:<a> SIZE=") + size + "\r\n").substr(0, 9),
            size);
    }
    check("250 250", Session().codes("LHLO a\r\nMAIL FROM:<a> SIZE=18446744073709551615\r\n"));
  }

  void aLineOfAMegabyteIsRefusedAndItsTailIsNoCommand() {  // trap: long-command; as a server
    for (const std::size_t length : {4097u, 8192u, 1u << 20}) {
      for (const std::size_t piece : {1000u, 4096u, 1u << 21}) {
        const std::string line = std::string(length, 'x') + "QUIT\r\nNOOP\r\n";
        check("500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\ngreeted", play(line, piece, piece));
      }
    }
    // The longest line that is read, and one byte more.
    check("250 2.0.0 Ok\r\ngreeted", play("NOOP " + std::string(4090, 'x') + "\r\n", 9999, 1));
    CPPUNIT_ASSERT(play("NOOP " + std::string(4092, 'x') + "\r\n", 9999, 1).starts_with("500"));
    CPPUNIT_ASSERT(play("NOOP " + std::string(4092, 'x') + "\r\n", 1, 1).starts_with("500"));
  }

  void aTooLongRcptLineIsARefusedAddress() {
    Session session;
    session.say("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\n");
    CPPUNIT_ASSERT(
        session.say("RCPT TO:<" + std::string(5000, 'x') + ">\r\n").starts_with("553 5.1.3"));
    check("<u>", recipients(session));
  }

  void aLoneCrOrANulCannotHideACommand() {
    Session session;
    session.say("LHLO a\r\n");
    check("553", session.codes("MAIL FROM:<a\rRCPT TO:<b>\r\n"));
    check("555", session.codes("MAIL FROM:<a> \rRCPT TO:<b>\r\n"));
    check("553", session.codes(std::string_view("MAIL FROM:<a\0> X\r\n", 18)));
    check("500", session.codes(std::string_view("\0MAIL FROM:<a>\r\n", 16)));
    check("ready", session.state());
  }

  void readsNothingAfterQuit() {
    Session session;
    check("221", session.codes("QUIT\r\nLHLO a\r\n"));
    check("LHLO a\r\n", session.rest);
    check("", session.say("LHLO a\r\n"));
  }

  static ServerLimits offering(Offers offers) {
    ServerLimits made = limits();
    made.offers = offers;
    return made;
  }

  void offersWhatTheLimitsAllow() {
    const std::string head = "250-here\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n";
    const std::pair<Offers, const char*> rows[] = {
        {{}, ""},
        {{Offer::kPipelining}, "250-PIPELINING\r\n"},
        {{Offer::kIgnoreQuota}, "250-IGNOREQUOTA\r\n"},
        {{Offer::kTrace}, "250-TRACE\r\n"},
        {{Offer::kLimits}, "250-LIMITS RCPTMAX=1000\r\n"},  // RFC 9422
        {{Offer::kPipelining, Offer::kIgnoreQuota, Offer::kTrace},
         "250-PIPELINING\r\n250-IGNOREQUOTA\r\n250-TRACE\r\n"}};
    for (const auto& [offers, lines] : rows) {
      check(head + lines + "250 SMTPUTF8\r\n", Session(offering(offers)).say("LHLO a\r\n"));
      // A verb that is not offered is unknown.
      Session session(offering(offers));
      session.say("LHLO a\r\nMAIL FROM:<>\r\n");
      check(offers.has(Offer::kIgnoreQuota) ? "250" : "555",
            session.codes("RCPT TO:<u> IGNOREQUOTA\r\n"), lines);
      check(offers.has(Offer::kTrace) ? "250" : "500", session.codes("TRACE x\r\n"), lines);
    }
    CPPUNIT_ASSERT(ServerLimits().offers == Offers());
  }

  void acceptsIgnoreQuotaPerRecipient() {
    Session session(offering({Offer::kIgnoreQuota}));
    check("250 250 250 555 250 250",
          session.codes("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a> ignorequota \r\n"
                        "RCPT TO:<b> IGNOREQUOTA=1\r\nRCPT TO:<c>\r\nRCPT TO:<a>\r\n"));
    check("<a>!<c><a>", recipients(session));
    session.say("DATA\r\n.\r\n");
    check("<a>!<c><a>", recipients(session));
  }

  static std::string trace_of_next(Session& session) {
    check("250 250 354", session.codes("MAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\n"));
    session.say(".\r\n");
    const std::string trace = session.server.envelope().trace.text();
    session.server.answered();
    return trace;
  }

  // trap: trace-id-stays
  void aTraceIdStaysUntilRset() {  // as with Cyrus, the end of the message does not clear it
    Session session(offering({Offer::kTrace}));
    session.say("LHLO a\r\n");
    check("", trace_of_next(session));
    check("250 2.0.0 Ok TRACEID=<t.1-_>\r\n", session.say("trace t.1-_ \r\n"));
    check("t.1-_", trace_of_next(session));
    check("t.1-_", trace_of_next(session));
    session.say("LHLO again\r\n");
    check("t.1-_", trace_of_next(session));
    session.say("TRACE t2\r\n");
    check("t2", trace_of_next(session));
    session.say("RSET\r\n");
    check("", trace_of_next(session));
    // Within a transaction it applies to that message.
    session.say("MAIL FROM:<>\r\nTRACE t3\r\nRCPT TO:<u>\r\nTRACE t4\r\nDATA\r\n.\r\n");
    check("t4", session.server.envelope().trace.text());
    check("<u>", recipients(session));
  }

  void traceIsAnsweredInEveryStateBeforeData() {
    for (const char* before : {"", "LHLO a\r\n", "LHLO a\r\nMAIL FROM:<>\r\n",
                               "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\n"}) {
      Session session(offering({Offer::kTrace}));
      session.say(before);
      const std::string state = session.state();
      check("250", session.codes("TRACE x\r\n"), before);
      check(state, session.state());
    }
  }

  void anInvalidTraceLeavesThePreviousId() {  // trap: trace-refused
    const std::string longest(255, 'x');
    for (const std::string& bad :
         {std::string(), std::string("a b"), std::string("a/b"), std::string("\xc3\xb6"),
          longest + "x", std::string("a\rb"), std::string("a\0b", 3)}) {
      Session session(offering({Offer::kTrace}));
      session.say("LHLO a\r\n");
      check("501 5.5.4 Invalid TRACE id.\r\n", session.say("TRACE " + bad + "\r\n"), bad);
      check("", trace_of_next(session), bad);
      check("250 2.0.0 Ok TRACEID=<" + longest + ">\r\n", session.say("TRACE " + longest + "\r\n"));
      check("501", session.codes("TRACE " + bad + "\r\n"), bad);
      check(longest, trace_of_next(session), bad);
    }
  }

  void aPipelinedSessionIsTheSameAtEveryCut() {
    const std::string_view input =
        "LHLO a\r\nTRACE t\r\nMAIL FROM:<>\r\nRCPT TO:<u> IGNOREQUOTA\r\nRCPT TO:<v>\r\n"
        "DATA\r\na\r\n..b\r\n.\r\nRSET\r\nMAIL FROM:<s>\r\nRCPT TO:<w>\r\nDATA\r\n.\r\n"
        "MAIL FROM:<s>\r\nRCPT TO:<x>\r\nQUIT\r\n";
    const Offers all{Offer::kPipelining, Offer::kIgnoreQuota, Offer::kTrace};
    const std::string whole = play(input, input.size(), 1, offering(all));
    check(
        "250 2.0.0 Ok TRACEID=<t>\r\n250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n"
        "250 2.1.5 Recipient ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
        "<u>!<v>a\r\n.b\r\n250 2.1.5 in\r\n250 2.1.5 in\r\n250 2.0.0 Ok\r\n"
        "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n"
        "354 End data with <CR><LF>.<CR><LF>\r\n<w>250 2.1.5 in\r\n"
        "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n221 2.0.0 Bye\r\nclosed",
        whole.substr(whole.find("250 2.0.0 Ok TRACEID")));
    for (std::size_t cut = 1; cut < input.size(); ++cut) {
      check(whole, play(input, cut, input.size(), offering(all)), "cut at " + std::to_string(cut));
    }
    check(whole, play(input, 1, 1, offering(all)), "byte by byte");
  }

  static ServerLimits marked(const char* mark) {
    ServerLimits made = limits();
    made.mark = mark;
    return made;
  }

  void aServerWithAMarkShowsItAndPassesItOn() {
    check("220 here LMTP lmtpq instance=me\r\n", LmtpServer(marked("me.a")).output());
    Session session(marked("me.a"));
    check("250-here\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-XLMTPQ\r\n250 SMTPUTF8\r\n",
          session.say("LHLO a\r\n"));
    // What the client said counts for one message.
    for (const auto& [parameter, hops] :
         {std::pair(" XLMTPQ=you,them.b", "you,them.b,me.a"), std::pair("", "me.a")}) {
      check("250 250 354",
            session.codes(std::string("MAIL FROM:<>") + parameter + "\r\nRCPT TO:<u>\r\nDATA\r\n"));
      session.say(".\r\n");
      check(hops, session.server.envelope().hops.text());
      session.server.answered();
    }
    // Not offered: not accepted, and nothing is passed on.
    Session plain;
    check("250 555 250", plain.codes("LHLO a\r\nMAIL FROM:<> XLMTPQ=you\r\nMAIL FROM:<>\r\n"));
    CPPUNIT_ASSERT(plain.server.envelope().hops.empty());
  }

  void aMessageThatWasHereBeforeIsDeferredAtMail() {  // trap: own-listener
    Session session(marked("me.a"));
    session.say("LHLO a\r\n");
    for (const char* looped :
         {"me.a", "you,me.a", "me.a,you", "1,2,3,4,5,6,7,8", "1,2,3,4,5,6,7,8,9"}) {
      check("451 4.4.6 Mail loop: ",
            session.say("MAIL FROM:<> XLMTPQ=" + std::string(looped) + "\r\n").substr(0, 21),
            looped);
      check("ready", session.state(), looped);
    }
    // Another listener of the same process, and one hop less than the limit.
    for (const char* good : {"me.b", "me", "x.me.a", "1,2,3,4,5,6,7"}) {
      check("250 250", session.codes("MAIL FROM:<> XLMTPQ=" + std::string(good) + "\r\nRSET\r\n"),
            good);
    }
  }

  void drainingRefusesOnlyTheNextMail() {
    const struct {
      const char* opened;
      const char* rest;
      const char* codes;
    } rows[] = {{"LHLO a\r\nMAIL FROM:<>\r\n", "RCPT TO:<u>\r\nRCPT TO:<v>\r\nDATA\r\nhi\r\n.\r\n",
                 "250 250 354"},
                {"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\n", "DATA\r\nhi\r\n.\r\n", "354"},
                {"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\n", "hi\r\n.\r\n", ""}};
    for (const auto& row : rows) {
      Session session;
      session.say(row.opened);
      session.server.drain();
      check(row.codes, session.codes(row.rest), row.opened);
      if (std::string(row.rest).ends_with(".\r\n")) {
        check("deciding hi\r\n", session.state() + " " + session.body, row.opened);
        session.server.answered();
      }
      check("421 4.3.2 Shutting down; try again later\r\n",
            session.say("MAIL FROM:<>\r\nRCPT TO:<x>\r\nDATA\r\n"), row.opened);
      check("closed", session.state());
    }
  }

  void drainingLetsAClientSendTheMessageThatItHasBegun() {
    for (const char* begun : {"", "LHLO a\r\n", "LHLO a\r\nMAIL FROM:<a>\r\nRSET\r\n"}) {
      Session session;
      session.say(begun);
      session.server.drain();
      CPPUNIT_ASSERT(session.server.awaits_mail());
      session.say(*begun == '\0' ? "LHLO a\r\n" : "");
      check("250 250 250 354",
            session.codes("NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\nhi\r\n.\r\n"), begun);
      session.server.answered();
      CPPUNIT_ASSERT(!session.server.awaits_mail());
      check("421 4.3.2 Shutting down; try again later\r\n", session.say("MAIL FROM:<>\r\n"), begun);
    }
  }

  void drainingAnswersRsetBy421SoThatTheClientDialsAgain() {
    for (const char* before : {"LHLO a\r\n", "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\n"}) {
      Session session;
      session.say(before);
      session.server.drain();
      check("421 4.3.2 Shutting down; try again later\r\n", session.say("RSET\r\n"), before);
      check("closed", session.state());
    }
  }

  void atItsEndQuitHasItsReplyAndAnyOtherCommand421() {  // trap: closed-with-input-unread
    const std::string too_long = std::string(5000, 'x') + "\r\n";
    const std::pair<std::string, const char*> rows[] = {
        {"QUIT\r\n", "221"},   {"NOOP\r\nQUIT\r\n", "421"}, {"what\r\n", "421"},
        {"LHLO a\r\n", "421"}, {"MAIL FROM:<>\r\n", "421"}, {too_long, "421"}};
    for (const auto& [command, code] : rows) {
      Session session;
      session.say("LHLO a\r\n");
      session.server.drain();
      session.server.end();
      check(code, session.codes(command), command);
      check("closed", session.state(), command);
    }
  }

  void anHttpRequestDeliversNothing() {  // trap: cross-protocol
    for (const char* const before : {"", "LHLO a\r\n", "LHLO a\r\nMAIL FROM:<s>\r\n"}) {
      Session session;
      session.say(before);
      check("421",
            session.codes("POST / HTTP/1.1\r\nHost: x\r\n\r\nLHLO a\r\nMAIL FROM:<s>\r\n"
                          "RCPT TO:<u>\r\nDATA\r\n"),
            before);
      check("closed", session.state(), before);
    }
  }

  void sends421OnlyBeforeData() {
    for (const char* before : {"", "LHLO a\r\n", "LHLO a\r\nMAIL FROM:<>\r\n",
                               "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\n"}) {
      Session session;
      session.say(before);
      session.server.close({4, 4, 2}, "Silent for too long");
      check("421 4.4.2 Silent for too long\r\n", session.say("NOOP\r\n"), before);
      check("closed", session.state());
      session.server.close({4, 4, 2}, "Silent for too long");
      check("", session.say(""));
    }
    for (const char* end : {"", ".\r\n"}) {
      Session session;
      session.say(std::string("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\nDATA\r\n") + end);
      const std::string state = session.state();
      session.server.close({4, 4, 2}, "Silent for too long");
      check(state, session.state());
      check("", session.say(""));
    }
  }

  void withoutMemoryNewMessagesAndRecipientsAreDeferred() {
    MemoryBudget budget(3 * MemoryCost::kMessage / 2);
    ServerLimits narrow = limits();
    narrow.memory = &budget;
    Session first(narrow);
    Session second(narrow);
    check("250 250 250", first.codes("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u>\r\n").substr(0, 11));
    second.say("LHLO a\r\n");
    check("452 4.3.1 Too many messages in memory, try again later\r\n",
          second.say("MAIL FROM:<>\r\n"));
    check("ready", second.state());
    std::string replies;
    for (int i = 0; i < 100; ++i) {
      replies += first.codes("RCPT TO:<u" + std::to_string(i) + "@x>\r\n") + " ";
    }
    // Those that were accepted stay.
    const std::size_t deferred = replies.find("452");
    CPPUNIT_ASSERT(deferred != std::string::npos);
    CPPUNIT_ASSERT_EQUAL(std::string::npos, replies.find("250", deferred));
    CPPUNIT_ASSERT_EQUAL(1 + deferred / 4, first.server.envelope().recipients.size());
    first.say("RSET\r\n");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, budget.used());
    check("250", second.codes("MAIL FROM:<>\r\n"));
    second.say("RCPT TO:<u>\r\nDATA\r\n.\r\n");
    check("deciding", second.state());
    second.server.answered();
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, budget.used());
  }

  static ServerLimits patient(std::size_t commands) {
    ServerLimits made = limits();
    made.max_idle_commands = commands;
    made.max_recipients = 1;
    return made;
  }

  void tooManyCommandsWithoutAMessageEndTheSession() {
    for (const std::string& line :
         {std::string("NOOP"), std::string("RSET"), std::string("LHLO a"), std::string("LHLO"),
          std::string("FOO"), std::string("VRFY u"), std::string("RCPT TO:<u>"),
          std::string("DATA"), std::string("MAIL x"), std::string(5000, 'x'),
          std::string("MAIL FROM:<>\r\nRSET"), std::string("MAIL FROM:<>\r\nLHLO b")}) {
      Session session(patient(6));
      std::string all;
      for (int i = 0; i < 20; ++i) {
        all += session.codes(line + "\r\n") + " ";
      }
      all.erase(all.find_last_not_of(' ') + 1);
      check("421", all.substr(all.size() - 3), line);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(all, std::size_t{7 * 4 - 1}, all.size());
      check("closed", session.state());
    }
    Session session(patient(6));
    session.say("LHLO a\r\nMAIL FROM:<>\r\n");
    check("553 553 553 553 421",
          session.codes("RCPT x\r\nRCPT TO:<>\r\nRCPT TO:<" + std::string(5000, 'x') +
                        ">\r\nRCPT TO:<\r\nRCPT\r\n"));
    Session endless(patient(0));
    for (int i = 0; i < 2000; ++i) {
      check("250", endless.codes("NOOP\r\n"));
    }
  }

  void recipientsAndMessagesAreNotIdleCommands() {
    Session session(patient(3));
    check("250 250", session.codes("LHLO a\r\nNOOP\r\n"));
    for (int message = 0; message < 4; ++message) {
      check("250 250", session.codes("MAIL FROM:<>\r\nRCPT TO:<u>\r\n"));
      for (int i = 0; i < 20; ++i) {
        check("452", session.codes("RCPT TO:<u>\r\n"));
      }
      check("354", session.codes("DATA\r\n"));
      session.say(".\r\n");
      session.server.answered();
      check("250 250", session.codes("RSET\r\nNOOP\r\n"));
    }
  }

  void namesMatchTheEnum() {
    CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(ServerState::kClosed) + 1,
                         std::size(kServerStateNames));
    check("deciding", kServerStateNames[static_cast<int>(ServerState::kDeciding)]);
    check("closed", kServerStateNames[static_cast<int>(ServerState::kClosed)]);
  }

  void theClientIsJudgedBeforeEachMessage() {
    const std::string begin = "LHLO a\r\nMAIL FROM:<s@x>\r\n";
    const struct {
      std::string before;
      std::string then;
      const char* codes;
    } rows[] = {
        {"", "LHLO a\r\n", "421"},
        {"LHLO a\r\n", "MAIL FROM:<s@x>\r\nRCPT TO:<u>\r\n", "421"},
        {"LHLO a\r\n", "RSET\r\n", "421"},
        {begin, "RSET\r\n", "421"},
        {begin, "LHLO a\r\n", "421"},
        {begin, "RCPT TO:<u>\r\nNOOP\r\nDATA\r\n", "250 250 354"},  // it began before
        {"LHLO a\r\n", "NOOP\r\nVRFY u\r\nQUIT\r\n", "250 252 221"},
    };
    for (const auto& row : rows) {
      std::optional<Objection> objection;
      ServerLimits with = limits();
      with.judge = [&objection] { return objection; };
      Session session(with);
      session.say(row.before);
      objection = Objection{{4, 7, 1}, "Not any more"};
      check(row.codes, session.codes(row.then), row.before + row.then);
      check("421" == std::string(row.codes) ? "closed" : session.state(), session.state());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LmtpServerTest);
