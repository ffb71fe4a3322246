#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

#include "mailer/secure/sasl_client.h"
#include "tests/unit/mailer/secure/sasl_parties.h"
#include "tests/unit/mailer/secure/sasl_server.h"

// What a hostile store, or somebody in between, can do within AUTH.

using lmtpq::mailer::contains;
using lmtpq::mailer::exchange;
using lmtpq::mailer::kBinding;
using lmtpq::mailer::kServerPassword;
using lmtpq::mailer::Parties;
using lmtpq::mailer::SaslClient;
using lmtpq::mailer::SaslServer;

namespace {

// Client and store without a channel binding, and AUTH is out.
struct Begun {
  explicit Begun(const std::string& mechanism)
      : it(parties(mechanism)), server(it.store), client(it.settings, it.login, it.surroundings) {
    CPPUNIT_ASSERT(client.start(server.offered()));
    server.begin(client.mechanism(), client.initial());
  }
  static Parties parties(const std::string& mechanism) {
    Parties made;
    made.without_binding().settings.mechanisms = {mechanism};
    return made;
  }
  Parties it;
  SaslServer server;
  SaslClient client;
};

}  // namespace

class SaslClientAttacksTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SaslClientAttacksTest);
  CPPUNIT_TEST(successBeforeTheStoresProofIsRejected);
  CPPUNIT_TEST(aStoreThatDoesNotKnowThePasswordIsDetected);
  CPPUNIT_TEST(aChallengeAfterTheLastStepIsRefused);
  CPPUNIT_TEST(tooFewScramIterationsAreRefused);
  CPPUNIT_TEST(theBindingOfAnotherChannelIsRefused);
  CPPUNIT_TEST(channelBindingRemovedFromTheListIsDetected);
  CPPUNIT_TEST(anInvalidChallengeFailsWithoutShowingTheSecret);
  CPPUNIT_TEST(aHugeChallengeIsRefused);
  CPPUNIT_TEST(endlessChallengesAreRefused);
  CPPUNIT_TEST(aFailureIsFinal);
  CPPUNIT_TEST(theFewestIterationsAreAccepted);
  CPPUNIT_TEST(theReasonOfAPluginIsShortAndShowsNoPassword);
  CPPUNIT_TEST_SUITE_END();

 private:
  // The exchange is broken off by the store with a yes, after each number of steps.
  void successBeforeTheStoresProofIsRejected() {
    for (const char* const mechanism :
         {"DIGEST-MD5", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "LOGIN", "CRAM-MD5"}) {
      for (int steps = 0; steps < 3; ++steps) {
        Parties it;
        it.settings.mechanisms = {mechanism};
        SaslServer server(it.store);
        SaslClient client = it.client();
        CPPUNIT_ASSERT(client.start(server.offered()));
        auto verdict = server.begin(client.mechanism(), client.initial());
        for (int i = 0; i < steps && verdict == SaslServer::Verdict::kChallenge; ++i) {
          const auto answer = client.answer(server.challenge());
          CPPUNIT_ASSERT(answer);
          verdict = server.hear(*answer);
        }
        const bool proves =
            std::string(mechanism) != "LOGIN" && std::string(mechanism) != "CRAM-MD5";
        const bool all = verdict == SaslServer::Verdict::kYes;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(mechanism, all, client.succeed());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(mechanism, !all,
                                     contains(client.failure(), "before the end of"));
        CPPUNIT_ASSERT(!proves || all == (steps == 2));
      }
    }
  }

  void aStoreThatDoesNotKnowThePasswordIsDetected() {
    for (const std::string mechanism : {"DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}) {
      Begun begun(mechanism);
      auto& [it, server, client] = begun;
      const auto answer = client.answer(server.challenge());
      CPPUNIT_ASSERT(answer);
      CPPUNIT_ASSERT(server.hear(*answer) == SaslServer::Verdict::kChallenge);
      std::string proof = server.challenge();
      const std::size_t at = proof.find('=') + 3;
      proof[at] = proof[at] == 'a' ? 'b' : 'a';
      CPPUNIT_ASSERT_MESSAGE(mechanism, !client.answer(proof));
      CPPUNIT_ASSERT_MESSAGE(mechanism, !client.succeed());
      CPPUNIT_ASSERT_MESSAGE(client.failure(), client.failure().starts_with(mechanism + ": "));
    }
  }

  void aChallengeAfterTheLastStepIsRefused() {
    for (const char* const mechanism : {"PLAIN", "EXTERNAL"}) {
      Parties it;
      it.settings.mechanisms = {mechanism};
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(mechanism));
      CPPUNIT_ASSERT(!client.answer(""));
      CPPUNIT_ASSERT_EQUAL(
          "the store asks for more after the last step of " + std::string(mechanism),
          client.failure());
      CPPUNIT_ASSERT(!client.succeed());
    }
  }

  void tooFewScramIterationsAreRefused() {
    for (const char* const count : {"1", "4095", "0", "", "-1", "4096x", "99999999999999999999"}) {
      Begun begun("SCRAM-SHA-256");
      auto& [it, server, client] = begun;
      const std::string honest = server.challenge();
      const std::string asked = honest.substr(0, honest.rfind(",i=")) + ",i=" + count;
      CPPUNIT_ASSERT_MESSAGE(asked, !client.answer(asked));
      CPPUNIT_ASSERT_EQUAL(
          std::string("the store asks for fewer than 4096 iterations in SCRAM-SHA-256"),
          client.failure());
    }
  }

  void theBindingOfAnotherChannelIsRefused() {
    for (const char* const binding : {kBinding, "somebody in the middle's"}) {
      Parties it;
      it.settings.mechanisms = {"SCRAM-SHA-256-PLUS"};
      it.surroundings.binding = binding;
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(server.offered()));
      CPPUNIT_ASSERT(client.initial()->starts_with("p=tls-unique,,"));
      CPPUNIT_ASSERT_EQUAL(binding == kBinding, exchange(client, server).yes);
    }
  }

  // An attacker in between removes the -PLUS, without success.
  void channelBindingRemovedFromTheListIsDetected() {
    Parties it;
    for (const char* const offered : {"SCRAM-SHA-256", "PLAIN SCRAM-SHA-256 SCRAM-SHA-1"}) {
      SaslServer server(it.store);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(offered));
      CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-256"), client.mechanism());
      CPPUNIT_ASSERT_MESSAGE(*client.initial(), client.initial()->starts_with("y,,"));
      CPPUNIT_ASSERT(!exchange(client, server).yes);
    }
    // A store that really offers none accepts it.
    Parties honest;
    honest.store.binding_type.clear();
    honest.store.mechanisms = "SCRAM-SHA-256 CRAM-MD5 PLAIN";
    SaslServer server(honest.store);
    SaslClient client = honest.client();
    CPPUNIT_ASSERT(client.start(server.offered()));
    CPPUNIT_ASSERT(client.initial()->starts_with("y,,"));
    CPPUNIT_ASSERT(exchange(client, server).yes);
  }

  void anInvalidChallengeFailsWithoutShowingTheSecret() {
    const std::string challenges[] = {
        "",
        "x",
        std::string("\0\0\0", 3),
        std::string(2000, 'a'),
        "rspauth=",
        "rspauth=00000000000000000000000000000000",
        "realm=\"a\",nonce=\"\",qop=\"auth\",algorithm=md5-sess",
        "nonce=\"x\",realm=\"" + std::string(1500, 'r') + "\",algorithm=md5-sess,charset=utf-8",
        "nonce=\"x\",qop=\"auth-conf\",cipher=\"rot13\",algorithm=md5-sess,maxbuf=1",
        "r=,s=,i=",
        "r=x,s=eA==,i=4096",
        "r=x,s=eA==,i=99999999999999",
        "r=x,s=eA==,i=-1",
        "v=AAAA",
        "e=other-error",
        "<1.2@store>",
        "\xff\xfe\xfd",
        std::string(kServerPassword),
    };
    for (const char* const mechanism :
         {"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "LOGIN", "PLAIN", "EXTERNAL"}) {
      for (const std::string& first : challenges) {
        for (const std::string& second : challenges) {
          Parties it;
          it.settings.mechanisms = {mechanism};
          SaslClient client = it.client();
          CPPUNIT_ASSERT(client.start(mechanism));
          const bool went_on = client.answer(first) && client.answer(second);
          const bool in = client.succeed();
          CPPUNIT_ASSERT_MESSAGE(mechanism, !in || std::string(mechanism) == "CRAM-MD5" ||
                                                std::string(mechanism) == "LOGIN");
          CPPUNIT_ASSERT_MESSAGE(mechanism, in || went_on || !client.failure().empty());
          CPPUNIT_ASSERT(!contains(client.failure(), kServerPassword));
          CPPUNIT_ASSERT(std::all_of(client.failure().begin(), client.failure().end(),
                                     [](char c) { return c >= ' ' && c <= '~'; }));
          CPPUNIT_ASSERT(client.failure().size() < 1500);
          CPPUNIT_ASSERT(client.layer_bits() == 0 || in);
        }
      }
    }
  }

  void aHugeChallengeIsRefused() {
    for (const char* const mechanism : {"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256", "LOGIN"}) {
      Parties it;
      it.settings.mechanisms = {mechanism};
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(mechanism));
      CPPUNIT_ASSERT(!client.answer(std::string(1000000, 'x')));
      CPPUNIT_ASSERT_EQUAL(std::string("challenge too long: 1000000 bytes"), client.failure());
      for (const std::size_t size : {65'536U, 65'537U}) {
        SaslClient another = it.client();
        CPPUNIT_ASSERT(another.start(mechanism));
        another.answer(std::string(size, 'x'));
        CPPUNIT_ASSERT_EQUAL(size > 65'536, another.failure() == "challenge too long: 65537 bytes");
      }
    }
  }

  void endlessChallengesAreRefused() {
    Parties it;
    it.in_clear().settings.mechanisms = {"DIGEST-MD5", "CRAM-MD5", "SCRAM-SHA-1"};
    for (const std::string offered : {"DIGEST-MD5", "CRAM-MD5", "SCRAM-SHA-1"}) {
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start(offered));
      int answers = 0;
      while (answers < 1000 && client.answer("x")) {
        ++answers;
      }
      CPPUNIT_ASSERT(answers <= 20);
      CPPUNIT_ASSERT(!client.failure().empty());
    }
  }

  void aFailureIsFinal() {
    Begun begun("SCRAM-SHA-256");
    auto& [it, server, client] = begun;
    CPPUNIT_ASSERT(!client.answer("invalid"));
    const std::string failure = client.failure();
    CPPUNIT_ASSERT(!client.answer(server.challenge()));
    CPPUNIT_ASSERT(!client.succeed());
    CPPUNIT_ASSERT_EQUAL(failure, client.failure());
  }

  void theFewestIterationsAreAccepted() {
    for (const char* const count : {"4096", "4096,x=y", "10000"}) {
      Begun begun("SCRAM-SHA-256");
      auto& [it, server, client] = begun;
      const std::string honest = server.challenge();
      client.answer(honest.substr(0, honest.rfind(",i=")) + ",i=" + count);
      CPPUNIT_ASSERT_MESSAGE(client.failure(), !contains(client.failure(), "iterations"));
    }
  }

  // DIGEST-MD5 repeats a length that it cannot use.
  void theReasonOfAPluginIsShortAndShowsNoPassword() {
    const std::string before = "realm=\"a\",nonce=\"n\",qop=\"auth\",algorithm=md5-sess,maxbuf=";
    const auto failure = [&](const std::string& length, const std::string& password) {
      Parties it;
      it.settings.mechanisms = {"DIGEST-MD5"};
      it.login.password = lmtpq::Secret(password);
      SaslClient client = it.client();
      CPPUNIT_ASSERT(client.start("DIGEST-MD5"));
      CPPUNIT_ASSERT(!client.answer(before + '"' + length + '"'));
      return client.failure();
    };
    const std::string shown = failure("12x34", "other");
    CPPUNIT_ASSERT_MESSAGE(shown, contains(shown, "12x34"));
    const std::string hidden = failure("12x34", "2x3");
    CPPUNIT_ASSERT_MESSAGE(hidden, !contains(hidden, "2x3"));
    CPPUNIT_ASSERT_MESSAGE(hidden, hidden.size() > std::string("DIGEST-MD5: ").size());
    CPPUNIT_ASSERT_EQUAL(std::string("DIGEST-MD5: ").size() + 300,
                         failure(std::string(1000, 'x'), "other").size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SaslClientAttacksTest);
