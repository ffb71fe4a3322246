#include <cppunit/extensions/HelperMacros.h>

#include <utility>

#include "common/tag/base64.h"
#include "mailer/lmtp/lmtp_client.h"
#include "tests/unit/mailer/lmtp/client_replies.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using enum ClientState;

namespace {

constexpr const char* kClear = "250-store\r\n250-IGNOREQUOTA\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n";

LmtpClient opened() {
  LmtpClient client("here", 1);
  hear(client, "220 hello\r\n");
  hear(client, kClear);
  CPPUNIT_ASSERT(client.reusable());
  return client;
}

LmtpClient asked_for_tls() {
  LmtpClient client = opened();
  client.start_tls();
  CPPUNIT_ASSERT_EQUAL(std::string("STARTTLS\r\n"), std::exchange(client.output(), {}));
  return client;
}

std::string authenticate(LmtpClient& client, const std::optional<std::string>& initial,
                         std::string_view password = "") {
  client.authenticate("PLAIN", initial, password);
  return std::exchange(client.output(), {});
}

LmtpClient logging_in(const std::optional<std::string>& initial = std::nullopt,
                      std::string_view password = "") {
  LmtpClient client = opened();
  authenticate(client, initial, password);
  return client;
}

void check(ClientState expected, const LmtpClient& client, const std::string& about) {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about + ": " + client.reason(),
                               std::string(kClientStateNames[static_cast<int>(expected)]),
                               std::string(kClientStateNames[static_cast<int>(client.state())]));
}

}  // namespace

class LmtpClientOpeningTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LmtpClientOpeningTest);
  CPPUNIT_TEST(aGreetingThatIsTlsIsNamed);
  CPPUNIT_TEST(onlyA220LeadsToTheHandshake);
  CPPUNIT_TEST(unencryptedBytesAfterThe220EndTheConnection);
  CPPUNIT_TEST(anIncompleteReplyBeforeTlsEndsTheConnection);
  CPPUNIT_TEST(capabilitiesFromBeforeTlsAreForgotten);
  CPPUNIT_TEST(theInitialResponseIsSentWithAuth);
  CPPUNIT_TEST(aLongInitialResponseWaitsForTheEmptyChallenge);
  CPPUNIT_TEST(challengesAreAnsweredInBase64);
  CPPUNIT_TEST(aRefusalOfAuthLeavesTheConnectionReady);
  CPPUNIT_TEST(aBadChallengeBreaksTheConnection);
  CPPUNIT_TEST(aChallengeOf12288BytesIsTheLongest);
  CPPUNIT_TEST(bytesAfterTheLastReplyToAuthEndTheConnection);
  CPPUNIT_TEST(textThatRepeatsOurLoginIsWithheld);
  CPPUNIT_TEST(afterTheLoginNothingIsWithheld);
  CPPUNIT_TEST(otherTextOfARefusalIsKept);
  CPPUNIT_TEST(theExchangeIsConfidentialToItsEnd);
  CPPUNIT_TEST_SUITE_END();

  void aGreetingThatIsTlsIsNamed() {
    using namespace std::string_literals;
    const struct {
      std::string bytes;
      bool is_tls;
    } rows[] = {{"\x15\x03\x03\x00\x02\x02\x28"s, true},
                {"\x16\x03\x01\x02"s, true},
                {"\x15"s, true},
                {"\x16\x02\r\n"s, false},
                {"\x17\x03\r\n"s, false}};
    for (const auto& row : rows) {
      LmtpClient client("here", 1);
      CPPUNIT_ASSERT_EQUAL(std::string(), hear(client, row.bytes));
      check(kBroken, client, row.bytes);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          client.reason(), row.is_tls,
          client.reason() == "the store seems to speak TLS from the start: set tls-wrapper = yes");
    }
    LmtpClient later("here", 1);
    hear(later, "220 hello\r\n");
    hear(later, "\x15\x03\r\n");
    CPPUNIT_ASSERT_MESSAGE(later.reason(), later.reason().starts_with("protocol error"));
  }

  void onlyA220LeadsToTheHandshake() {
    const struct {
      const char* reply;
      ClientState state;
      bool refusal;
    } rows[] = {{"220 go ahead\r\n", kHandshake, false},
                {"220-go\r\n220 ahead\r\n", kHandshake, false},
                {"454 4.7.0 not now\r\n", kReady, true},
                {"500 5.5.2 Syntax error\r\n", kReady, true},
                {"501 5.5.4 no\r\n", kReady, true},
                {"250 ok\r\n", kBroken, false},
                {"334 \r\n", kBroken, false},
                {"421 4.3.2 bye\r\n", kBroken, false},
                {"hello\r\n", kBroken, false}};
    for (const auto& row : rows) {
      LmtpClient client = asked_for_tls();
      hear(client, row.reply);
      check(row.state, client, row.reply);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.reply, row.refusal, client.refusal().has_value());
    }
  }

  void unencryptedBytesAfterThe220EndTheConnection() {
    for (const char* more : {"250 IGNOREQUOTA\r\n", "2", "\r\n", "\x16\x03\x01"}) {
      LmtpClient at_once = asked_for_tls();
      hear(at_once, std::string("220 go\r\n") + more);
      check(kBroken, at_once, more);
      LmtpClient later = asked_for_tls();
      hear(later, "220 go\r\n");
      hear(later, more);
      check(kBroken, later, more);
      CPPUNIT_ASSERT(later.reason().find("unencrypted") != std::string::npos);
    }
  }

  void anIncompleteReplyBeforeTlsEndsTheConnection() {
    LmtpClient client = opened();
    hear(client, "220 ");
    client.start_tls();
    check(kBroken, client, "half a line");
    LmtpClient other = opened();
    hear(other, "235 ");
    other.authenticate("PLAIN", "x", "");
    check(kBroken, other, "half a line before AUTH");
    LmtpClient amid = logging_in();
    hear(amid, "334 \r\n23");
    amid.respond("x");
    check(kBroken, amid, "half a line before the answer");
  }

  void capabilitiesFromBeforeTlsAreForgotten() {
    LmtpClient client = asked_for_tls();
    hear(client, "220 go\r\n");
    client.start_over();
    CPPUNIT_ASSERT(!client.capabilities().offers("IGNOREQUOTA"));
    CPPUNIT_ASSERT_EQUAL(std::string("LHLO here\r\n"), std::exchange(client.output(), {}));
    check(kOpening, client, "LHLO is out");
    hear(client, "250-store\r\n250 TRACE\r\n");
    check(kReady, client, "LHLO is answered");
    CPPUNIT_ASSERT(client.capabilities().offers("TRACE"));
    CPPUNIT_ASSERT(!client.capabilities().offers("IGNOREQUOTA"));
    CPPUNIT_ASSERT(!client.capabilities().offers("STARTTLS"));
  }

  void theInitialResponseIsSentWithAuth() {
    LmtpClient client = opened();
    CPPUNIT_ASSERT_EQUAL(std::string("AUTH PLAIN AGEAYg==\r\n"),
                         authenticate(client, std::string("\0a\0b", 4)));
    client = opened();
    CPPUNIT_ASSERT_EQUAL(std::string("AUTH PLAIN =\r\n"), authenticate(client, ""));
    client = opened();
    CPPUNIT_ASSERT_EQUAL(std::string("AUTH PLAIN\r\n"), authenticate(client, std::nullopt));
  }

  void aLongInitialResponseWaitsForTheEmptyChallenge() {
    // "AUTH PLAIN " and CRLF take 13 of the 512 bytes; 372 bytes are 496 in base64.
    LmtpClient client = opened();
    const std::string fits = authenticate(client, std::string(372, 'x'));
    CPPUNIT_ASSERT_EQUAL(std::size_t{509}, fits.size());
    client = opened();
    CPPUNIT_ASSERT_EQUAL(std::string("AUTH PLAIN\r\n"),
                         authenticate(client, std::string(375, 'x')));
    CPPUNIT_ASSERT_EQUAL(base64(std::string(375, 'x')) + "\r\n", hear(client, "334 \r\n"));
    hear(client, "235 ok\r\n");
    check(kLoggedIn, client, "235");
  }

  void challengesAreAnsweredInBase64() {
    LmtpClient client = logging_in();
    hear(client, "334 VXNlcg==\r\n");
    check(kChallenged, client, "334");
    CPPUNIT_ASSERT_EQUAL(std::string("User"), client.challenge());
    client.respond("me");
    CPPUNIT_ASSERT_EQUAL(std::string("bWU=\r\n"), std::exchange(client.output(), {}));
    hear(client, "334\r\n");
    CPPUNIT_ASSERT_EQUAL(std::string(), client.challenge());
    client.respond("");
    CPPUNIT_ASSERT_EQUAL(std::string("\r\n"), std::exchange(client.output(), {}));
    hear(client, "334 AAEC\r\n");
    client.respond(std::nullopt);
    CPPUNIT_ASSERT_EQUAL(std::string("*\r\n"), std::exchange(client.output(), {}));
    hear(client, "501 5.5.2 cancelled\r\n");
    check(kReady, client, "cancelled");
  }

  void aRefusalOfAuthLeavesTheConnectionReady() {
    for (const char* reply : {"501 5.5.4 no\r\n", "535 5.7.8 no\r\n", "454 4.7.0 no\r\n",
                              "530 no\r\n", "554 no\r\n", "504 no\r\n"}) {
      LmtpClient client = logging_in();
      hear(client, reply);
      check(kReady, client, reply);
      CPPUNIT_ASSERT(client.refusal().has_value());
    }
    for (const char* reply :
         {"421 bye\r\n", "354 go\r\n", "250 ok\r\n", "999 what\r\n", "junk\r\n"}) {
      LmtpClient client = logging_in();
      hear(client, reply);
      check(kBroken, client, reply);
    }
  }

  void aBadChallengeBreaksTheConnection() {
    for (const char* reply :
         {"334 !!!\r\n", "334 QUJ\r\n", "334-QUJD\r\n334 QUJD\r\n", "334 QUJD x\r\n"}) {
      LmtpClient client = logging_in();
      hear(client, reply);
      check(kBroken, client, reply);
    }
  }

  void aChallengeOf12288BytesIsTheLongest() {
    LmtpClient client = logging_in();
    hear(client, "334 " + base64(std::string(9216, 'x')) + "\r\n");
    check(kChallenged, client, "12288");
    CPPUNIT_ASSERT_EQUAL(std::string(9216, 'x'), client.challenge());
    client = logging_in();
    hear(client, "334 " + std::string(12292, 'A') + "\r\n");
    check(kBroken, client, "12292");
    client = logging_in();
    hear(client, "334 ");
    for (int i = 0; i < 1024 && client.state() != kBroken; ++i) {
      hear(client, std::string(1024, 'A'));
    }
    check(kBroken, client, "1 MB without a line end");
  }

  void bytesAfterTheLastReplyToAuthEndTheConnection() {
    LmtpClient client = logging_in();
    hear(client, "235 ok\r\n250 IGNOREQUOTA\r\n");
    check(kBroken, client, "235 and more");
    client = logging_in();
    hear(client, "235 ok\r\n");
    client.start_over();
    CPPUNIT_ASSERT_EQUAL(std::string("LHLO here\r\n"), client.output());
  }

  void textThatRepeatsOurLoginIsWithheld() {
    const std::string password = "correct h\xF6rse battery staple";
    const std::string response = std::string("\0mx\0", 4) + password;
    for (const std::string& words :
         {"cannot parse " + base64(response), "cannot parse " + base64(response).substr(3, 30),
          "wrong password " + password, "not " + password.substr(0, 14)}) {
      LmtpClient client = logging_in(response, password);
      hear(client, "501-5.5.4 Sorry\r\n501 5.5.4 " + words + "\r\n");
      CPPUNIT_ASSERT_EQUAL(std::string("501 5.5.4 (text withheld: it repeats our login)"),
                           client.refusal()->summary());
    }
    LmtpClient late = logging_in(std::nullopt, password);
    hear(late, "334 \r\n");
    late.respond(response);
    hear(late, "421 4.7.0 " + base64(response) + "\r\n");
    CPPUNIT_ASSERT(late.reason().ends_with("421 4.7.0 (text withheld: it repeats our login)"));
    for (const std::string& echo : {base64(response), password, password.substr(0, 5)}) {
      LmtpClient client = logging_in(response, password);
      hear(client, echo + "\r\n");
      CPPUNIT_ASSERT_EQUAL(std::string("protocol error: not a reply"), client.reason());
    }
  }

  // A refusal that contains our password may be about an outsider's guess of a mailbox's name.
  void afterTheLoginNothingIsWithheld() {
    LmtpClient client = logging_in(std::string("\0me\0store", 9), "store");
    hear(client, "235 welcome to the store\r\n");
    client.start_over();
    client.output().clear();
    hear(client, "250-store.example.org\r\n250-IGNOREQUOTA\r\n250 SIZE 1000\r\n");
    CPPUNIT_ASSERT(client.capabilities().offers("IGNOREQUOTA"));
    Transaction transaction;
    transaction.recipients.push_back({Mailbox::parse("u").value(), false});
    client.begin(transaction);
    client.output().clear();
    hear(client, "250 2.1.0 ok\r\n");
    client.output().clear();
    hear(client, "550 5.1.1 <store> unknown\r\n");
    CPPUNIT_ASSERT_EQUAL(std::string("550 5.1.1 <store> unknown"),
                         client.answers().at(0)->reply.summary());
  }

  void otherTextOfARefusalIsKept() {
    // GSSAPI's tokens have short runs of bytes between NULs. A user's name is no secret.
    for (const std::string& response :
         {std::string("\0mx\0secret", 10), std::string("\x05\0 \0\0\0a\0f", 9)}) {
      LmtpClient client = logging_in(response, "secret");
      hear(client, "501 5.5.4 mx: authentication failure\r\n");
      CPPUNIT_ASSERT_EQUAL(std::string("501 5.5.4 mx: authentication failure"),
                           client.refusal()->summary());
    }
  }

  void theExchangeIsConfidentialToItsEnd() {
    LmtpClient client = opened();
    CPPUNIT_ASSERT(!client.confidential());
    authenticate(client, std::nullopt);
    CPPUNIT_ASSERT(client.confidential());
    hear(client, "334 \r\n");
    CPPUNIT_ASSERT(client.confidential());
    client.respond("x");
    CPPUNIT_ASSERT_EQUAL(std::string("eA==\r\n"), std::exchange(client.output(), {}));
    CPPUNIT_ASSERT(client.confidential());
    hear(client, "235 ok\r\n");
    CPPUNIT_ASSERT(!client.confidential());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LmtpClientOpeningTest);
