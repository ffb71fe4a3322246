// A store that speaks ESMTP instead of LMTP.

#include <cppunit/extensions/HelperMacros.h>

#include <utility>

#include "mailer/lmtp/lmtp_client.h"
#include "tests/unit/mailer/lmtp/client_replies.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using enum ClientState;

namespace {

constexpr const char* kOffers =
    "250-mx.example.org/250-PIPELINING/250-SIZE 1000/250-8BITMIME/250-IGNOREQUOTA/250 TRACE";

LmtpClient greeted(Protocol protocol) {
  LmtpClient client("here", LmtpClient::kPipelineWindow, protocol);
  CPPUNIT_ASSERT_EQUAL(std::string(protocol == Protocol::kSmtp ? "EHLO here\r\n" : "LHLO here\r\n"),
                       hear(client, "220 mx.example.org ESMTP\r\n"));
  return client;
}

LmtpClient opened(const char* offers = kOffers) {
  LmtpClient client = greeted(Protocol::kSmtp);
  hear(client, lines(offers));
  CPPUNIT_ASSERT(client.reusable());
  return client;
}

std::string begin(LmtpClient& client) {
  Transaction transaction;
  transaction.sender = Mailbox::parse("s@x").value();
  transaction.trace = TraceId::parse("t-1").value();
  transaction.size = 100;
  for (const char* const to : {"u1@x", "u2@x", "u3@x"}) {
    transaction.recipients.push_back({Mailbox::parse(to).value(), true});
  }
  client.begin(transaction);
  return std::exchange(client.output(), {});
}

std::string answers(const LmtpClient& client) {
  std::string all;
  for (const auto& answer : client.answers()) {
    all += all.empty() ? "" : " | ";
    all +=
        answer ? std::string(client.name_of(answer->stage)) + " " + answer->reply.summary() : "-";
  }
  return all;
}

void check(const std::string& expected, const std::string& actual) {
  CPPUNIT_ASSERT_EQUAL(expected, actual);
}

}  // namespace

class LmtpClientSmtpTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LmtpClientSmtpTest);
  CPPUNIT_TEST(sendsNeitherTraceNorIgnoreQuota);
  CPPUNIT_TEST(oneFinalReplyIsForAllAcceptedRecipients);
  CPPUNIT_TEST(withoutTheFinalReplyNobodyHasAnAnswer);
  CPPUNIT_TEST(a421AfterTheMessageIsForAllAndEndsTheConnection);
  CPPUNIT_TEST(aSecondFinalReplyBreaks);
  CPPUNIT_TEST(aServerOfTheOtherProtocolIsNamed);
  CPPUNIT_TEST(saysEhloAgainAfterTls);
  CPPUNIT_TEST_SUITE_END();

  void sendsNeitherTraceNorIgnoreQuota() {
    LmtpClient client = opened();
    check(
        "MAIL FROM:<s@x> SIZE=100\r\nRCPT TO:<u1@x>\r\nRCPT TO:<u2@x>\r\nRCPT "
        "TO:<u3@x>\r\nDATA\r\n",
        begin(client));
    CPPUNIT_ASSERT(!client.capabilities().offers("TRACE"));
    CPPUNIT_ASSERT(!client.capabilities().offers("IGNOREQUOTA"));
  }

  void oneFinalReplyIsForAllAcceptedRecipients() {
    LmtpClient client = opened();
    begin(client);
    hear(client, lines("250 a/250 b/550 5.1.1 who/250 d/354 go"));
    CPPUNIT_ASSERT(client.state() == kBody);
    client.end_of_data();
    hear(client, lines("552 5.3.4 too large"));
    CPPUNIT_ASSERT(client.reusable());
    check("end of data 552 5.3.4 too large | RCPT 550 5.1.1 who | end of data 552 5.3.4 too large",
          answers(client));
    CPPUNIT_ASSERT(begin(client).starts_with("RSET\r\nMAIL "));
  }

  void withoutTheFinalReplyNobodyHasAnAnswer() {
    LmtpClient client = opened();
    begin(client);
    hear(client, lines("250 a/250 b/550 5.1.1 who/250 d/354 go"));
    client.end_of_data();
    client.lost("gone");
    check("- | RCPT 550 5.1.1 who | -", answers(client));
  }

  void a421AfterTheMessageIsForAllAndEndsTheConnection() {
    LmtpClient client = opened();
    begin(client);
    hear(client, lines("250 a/250 b/250 c/250 d/354 go"));
    client.end_of_data();
    hear(client, lines("421 4.3.2 bye"));
    CPPUNIT_ASSERT(client.state() == kBroken);
    check("end of data 421 4.3.2 bye | end of data 421 4.3.2 bye | end of data 421 4.3.2 bye",
          answers(client));
  }

  void aSecondFinalReplyBreaks() {
    LmtpClient client = opened();
    begin(client);
    hear(client, lines("250 a/250 b/250 c/250 d/354 go"));
    client.end_of_data();
    hear(client, lines("250 2.0.0 queued/250 2.0.0 once more"));
    CPPUNIT_ASSERT(client.state() == kBroken);
    check(
        "end of data 250 2.0.0 queued | end of data 250 2.0.0 queued | end of data 250 2.0.0 "
        "queued",
        answers(client));
  }

  void aServerOfTheOtherProtocolIsNamed() {
    const struct {
      Protocol protocol;
      const char* reply;
      const char* expected;
    } rows[] = {
        {Protocol::kLmtp, "502 5.5.1 what?",
         "LHLO refused: 502 5.5.1 what?; a store that speaks SMTP is smtp:HOST, not inet:HOST"},
        {Protocol::kSmtp, "500 5.5.1 what?",
         "EHLO refused: 500 5.5.1 what?; a store that speaks LMTP is inet:HOST, not smtp:HOST"},
        {Protocol::kSmtp, "550 5.7.1 not you", "EHLO refused: 550 5.7.1 not you"},
        {Protocol::kLmtp, "421 4.3.2 no", "the store closes the connection: 421 4.3.2 no"},
    };
    for (const auto& row : rows) {
      LmtpClient client = greeted(row.protocol);
      hear(client, lines(row.reply));
      check(row.expected, client.reason());
    }
  }

  void saysEhloAgainAfterTls() {
    LmtpClient client = opened("250-mx/250 STARTTLS");
    client.start_tls();
    client.output().clear();
    hear(client, "220 go\r\n");
    client.start_over();
    check("EHLO here\r\n", std::exchange(client.output(), {}));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LmtpClientSmtpTest);
