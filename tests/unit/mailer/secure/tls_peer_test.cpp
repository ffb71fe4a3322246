#include "mailer/secure/tls_peer.h"

#include <cppunit/extensions/HelperMacros.h>
#include <stdlib.h>

#include <cstdio>

#include "common/network/network.h"
#include "tests/unit/mailer/secure/tls_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;

class TlsPeerTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsPeerTest);
  CPPUNIT_TEST(theLevelDecidesWhichCertificatesAreAccepted);
  CPPUNIT_TEST(authoritiesComeFromAFileADirectoryOrTheSystem);
  CPPUNIT_TEST(aNameIsComparedWithNamesOfItsKind);
  CPPUNIT_TEST(theNameOfTheSettingsReplacesTheHost);
  CPPUNIT_TEST(aRefusedPeerGetsOnlyAnAlert);
  CPPUNIT_TEST(aFingerprintIsOfTheLeafOrOfItsKey);
  CPPUNIT_TEST(aCipherWithoutCertificatesIsRefused);
  CPPUNIT_TEST(onlyADnsNameIsSentAsSni);
  CPPUNIT_TEST_SUITE_END();

  struct Row {
    const char* name;
    const Certified& certified;
    const char* verification;
    const char* crl = "";
  };

  void theLevelDecidesWhichCertificatesAreAccepted() {
    const World& w = world();
    const std::string revoking = w.folder.file("revoking.pem", w.root.crl({&w.good}));
    const std::string other = w.folder.file("other.pem", w.root.crl({&w.other}));
    const std::string stale = w.folder.file("stale.pem", w.root.crl({}, -kDay));
    const std::string half = w.folder.file("half.pem", w.root.crl({}));
    const std::string full = w.folder.file("full.pem", w.root.crl({}) + w.middle.crl({}));
    const std::string above =
        w.folder.file("above.pem", w.root.crl({&w.middle.own()}) + w.middle.crl({}));
    const Row rows[] = {
        {"good", w.good, "ok"},
        {"through an intermediate", w.long_way, "ok"},
        {"intermediate missing", w.gap, "unable to get local issuer certificate"},
        {"expired", w.expired, "certificate has expired"},
        {"not yet valid", w.early, "certificate is not yet valid"},
        {"wrong name", w.other, "hostname mismatch"},
        {"name in the CN only", w.common_name, "hostname mismatch"},
        {"self-signed", w.by_itself, "self-signed certificate"},
        {"unknown CA", w.foreign, "unable to get local issuer certificate"},
        {"a client's certificate", w.for_clients, "unsuitable certificate purpose"},
        {"revoked", w.good, "certificate revoked", revoking.c_str()},
        {"another one revoked", w.good, "ok", other.c_str()},
        {"stale CRL", w.good, "CRL has expired", stale.c_str()},
        {"no CRL of the intermediate", w.long_way, "unable to get certificate CRL", half.c_str()},
        {"CRLs of all", w.long_way, "ok", full.c_str()},
        {"intermediate revoked", w.long_way, "certificate revoked", above.c_str()},
    };
    for (const Row& row : rows) {
      for (const int version : kVersions) {
        for (const TlsLevel level : kLevels) {
          judge(row, version, level);
        }
      }
    }
  }

  static void judge(const Row& row, int version, TlsLevel level) {
    const std::string what = std::string(row.name) + " at " +
                             kTlsLevelNames[static_cast<int>(level)] +
                             (version == TLS1_3_VERSION ? ", TLS 1.3" : ", TLS 1.2");
    TlsSettings settings = world().settings(level);
    settings.crl_file = row.crl;
    settings.fingerprints = {small_sha256(row.certified.certificate.get())};
    TlsServer server(&row.certified);
    server.versions(version, version);
    TlsFactory factory(settings, kHost);
    Meeting meeting(factory, server);
    const TlsFacts& facts = meeting.layer->facts();
    const bool well = std::string(row.verification) == "ok";
    check(what, level != TlsLevel::kVerify || well, meeting.done);
    check(what, meeting.done, meeting.store.shook_hands());
    check(what, row.verification, facts.verification);
    check(what, meeting.done, !facts.protocol.empty());
    CPPUNIT_ASSERT_MESSAGE(what, !facts.chain.empty());
    check(what, small_sha256(row.certified.certificate.get()), facts.chain[0].fingerprint);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(what, row.certified.intermediates.size() + 1, facts.chain.size());
    const TlsTrust trust = !meeting.done                     ? TlsTrust::kUnverified
                           : level == TlsLevel::kVerify      ? TlsTrust::kVerified
                           : level == TlsLevel::kFingerprint ? TlsTrust::kFingerprint
                                                             : TlsTrust::kUnverified;
    CPPUNIT_ASSERT_MESSAGE(what, trust == facts.trust);
    if (meeting.done) {
      talk(meeting);
    } else {
      CPPUNIT_ASSERT_MESSAGE(what + ": " + meeting.failure,
                             meeting.failure.find(row.verification) != std::string::npos);
      check(what, meeting.failure, meeting.layer->failure());
    }
  }

  void authoritiesComeFromAFileADirectoryOrTheSystem() {
    const World& w = world();
    const Folder hashed;
    char name[16];
    std::snprintf(name, sizeof name, "%08lx.0",
                  X509_subject_name_hash(w.root.own().certificate.get()));
    hashed.file(name, w.root.own().pem());
    const std::string unknown = w.folder.file("unknown.pem", w.unknown.own().pem());
    struct Source {
      const char* name;
      std::string file;
      std::string path;
      const char* variable;  // OpenSSL's, which overrides the system's CAs
      std::string value;
      bool believed;
    };
    const Source rows[] = {
        {"file", w.ca, "", "", "", true},
        {"folder", "", hashed.path(), "", "", true},
        {"file of another and folder", unknown, hashed.path(), "", "", true},
        {"file of another", unknown, "", "", "", false},
        {"file of another, the system's", unknown, "", "SSL_CERT_FILE", w.ca, false},
        {"the system's", "", "", "", "", false},
        {"the system's file", "", "", "SSL_CERT_FILE", w.ca, true},
        {"the system's folder", "", "", "SSL_CERT_DIR", hashed.path(), true},
    };
    TlsServer server(&w.good);
    for (const Source& row : rows) {
      TlsSettings settings;
      settings.level = TlsLevel::kVerify;
      settings.ca_file = row.file;
      settings.ca_path = row.path;
      unsetenv("SSL_CERT_FILE");
      unsetenv("SSL_CERT_DIR");
      if (*row.variable != '\0') {
        setenv(row.variable, row.value.c_str(), 1);
      }
      TlsFactory factory(settings, kHost);
      const Meeting meeting(factory, server);
      check(row.name, row.believed, meeting.done);
    }
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
  }

  void aNameIsComparedWithNamesOfItsKind() {
    struct Name {
      const char* host;
      const char* verification;
    };
    const Name rows[] = {
        {"imap.example.org", "ok"},
        {"IMAP.Example.ORG", "ok"},
        {"imap.example.org.", "ok"},
        {"a.wild.example.org", "ok"},
        {"a.b.wild.example.org", "hostname mismatch"},
        {"wild.example.org", "hostname mismatch"},
        {"foo.example.org", "hostname mismatch"},  // f*
        {"store", "hostname mismatch"},            // the CN
        {"example.org", "hostname mismatch"},
        {"192.0.2.1", "ok"},
        {"192.0.2.2", "IP address mismatch"},
        {"192.0.2.7", "IP address mismatch"},  // it is a DNS name there
        {"2001:db8::1", "ok"},
        {"2001:DB8:0:0::1", "ok"},
        {"2001:db8::1%eth0", "ok"},
        {"2001:db8::2", "IP address mismatch"},
    };
    TlsServer server(&world().good);
    for (const Name& row : rows) {
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsFactory factory(settings, row.host);
      const Meeting meeting(factory, server);
      check(row.host, row.verification, meeting.layer->facts().verification);
      check(row.host, std::string(row.verification) == "ok", meeting.done);
      if (!meeting.done) {
        check(row.host,
              "certificate of CN=store: " + std::string(row.verification) + ", expected " +
                  lmtpq::bracketed(factory.name()),
              meeting.failure);
      }
    }
  }

  void theNameOfTheSettingsReplacesTheHost() {
    TlsServer server(&world().good);
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.name = "imap.example.org.";
    TlsFactory factory(settings, "192.0.2.99");
    CPPUNIT_ASSERT_EQUAL(std::string(kHost), factory.name());
    CPPUNIT_ASSERT(Meeting(factory, server).done);
    settings.name = "b.example.org";
    TlsFactory another(settings, kHost);
    CPPUNIT_ASSERT(!Meeting(another, server).done);
    // A unix socket has no host.
    settings.name.clear();
    TlsFactory nameless(settings, "");
    CPPUNIT_ASSERT(complaint([&] { nameless.connect(); }).starts_with("--tls: \"verify\": "));
    settings.level = TlsLevel::kEncrypt;
    TlsFactory careless(settings, "");
    const Meeting meeting(careless, server);
    CPPUNIT_ASSERT(meeting.done);
    CPPUNIT_ASSERT_EQUAL(std::string("ok"), meeting.layer->facts().verification);
    for (const char* name : {"st\xc3\xb6re.example.org", "imap example.org", ".example.org", "."}) {
      settings.name = name;
      TlsFactory odd(settings, kHost);
      const std::string error = complaint([&] { odd.connect(); });
      CPPUNIT_ASSERT_MESSAGE(error, error.starts_with("--tls-name: "));
      CPPUNIT_ASSERT_MESSAGE(error, error.find(": expected a ") != std::string::npos);
    }
  }

  void aRefusedPeerGetsOnlyAnAlert() {
    struct Alert {
      const Certified& certified;
      TlsLevel level;
      const char* error;
    };
    const Alert rows[] = {
        {world().expired, TlsLevel::kVerify, "certificate expired"},
        {world().foreign, TlsLevel::kVerify, "unknown ca"},
        {world().other, TlsLevel::kVerify, "bad certificate"},
        {world().good, TlsLevel::kFingerprint, "bad certificate"},
    };
    for (const Alert& row : rows) {
      for (const int version : kVersions) {
        TlsSettings settings = world().settings(row.level);
        settings.fingerprints = {std::string(64, '0'), ""};
        settings.certificate_file =
            world().folder.file("client.pem", world().client.pem() + world().client.key_pem());
        TlsServer server(&row.certified);
        server.versions(version, version).ask_for_certificate(world().root);
        TlsFactory factory(settings, kHost);
        const Meeting meeting(factory, server);
        CPPUNIT_ASSERT(!meeting.done && !meeting.store.shook_hands());
        CPPUNIT_ASSERT_MESSAGE(meeting.store.error,
                               meeting.store.error.find(row.error) != std::string::npos);
        CPPUNIT_ASSERT(SSL_get0_peer_certificate(meeting.store.connection()) == nullptr);
        CPPUNIT_ASSERT(meeting.store.heard.empty());
      }
    }
  }

  void aFingerprintIsOfTheLeafOrOfItsKey() {
    const Certified& shown = world().long_way;
    TlsServer server(&shown);
    TlsSettings settings = world().settings(TlsLevel::kMay);
    TlsFactory look(settings, kHost);
    const Meeting seen(look, server);
    const std::vector<CertificateFacts> chain = seen.layer->facts().chain;
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, chain.size());
    struct Print {
      std::string fingerprint;
      bool believed;
    };
    const Print rows[] = {
        {chain[0].fingerprint, true},  {chain[0].key_fingerprint, true},
        {chain[1].fingerprint, false}, {chain[1].key_fingerprint, false},
        {std::string(64, 'a'), false}, {"", false},
    };
    for (const Print& row : rows) {
      settings.level = TlsLevel::kFingerprint;
      settings.fingerprints = {std::string(64, 'b'), row.fingerprint};
      TlsFactory factory(settings, "whatever.example.org");
      const Meeting meeting(factory, server);
      check(row.fingerprint, row.believed, meeting.done);
      if (!row.believed) {
        check(row.fingerprint,
              "certificate of CN=store: its fingerprint " + chain[0].fingerprint +
                  " is not configured",
              meeting.failure);
      }
    }
    settings.fingerprints.clear();
    TlsFactory factory(settings, kHost);
    CPPUNIT_ASSERT(!Meeting(factory, server).done);
  }

  // OpenSSL does not call our verification if there is no certificate.
  void aCipherWithoutCertificatesIsRefused() {
    TlsServer server(nullptr);
    for (const TlsLevel level : kLevels) {
      TlsSettings settings = world().settings(level);
      settings.ciphers = "aNULL:@SECLEVEL=0";
      settings.most_version = TLS1_2_VERSION;
      TlsFactory factory(settings, kHost);
      const Meeting meeting(factory, server);
      const bool careless = level == TlsLevel::kMay || level == TlsLevel::kEncrypt;
      check(kTlsLevelNames[static_cast<int>(level)], careless, meeting.done);
      CPPUNIT_ASSERT_EQUAL(std::string("no certificate"), meeting.layer->facts().verification);
      CPPUNIT_ASSERT(meeting.layer->facts().chain.empty());
      if (!careless) {
        CPPUNIT_ASSERT_EQUAL(std::string("the peer sent no certificate"), meeting.failure);
        CPPUNIT_ASSERT(meeting.layer->facts().protocol.empty());
        CPPUNIT_ASSERT(meeting.store.got_close_notify || !meeting.store.shook_hands());
      }
    }
  }

  void onlyADnsNameIsSentAsSni() {
    struct Asked {
      const char* host;
      const char* name;
    };
    const Asked rows[] = {{"imap.example.org.", "imap.example.org"},
                          {"store_1", "store_1"},
                          {"192.0.2.1", ""},
                          {"2001:db8::1", ""},
                          {"", ""}};
    TlsServer server(&world().good);
    for (const Asked& row : rows) {
      const TlsSettings settings = world().settings(TlsLevel::kMay);
      TlsFactory factory(settings, row.host);
      const Meeting meeting(factory, server);
      const char* name = SSL_get_servername(meeting.store.connection(), TLSEXT_NAMETYPE_host_name);
      check(row.host, std::string(row.name), name == nullptr ? "" : name);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsPeerTest);
