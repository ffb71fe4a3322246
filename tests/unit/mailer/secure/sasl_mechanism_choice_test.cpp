#include "mailer/secure/sasl_mechanism_choice.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sasl/sasl.h>

#include <algorithm>

using lmtpq::Secret;
using lmtpq::mailer::AuthPlaintext;
using lmtpq::mailer::AuthSettings;
using lmtpq::mailer::choose_mechanisms;
using lmtpq::mailer::Login;
using lmtpq::mailer::SaslChoice;
using lmtpq::mailer::SaslChoices;
using lmtpq::mailer::SaslPlugin;
using lmtpq::mailer::SaslSurroundings;

namespace {

constexpr unsigned kSafe = SASL_SEC_NOPLAINTEXT | SASL_SEC_NOANONYMOUS;
constexpr unsigned kMutual = kSafe | SASL_SEC_NOACTIVE | SASL_SEC_MUTUAL_AUTH;

// Debian's plugins, with the properties that matter for the choice; strongest first.
const std::vector<SaslPlugin> kPlugins = {
    {"GSSAPI", kMutual | SASL_SEC_PASS_CREDENTIALS, true, false, false},
    {"SCRAM-SHA-256", kMutual, true, false, true},
    {"SCRAM-SHA-1", kMutual, true, false, true},
    {"GS2-IAKERB", kMutual, true, false, true},
    {"DIGEST-MD5", kSafe | SASL_SEC_MUTUAL_AUTH, false, false, true},
    {"EXTERNAL", kSafe | SASL_SEC_NODICTIONARY, false, false, false},
    {"CRAM-MD5", kSafe, false, true, true},
    {"NTLM", kSafe, false, false, true},
    {"OTP", kSafe, false, false, true},
    {"PLAIN", SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS, false, false, true},
    {"LOGIN", SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS, false, true, true},
    {"ANONYMOUS", SASL_SEC_NOPLAINTEXT, false, false, false}};

const std::string kAll =
    "GSSAPI SCRAM-SHA-256 SCRAM-SHA-1 GS2-IAKERB DIGEST-MD5 EXTERNAL CRAM-MD5 NTLM OTP PLAIN LOGIN "
    "ANONYMOUS";

struct Circumstances {
  AuthSettings settings;
  Login login{"user", Secret("password")};
  SaslSurroundings surroundings{"store.example.org", false, 0, "", "", ""};

  Circumstances() { settings.security = SASL_SEC_NOANONYMOUS; }
  Circumstances& in_tls() {
    surroundings.confidential = true;
    surroundings.external_bits = 256;
    return *this;
  }
  Circumstances& bound() {
    surroundings.binding_type = "tls-unique";
    surroundings.binding = "some bytes";
    return in_tls();
  }
  Circumstances& naming(std::vector<std::string> mechanisms) {
    settings.mechanisms = std::move(mechanisms);
    return *this;
  }
  SaslChoices choose(const std::string& offered) const {
    return choose_mechanisms(kPlugins, offered, settings, login, surroundings);
  }
  // The names, with (y) if a binding is missed.
  std::string fitting(const std::string& offered) const {
    std::string names;
    for (const SaslChoice& choice : choose(offered).fitting) {
      names += (names.empty() ? "" : " ") + choice.name() +
               (choice.binding == SaslChoice::Binding::kMissed ? "(y)" : "");
    }
    return names;
  }
};

}  // namespace

class SaslMechanismChoiceTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SaslMechanismChoiceTest);
  CPPUNIT_TEST(theOrderIsTheLibrarysNotTheServers);
  CPPUNIT_TEST(aPasswordIsSentOnlyWhereItIsAllowed);
  CPPUNIT_TEST(mechanismsThatNeedAPasswordAreSkippedWithoutOne);
  CPPUNIT_TEST(someMechanismsAreUsedOnlyWhenNamed);
  CPPUNIT_TEST(externalNeedsAClientCertificate);
  CPPUNIT_TEST(securityFlagsAlsoApplyInTls);
  CPPUNIT_TEST(channelBindingIsUsedIfItIsOffered);
  CPPUNIT_TEST(channelBindingIsMissedOnlyIfItWouldHaveBeenUsed);
  CPPUNIT_TEST(onlyValidWordsCount);
  CPPUNIT_TEST(mechanismsThatCannotBeUsedAreReportedWithTheReason);
  CPPUNIT_TEST(theLibraryHasPluginsStrongestFirst);
  CPPUNIT_TEST_SUITE_END();

 private:
  void theOrderIsTheLibrarysNotTheServers() {
    const Circumstances plain;
    CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-256 DIGEST-MD5 CRAM-MD5"),
                         plain.fitting("CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256"));
    // Nor the configuration's, which is a set.
    CPPUNIT_ASSERT_EQUAL(
        std::string("SCRAM-SHA-256 CRAM-MD5"),
        Circumstances().naming({"CRAM-MD5", "SCRAM-SHA-256", "SRP"}).fitting(kAll));
  }

  void aPasswordIsSentOnlyWhereItIsAllowed() {
    for (const bool confidential : {false, true}) {
      for (const unsigned bits : {0U, 256U}) {  // confidential without TLS: a unix socket
        for (const AuthPlaintext when :
             {AuthPlaintext::kNever, AuthPlaintext::kTls, AuthPlaintext::kAlways}) {
          Circumstances it;
          it.settings.plaintext = when;
          it.surroundings.confidential = confidential;
          it.surroundings.external_bits = bits;
          const bool may =
              when == AuthPlaintext::kAlways || (when == AuthPlaintext::kTls && confidential);
          CPPUNIT_ASSERT_EQUAL(std::string(may ? "PLAIN LOGIN" : ""), it.fitting("LOGIN PLAIN"));
          CPPUNIT_ASSERT_EQUAL(std::string(may ? "CRAM-MD5 PLAIN" : "CRAM-MD5"),
                               it.fitting("CRAM-MD5 PLAIN"));
        }
      }
    }
  }

  void mechanismsThatNeedAPasswordAreSkippedWithoutOne() {
    Circumstances it;
    it.in_tls().surroundings.external_identity = "CN=lmtpq";
    for (const bool user : {false, true}) {
      it.login = {user ? "user" : "", Secret(user ? "" : "password")};
      CPPUNIT_ASSERT_EQUAL(std::string("GSSAPI EXTERNAL"), it.fitting(kAll));
    }
    it.login = {"", Secret()};
    CPPUNIT_ASSERT_EQUAL(std::string("GSSAPI EXTERNAL"), it.fitting(kAll));
  }

  void someMechanismsAreUsedOnlyWhenNamed() {
    Circumstances it;
    it.settings.security = 0;
    it.settings.plaintext = AuthPlaintext::kAlways;
    CPPUNIT_ASSERT_EQUAL(std::string("GSSAPI SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN "
                                     "LOGIN"),
                         it.fitting(kAll));
    for (const std::string name : {"GS2-IAKERB", "NTLM", "OTP", "ANONYMOUS"}) {
      CPPUNIT_ASSERT_EQUAL(std::string(), it.naming({}).fitting(name));
      CPPUNIT_ASSERT_EQUAL(name, it.naming({name}).fitting(kAll));
    }
    it.settings.security = SASL_SEC_NOANONYMOUS;
    CPPUNIT_ASSERT_EQUAL(std::string(), it.naming({"ANONYMOUS"}).fitting(kAll));
  }

  void externalNeedsAClientCertificate() {
    Circumstances it;
    CPPUNIT_ASSERT_EQUAL(std::string(), it.in_tls().fitting("EXTERNAL"));
    CPPUNIT_ASSERT_EQUAL(std::string(), it.naming({"EXTERNAL"}).fitting("EXTERNAL"));
    it.surroundings.external_identity = "CN=lmtpq";
    CPPUNIT_ASSERT_EQUAL(std::string("EXTERNAL"), it.fitting("EXTERNAL"));
  }

  // libsasl2 itself ignores SASL_SEC_NOPLAINTEXT in TLS.
  void securityFlagsAlsoApplyInTls() {
    const struct {
      unsigned security;
      const char* expected;
    } rows[] = {
        {0, "SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN"},
        {SASL_SEC_NOPLAINTEXT, "SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5"},
        {SASL_SEC_MUTUAL_AUTH, "SCRAM-SHA-1 DIGEST-MD5"},
        {SASL_SEC_NOACTIVE, "SCRAM-SHA-1"},
        {SASL_SEC_NOACTIVE | SASL_SEC_NOPLAINTEXT, "SCRAM-SHA-1"},
        {SASL_SEC_FORWARD_SECRECY, ""},
    };
    for (const auto& row : rows) {
      Circumstances it;
      it.in_tls().settings.security = row.security;
      CPPUNIT_ASSERT_EQUAL(std::string(row.expected),
                           it.fitting("PLAIN CRAM-MD5 SCRAM-SHA-1 DIGEST-MD5"));
    }
  }

  void channelBindingIsUsedIfItIsOffered() {
    const std::string both = "SCRAM-SHA-1 SCRAM-SHA-1-PLUS";
    CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-1-PLUS"), Circumstances().bound().fitting(both));
    CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-1"), Circumstances().in_tls().fitting(both));
    CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-1-PLUS"),
                         Circumstances().bound().naming({"SCRAM-SHA-1-PLUS"}).fitting(both));
    CPPUNIT_ASSERT_EQUAL(std::string(),
                         Circumstances().in_tls().naming({"SCRAM-SHA-1-PLUS"}).fitting(both));
    CPPUNIT_ASSERT_EQUAL(std::string(), Circumstances().bound().fitting("DIGEST-MD5-PLUS -PLUS"));
    Circumstances none;
    none.bound().settings.channel_binding = "none";
    CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-1"), none.fitting(both));
  }

  void channelBindingIsMissedOnlyIfItWouldHaveBeenUsed() {
    CPPUNIT_ASSERT_EQUAL(std::string("SCRAM-SHA-256(y) DIGEST-MD5"),
                         Circumstances().bound().fitting("SCRAM-SHA-256 DIGEST-MD5"));
    // The configuration excludes it.
    CPPUNIT_ASSERT_EQUAL(
        std::string("SCRAM-SHA-256"),
        Circumstances().bound().naming({"SCRAM-SHA-256"}).fitting("SCRAM-SHA-256"));
    // The server knows that it offered channel binding.
    CPPUNIT_ASSERT_EQUAL(
        std::string("SCRAM-SHA-256 SCRAM-SHA-1-PLUS"),
        Circumstances().bound().fitting("SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1"));
  }

  void onlyValidWordsCount() {
    const Circumstances it;
    CPPUNIT_ASSERT_EQUAL(std::string("CRAM-MD5"),
                         it.choose("cram-md5 =CRAM-MD5 CRAM-MD5\x01 CRAM-MD5  CRAM-MD5").offered);
    CPPUNIT_ASSERT_EQUAL(std::string(), it.choose(std::string(21, 'A')).offered);
    CPPUNIT_ASSERT_EQUAL(std::string(20, 'A'), it.choose(std::string(20, 'A')).offered);
    CPPUNIT_ASSERT_EQUAL(std::string(), it.choose("").offered);
    CPPUNIT_ASSERT_EQUAL(std::string(), it.choose(" \r\n\0 ").offered);
    std::string many;
    for (int i = 0; i < 10000; ++i) {
      many += "X" + std::to_string(i) + ' ';
    }
    const SaslChoices choices = it.choose(many);
    CPPUNIT_ASSERT(choices.offered.size() < 1000 && choices.objections.size() < 1000);
    std::string before;  // 63 words
    for (int i = 0; i < 63; ++i) {
      before += "X" + std::to_string(i) + ' ';
    }
    CPPUNIT_ASSERT_EQUAL(std::string("CRAM-MD5"), it.fitting(before + "CRAM-MD5"));
    CPPUNIT_ASSERT_EQUAL(std::string(), it.fitting(before + "X63 CRAM-MD5"));
  }

  void mechanismsThatCannotBeUsedAreReportedWithTheReason() {
    const Circumstances plain;
    Circumstances named;
    named.naming({"GSSAPI"});
    Circumstances no_login;
    no_login.login = {};
    Circumstances barred;
    barred.in_tls().settings.security = SASL_SEC_MUTUAL_AUTH;
    const struct {
      const Circumstances& it;
      const char* offered;
      const char* expected;
    } rows[] = {
        {plain, "PLAIN LOGIN", "PLAIN LOGIN: would send the password itself (--auth-plaintext)"},
        {no_login, "CRAM-MD5", "CRAM-MD5: no user and password (--auth-password-file)"},
        {barred, "CRAM-MD5 PLAIN SCRAM-SHA-1",
         "CRAM-MD5 PLAIN: lacks a property that --auth-security requires"},
        {plain, "EXTERNAL SRP",
         "SRP: no plugin installed; EXTERNAL: no client certificate was sent (--tls-cert)"},
        {plain, "NTLM", "NTLM: used only if --auth-mechanisms names it"},
        {named, "PLAIN DIGEST-MD5", "PLAIN DIGEST-MD5: not in --auth-mechanisms"},
        {plain, "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS: no channel binding on this connection"},
        {plain, "CRAM-MD5", ""},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.expected), row.it.choose(row.offered).objections);
    }
  }

  void theLibraryHasPluginsStrongestFirst() {
    std::string failure;
    const auto& plugins = lmtpq::mailer::sasl_plugins(failure);
    CPPUNIT_ASSERT_EQUAL(std::string(), failure);
    std::size_t last = 0;
    for (const std::string name :
         {"SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "PLAIN"}) {
      const auto found = std::find_if(plugins.begin(), plugins.end(),
                                      [&](const SaslPlugin& one) { return one.name == name; });
      CPPUNIT_ASSERT_MESSAGE(name, found != plugins.end());
      const auto ours = std::find_if(kPlugins.begin(), kPlugins.end(),
                                     [&](const SaslPlugin& one) { return one.name == name; });
      CPPUNIT_ASSERT_EQUAL_MESSAGE(name, ours->security, found->security & 0x7f);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(name, ours->binds, found->binds);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(name, ours->server_first, found->server_first);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(name, ours->needs_login, found->needs_login);
      const auto place = static_cast<std::size_t>(found - plugins.begin());
      CPPUNIT_ASSERT_MESSAGE(name, place >= last);
      last = place;
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SaslMechanismChoiceTest);
