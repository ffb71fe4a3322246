#include "mailer/secure/sasl_client.h"

#include <cppunit/extensions/HelperMacros.h>
#include <stdlib.h>

#include "common/config_error.h"
#include "tests/unit/mailer/secure/sasl_parties.h"
#include "tests/unit/mailer/secure/sasl_server.h"

using lmtpq::Secret;
using lmtpq::mailer::contains;
using lmtpq::mailer::exchange;
using lmtpq::mailer::kServerName;
using lmtpq::mailer::kServerPassword;
using lmtpq::mailer::kServerUser;
using lmtpq::mailer::Parties;
using lmtpq::mailer::SaslClient;
using lmtpq::mailer::SaslServer;
using lmtpq::mailer::SaslTalk;

namespace {

const std::string kWrong = "wr0ng-p4ssw0rd";

}  // namespace

class SaslClientTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SaslClientTest);
  CPPUNIT_TEST(everyMechanismLogsInWithTheRealPlugins);
  CPPUNIT_TEST(theStrongestOfferedMechanismIsUsed);
  CPPUNIT_TEST(ifAMechanismCannotBeginTheNextOneIsTried);
  CPPUNIT_TEST(mechanismsThatCannotBeUsedAreReported);
  CPPUNIT_TEST(aUserWithARealmIsSentWhole);
  CPPUNIT_TEST(theAuthorizationIdentityIsEmpty);
  CPPUNIT_TEST(aWrongPasswordIsRefused);
  CPPUNIT_TEST(challengeResponseNeverShowsThePassword);
  CPPUNIT_TEST(aSecondDigestExchangeDoesNotResumeTheFirst);
  CPPUNIT_TEST(withinTlsThereIsNoSecurityLayer);
  CPPUNIT_TEST(ofSeveralRealmsOursIsChosen);
  CPPUNIT_TEST(mechanismsWithoutAPluginAreAnErrorOfTheConfiguration);
  CPPUNIT_TEST_SUITE_END();

 private:
  void everyMechanismLogsInWithTheRealPlugins() {
    const struct {
      const char* mechanism;
      bool initial;
      std::size_t steps;  // what the client sends, empty answers included
    } rows[] = {
        {"PLAIN", true, 1},
        {"LOGIN", false, 3},
        {"EXTERNAL", true, 1},
        {"CRAM-MD5", false, 2},
        {"DIGEST-MD5", false, 3},
        {"SCRAM-SHA-1", true, 3},
        {"SCRAM-SHA-1-PLUS", true, 3},
        {"SCRAM-SHA-256", true, 3},
        {"SCRAM-SHA-256-PLUS", true, 3},
        {"SCRAM-SHA-512-PLUS", true, 3},
    };
    for (const auto& row : rows) {
      Parties it;
      it.settings.mechanisms = {row.mechanism};
      SaslServer server(it.store);
      CPPUNIT_ASSERT_MESSAGE(row.mechanism, contains(server.offered(), row.mechanism));
      SaslClient client = it.client();
      CPPUNIT_ASSERT_MESSAGE(client.failure(), client.start(server.offered()));
      CPPUNIT_ASSERT_EQUAL(std::string(row.mechanism), client.mechanism());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.mechanism, row.initial, client.initial().has_value());
      const SaslTalk made = exchange(client, server);
      CPPUNIT_ASSERT_MESSAGE(row.mechanism + client.failure(), made.yes);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.mechanism, row.steps, made.said.size());
      CPPUNIT_ASSERT_EQUAL(std::string(), client.failure());
      CPPUNIT_ASSERT(client.layer_bits() == 0);
      const bool external = std::string(row.mechanism) == "EXTERNAL";
      CPPUNIT_ASSERT_MESSAGE(server.user(),
                             server.user().starts_with(external ? "CN=lmtpq" : kServerUser));
    }
  }

  void theStrongestOfferedMechanismIsUsed() {
    const struct {
      const char* offered;
      const char* mechanism;
    } rows[] = {
        {"PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1", "SCRAM-SHA-1"},
        {"SCRAM-SHA-1 SCRAM-SHA-1-PLUS PLAIN", "SCRAM-SHA-1-PLUS"},
        {"SCRAM-SHA-1 SCRAM-SHA-256", "SCRAM-SHA-256"},
        {"ANONYMOUS NTLM OTP CRAM-MD5 LOGIN PLAIN", "CRAM-MD5"},
        {"LOGIN X-UNKNOWN PLAIN", "PLAIN"},
        {"EXTERNAL PLAIN", "EXTERNAL"},
    };
    for (const auto& row : rows) {
      const Parties it;
      SaslClient client = it.client();
      CPPUNIT_ASSERT_MESSAGE(client.failure(), client.start(row.offered));
      CPPUNIT_ASSERT_EQUAL(std::string(row.mechanism), client.mechanism());
    }
  }

  void ifAMechanismCannotBeginTheNextOneIsTried() {
    setenv("KRB5CCNAME", "FILE:/nonexistent/ticket", 1);
    setenv("KRB5_CONFIG", "/dev/null", 1);
    Parties it;
    it.surroundings.server = "localhost";  // Kerberos asks the DNS about other names
    SaslClient client = it.client();
    CPPUNIT_ASSERT_MESSAGE(client.failure(), client.start("GSSAPI GSS-SPNEGO GS2-KRB5 CRAM-MD5"));
    CPPUNIT_ASSERT_EQUAL(std::string("CRAM-MD5"), client.mechanism());
    CPPUNIT_ASSERT_EQUAL(std::string(), client.failure());
    SaslClient in_vain = it.client();
    CPPUNIT_ASSERT(!in_vain.start("GSSAPI"));
    CPPUNIT_ASSERT_EQUAL(std::string(), in_vain.mechanism());
    CPPUNIT_ASSERT_MESSAGE(in_vain.failure(), in_vain.failure().starts_with(
                                                  "the store offers GSSAPI; none can be used: "
                                                  "GSSAPI: "));
    CPPUNIT_ASSERT(!in_vain.answer("x"));
    CPPUNIT_ASSERT(!in_vain.succeed());
    unsetenv("KRB5CCNAME");
    unsetenv("KRB5_CONFIG");
  }

  void mechanismsThatCannotBeUsedAreReported() {
    Parties it;
    it.in_clear();
    const struct {
      const char* offered;
      const char* failure;
    } rows[] = {
        {"PLAIN LOGIN",
         "the store offers PLAIN LOGIN; none can be used: PLAIN LOGIN: would send the password "
         "itself "
         "(--auth-plaintext)"},
        {"PLAIN X-OTHER",
         "the store offers PLAIN X-OTHER; none can be used: X-OTHER: no plugin installed; PLAIN: "
         "would send "
         "the password itself (--auth-plaintext)"},
        {"", "the store offers no mechanism"},
        {"\r\n\x01 plain", "the store offers no mechanism"},
    };
    for (const auto& row : rows) {
      SaslClient client = it.client();
      CPPUNIT_ASSERT(!client.start(row.offered));
      CPPUNIT_ASSERT_EQUAL(std::string(row.failure), client.failure());
    }
  }

  void aUserWithARealmIsSentWhole() {
    for (const char* const mechanism : {"PLAIN", "CRAM-MD5", "SCRAM-SHA-256", "DIGEST-MD5"}) {
      Parties it;
      it.without_binding();
      it.settings.mechanisms = {mechanism};
      it.login.user = std::string(kServerUser) + '@' + kServerName;
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(server.offered()));
      const SaslTalk made = exchange(client, server);
      CPPUNIT_ASSERT_MESSAGE(mechanism, contains(made.all(), it.login.user));
      CPPUNIT_ASSERT_MESSAGE(mechanism, made.yes);
      CPPUNIT_ASSERT_MESSAGE(server.user(), server.user().starts_with(it.login.user));
    }
  }

  void theAuthorizationIdentityIsEmpty() {
    Parties it;
    it.settings.mechanisms = {"PLAIN", "EXTERNAL"};
    SaslClient plain = it.client();
    CPPUNIT_ASSERT(plain.start("PLAIN"));
    CPPUNIT_ASSERT_EQUAL(
        std::string("\0", 1) + kServerUser + std::string("\0", 1) + kServerPassword,
        *plain.initial());
    SaslClient external = it.client();
    CPPUNIT_ASSERT(external.start("EXTERNAL"));
    CPPUNIT_ASSERT_EQUAL(std::string(), *external.initial());
  }

  void aWrongPasswordIsRefused() {
    for (const char* const mechanism :
         {"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"}) {
      Parties it;
      it.settings.mechanisms = {mechanism};
      it.login.password = Secret(kWrong);
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(server.offered()));
      CPPUNIT_ASSERT_MESSAGE(mechanism, !exchange(client, server).yes);
      CPPUNIT_ASSERT_MESSAGE(client.failure(), !contains(client.failure(), kWrong));
    }
  }

  void challengeResponseNeverShowsThePassword() {
    for (const char* const mechanism :
         {"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "EXTERNAL", "PLAIN"}) {
      Parties it;
      it.settings.mechanisms = {mechanism};
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(server.offered()));
      const bool shown = contains(exchange(client, server).all(), kServerPassword);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(mechanism, std::string(mechanism) == "PLAIN", shown);
    }
  }

  // libsasl2 remembers the last exchange with a server of that name, and would resume it.
  void aSecondDigestExchangeDoesNotResumeTheFirst() {
    for (const bool clear : {true, false, true, false, false}) {
      Parties it;
      it.without_binding().settings.mechanisms = {"DIGEST-MD5"};
      if (clear) {
        it.in_clear();
      }
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(server.offered()));
      CPPUNIT_ASSERT(!client.initial());
      const SaslTalk made = exchange(client, server);
      CPPUNIT_ASSERT_MESSAGE(client.failure(), made.yes);
      CPPUNIT_ASSERT_EQUAL(clear, client.layer_bits() > 0);
      CPPUNIT_ASSERT(contains(made.said[1], "nc=00000001"));
    }
    for (const char* const proof : {"rspauth=", "RspAuth=0123456789abcdef0123456789abcdef"}) {
      Parties it;
      it.settings.mechanisms = {"DIGEST-MD5"};
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start("DIGEST-MD5"));
      CPPUNIT_ASSERT(!client.answer(proof));
      CPPUNIT_ASSERT_EQUAL(std::string("the store's first challenge in DIGEST-MD5 is an answer"),
                           client.failure());
    }
  }

  void withinTlsThereIsNoSecurityLayer() {
    for (const unsigned bits : {0U, 128U}) {
      Parties it;
      it.in_clear().settings.mechanisms = {"DIGEST-MD5"};
      it.surroundings.external_bits = bits;
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(server.offered()));
      CPPUNIT_ASSERT(exchange(client, server).yes);
      CPPUNIT_ASSERT_EQUAL(bits == 0, client.layer_bits() > 0);
      CPPUNIT_ASSERT_EQUAL(bits == 0, client.layer_bits() > 1);
    }
  }

  void ofSeveralRealmsOursIsChosen() {
    const std::pair<const char*, const char*> rows[] = {{"bob@two.example", "two.example"},
                                                        {"bob@THREE.example", "three.example"},
                                                        {"bob@x@one.example", "one.example"},
                                                        {"bob@four.example", "one.example"},
                                                        {"bob", "one.example"}};
    for (const auto& [user, realm] : rows) {
      Parties it;
      it.settings.mechanisms = {"DIGEST-MD5"};
      it.login.user = user;
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start("DIGEST-MD5"));
      const auto answer = client.answer(
          "realm=\"one.example\",realm=\"two.example\",realm=\"three.example\",nonce=\"n\","
          "qop=\"auth\",algorithm=md5-sess,charset=utf-8");
      CPPUNIT_ASSERT_MESSAGE(client.failure(), answer.has_value());
      CPPUNIT_ASSERT_MESSAGE(*answer, contains(*answer, "realm=\"" + std::string(realm) + '"'));
    }
  }

  static std::string complaint(const std::vector<std::string>& names) {
    try {
      lmtpq::mailer::require_mechanisms(names);
      return "";
    } catch (const lmtpq::ConfigError& error) {
      return error.what();
    }
  }

  void mechanismsWithoutAPluginAreAnErrorOfTheConfiguration() {
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint({}));
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint({"PLAIN", "SCRAM-SHA-256-PLUS"}));
    CPPUNIT_ASSERT_EQUAL(
        std::string("\"X-ONE, PLAIN-PLUS\": no plugin installed; install the module "
                    "of Cyrus SASL, or remove the name"),
        complaint({"X-ONE", "PLAIN", "PLAIN-PLUS"}));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SaslClientTest);
