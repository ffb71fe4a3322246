// All of what describe() and to_json() print of a store with TLS and a login.

#include <cppunit/extensions/HelperMacros.h>

#include "mailer/probe.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Reply lhlo(std::vector<std::string> lines) { return {250, std::nullopt, std::move(lines), {}}; }

ProbeResult secured_store() {
  ProbeResult result;
  result.reached = ProbeResult::Reached::kStore;
  result.peer = "inet:a:24 (192.0.2.1)";
  result.connect_seconds = 0.0123456;
  result.greeting = {220, std::nullopt, {"store ready"}, {}};
  result.settings = "[destination.a] (f:1)";
  result.offered.emplace_back(lhlo({"store", "STARTTLS", "SIZE 5"}));
  result.offered.emplace_back(lhlo({"store", "AUTH PLAIN"}));
  result.offered.emplace_back(lhlo({"store", "TRACE"}));
  result.in_tls = true;
  result.tls.protocol = "TLSv1.3";
  result.tls.cipher = "AES";
  result.tls.trust = TlsTrust::kVerified;
  result.tls.verification = "ok";
  result.tls.chain = {
      {"CN=a", "CN=ca", {"DNS:a", "IP:192.0.2.1"}, "2027-01-31T12:00:00Z", 0, "f1", "k1"},
      {"CN=ca", "CN=root", {}, "2026-01-31T12:00:00Z", -3, "f2", "k2"}};
  result.mechanism = "GSSAPI";
  result.user = "lmtp";
  result.layer_bits = 256;
  result.session = "s-1";
  return result;
}

}  // namespace

class ProbeOutputTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ProbeOutputTest);
  CPPUNIT_TEST(aSecuredStoreIsDescribed);
  CPPUNIT_TEST(tlsFromTheStartComesBeforeTheGreeting);
  CPPUNIT_TEST(aLoginWithoutUserAndLayerIsShort);
  CPPUNIT_TEST(aSecuredStoreIsAnObject);
  CPPUNIT_TEST(whatIsNotKnownIsLeftOut);
  CPPUNIT_TEST_SUITE_END();

  void aSecuredStoreIsDescribed() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("connected          inet:a:24 (192.0.2.1) in 12.3 ms\n"
                    "settings           [destination.a] (f:1)\n"
                    "greeting           220 store ready\n"
                    "offers             STARTTLS\n"
                    "                   SIZE 5\n"
                    "TLS                TLSv1.3 AES, verified\n"
                    "verification       ok\n"
                    "certificate        CN=a\n"
                    "  issuer           CN=ca\n"
                    "  names            DNS:a IP:192.0.2.1\n"
                    "  expires          2027-01-31T12:00:00Z, in 0 days\n"
                    "  sha256           f1\n"
                    "  key sha256       k1\n"
                    "signed by          CN=ca\n"
                    "  issuer           CN=root\n"
                    "  expires          2026-01-31T12:00:00Z, expired for 3 days\n"
                    "  sha256           f2\n"
                    "  key sha256       k2\n"
                    "offers in TLS      AUTH PLAIN\n"
                    "login              GSSAPI as lmtp, security layer of 256 bits\n"
                    "offers after login TRACE\n"
                    "session            s-1\n"
                    "IGNOREQUOTA        no\n"
                    "TRACE              yes\n"),
        describe(secured_store(), ""));
  }

  void tlsFromTheStartComesBeforeTheGreeting() {
    ProbeResult result = secured_store();
    result.tls_first = true;
    result.offered = {result.offered[1]};
    result.tls.chain.resize(1);
    result.tls.chain[0].names.clear();
    result.mechanism.clear();
    result.settings.clear();
    const std::string text = describe(result, "");
    CPPUNIT_ASSERT_MESSAGE(text,
                           text.starts_with("connected          inet:a:24 (192.0.2.1) in 12.3 ms\n"
                                            "settings           no section matches\n"
                                            "TLS                TLSv1.3 AES, verified\n"
                                            "verification       ok\n"
                                            "certificate        CN=a\n"
                                            "  issuer           CN=ca\n"
                                            "  names            none\n"));
    CPPUNIT_ASSERT_MESSAGE(
        text, text.ends_with("  key sha256       k1\n"
                             "greeting           220 store ready\n"
                             "offers in TLS      AUTH PLAIN\n"
                             "login              none configured; the store offers AUTH\n"
                             "session            s-1\n"
                             "IGNOREQUOTA        no\n"
                             "TRACE              no\n"));
  }

  void aLoginWithoutUserAndLayerIsShort() {
    ProbeResult result = secured_store();
    result.user.clear();
    result.layer_bits = 0;
    result.session.clear();
    const std::string text = describe(result, "");
    CPPUNIT_ASSERT_MESSAGE(text, text.ends_with("login              GSSAPI\n"
                                                "offers after login TRACE\n"
                                                "IGNOREQUOTA        no\n"
                                                "TRACE              yes\n"));
  }

  void aSecuredStoreIsAnObject() {
    CPPUNIT_ASSERT_EQUAL(
        std::string(
            R"json({"reached":"store","peer":"inet:a:24 (192.0.2.1)","connect_seconds":0.012346,)json"
            R"json("settings":"[destination.a] (f:1)","greeting":"220 store ready",)json"
            R"json("offers":{"TRACE":""},)json"
            R"json("offered_before":[{"STARTTLS":"","SIZE":"5"},{"AUTH":"PLAIN"}],)json"
            R"json("tls":{"established":true,"from_start":false,"protocol":"TLSv1.3","cipher":"AES",)json"
            R"json("trust":"verified","verification":"ok","chain":[)json"
            R"json({"subject":"CN=a","issuer":"CN=ca","names":["DNS:a","IP:192.0.2.1"],)json"
            R"json("not_after":"2027-01-31T12:00:00Z","days_left":0,"sha256":"f1","key_sha256":"k1"},)json"
            R"json({"subject":"CN=ca","issuer":"CN=root","names":[],)json"
            R"json("not_after":"2026-01-31T12:00:00Z","days_left":-3,"sha256":"f2",)json"
            R"json("key_sha256":"k2"}]},)json"
            R"json("login":{"mechanism":"GSSAPI","user":"lmtp","layer_bits":256},)json"
            R"json("session":"s-1","IGNOREQUOTA":false,"TRACE":true})json"
            "\n"),
        to_json(secured_store(), ""));
  }

  // TLS that failed at level may, no login.
  void whatIsNotKnownIsLeftOut() {
    ProbeResult result = secured_store();
    result.in_tls = false;
    result.tls = {};
    result.tls_failure = "no shared cipher";
    result.mechanism.clear();
    result.offered.resize(1);
    const std::string json = to_json(result, "");
    for (const char* const key : {"\"tls\":", "\"login\":", "\"offered_before\":", "\"failure\":",
                                  "\"trace_id\":", "\"mailbox\":"}) {
      CPPUNIT_ASSERT_MESSAGE(json + key, json.find(key) == std::string::npos);
    }
    CPPUNIT_ASSERT(json.find("\"tls_failure\":\"no shared cipher\",\"greeting\":") !=
                   std::string::npos);
    const std::string text = describe(result, "");
    CPPUNIT_ASSERT_MESSAGE(
        text, text.find("                   SIZE 5\n"
                        "TLS                failed: no shared cipher; continued without TLS\n"
                        "session            s-1\n") != std::string::npos);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProbeOutputTest);
