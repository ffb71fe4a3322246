// Connections that the store ends or refuses before the message is sent.

#include <cppunit/extensions/HelperMacros.h>

#include <utility>

#include "mailer/lmtp/lmtp_client.h"
#include "tests/unit/mailer/lmtp/client_replies.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using enum ClientState;

namespace {

Transaction message(const char* trace = "") {
  Transaction transaction;
  transaction.trace = TraceId::parse(trace).value_or(TraceId());
  transaction.recipients.push_back({Mailbox::parse("u1").value(), false});
  return transaction;
}

void begin(LmtpClient& client, Transaction transaction) {
  client.begin(std::move(transaction));
  client.output().clear();
}

LmtpClient opened() {
  LmtpClient client("here");
  hear(client, lines("220 hello"));
  hear(client, lines("250-store/250-PIPELINING/250 TRACE"));
  CPPUNIT_ASSERT(client.reusable());
  return client;
}

// It has carried a message.
LmtpClient used_once() {
  LmtpClient client = opened();
  begin(client, message());
  hear(client, lines("250 a/250 b/354 go"));
  client.end_of_data();
  hear(client, lines("250 in"));
  CPPUNIT_ASSERT(client.reusable());
  return client;
}

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

std::string end_of(const LmtpClient& client) {
  const auto& answer = client.answers().at(0);
  return kClientStateNames[static_cast<int>(client.state())] + std::string(": ") +
         (answer ? kAwaitedNames[static_cast<int>(answer->stage)] + (" " + answer->reply.summary())
                 : "-");
}

}  // namespace

class LmtpClientLossesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LmtpClientLossesTest);
  CPPUNIT_TEST(aSessionThatIsRefusedAtMailBreaks);
  CPPUNIT_TEST(tellsWhereTheConnectionWasLost);
  CPPUNIT_TEST_SUITE_END();

  // It can be about what was said before, so the message was not tried yet.
  void aSessionThatIsRefusedAtMailBreaks() {  // trap: session-refused-at-mail
    for (const char* refusal : {"503 5.5.1 LHLO first", "452 4.5.3 Too many messages", "421 bye",
                                "530 5.7.0 Authentication required"}) {
      for (const char* rest : {"", "/503 a/503 b", "/250 a/354 go"}) {
        LmtpClient used = used_once();
        begin(used, message());
        hear(used, lines(std::string("250 r/") + refusal + rest));
        check("broken: -", end_of(used), refusal);
        CPPUNIT_ASSERT(used.lost_at() == Awaited::kRcpt || used.lost_at() == Awaited::kMail);
      }
      LmtpClient fresh = opened();
      begin(fresh, message());
      hear(fresh, lines(refusal + std::string("/503 a/503 b")));
      check(std::string(refusal) == "421 bye" ? "broken: -" : std::string("ready: MAIL ") + refusal,
            end_of(fresh), refusal);
    }
    LmtpClient used = used_once();
    begin(used, message());
    hear(used, lines("250 r/550 5.7.1 Not you/503 a/503 b"));
    check("ready: MAIL 550 5.7.1 Not you", end_of(used));
  }

  void tellsWhereTheConnectionWasLost() {  // trap: hangs-up-on-trace
    const struct {
      const char* replies;
      Awaited at;
    } rows[] = {{"", Awaited::kRset},
                {"250 r", Awaited::kTrace},
                {"250 r/421 4.7.0 what?", Awaited::kTrace},
                {"250 r/250 t", Awaited::kMail},
                {"250 r/250 t/250 m", Awaited::kRcpt},
                {"250 r/250 t/250 m/421 bye", Awaited::kRcpt}};
    for (const auto& row : rows) {
      LmtpClient client = used_once();
      CPPUNIT_ASSERT(!client.lost_at());
      begin(client, message("t1"));
      hear(client, lines(row.replies));
      client.lost("closed");
      CPPUNIT_ASSERT_MESSAGE(row.replies, client.lost_at() == row.at);
    }
    LmtpClient idle = used_once();
    idle.lost("closed");
    CPPUNIT_ASSERT(!idle.lost_at());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LmtpClientLossesTest);
