#include "mailer/secure/tls_factory.h"

#include <sys/stat.h>

#include <cppunit/extensions/HelperMacros.h>

#include <functional>

#include "tests/unit/mailer/secure/tls_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;

class TlsFactoryTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsFactoryTest);
  CPPUNIT_TEST(ourCertificateIsSentToAStoreThatAsks);
  CPPUNIT_TEST(aCertificateThatTheStoreCannotReadIsNotSent);
  CPPUNIT_TEST(aStoreThatRequiresACertificateReportsIt);
  CPPUNIT_TEST(theKeyComesFromTextOrFile);
  CPPUNIT_TEST(versionsAndCiphersAreThoseOfTheSettings);
  CPPUNIT_TEST(aFileThatCannotBeUsedIsReportedByName);
  CPPUNIT_TEST(aNameThatNoCertificateCanHaveIsRefused);
  CPPUNIT_TEST(theTrustIsThatOfTheFilesWhenTheyWereRead);
  CPPUNIT_TEST_SUITE_END();

  void ourCertificateIsSentToAStoreThatAsks() {
    const World& w = world();
    const std::string file = w.folder.file("shown.pem", w.client.pem() + w.client.key_pem());
    for (const int version : kVersions) {
      for (const bool asks : {true, false}) {
        for (const bool have : {true, false}) {
          TlsServer server(&w.good);
          server.versions(version, version);
          if (asks) {
            server.ask_for_certificate(w.root);
          }
          TlsSettings settings = w.settings(TlsLevel::kVerify);
          settings.certificate_file = have ? file : "";
          TlsFactory factory(settings, kHost);
          CPPUNIT_ASSERT_EQUAL(have, factory.has_certificate());
          for (const bool resumed : {false, true}) {
            Meeting meeting(factory, server);
            CPPUNIT_ASSERT(meeting.done);
            CPPUNIT_ASSERT_EQUAL(resumed, meeting.layer->facts().resumed);
            CPPUNIT_ASSERT_EQUAL(asks && have, meeting.layer->showed_certificate());
            X509* shown = SSL_get0_peer_certificate(meeting.store.connection());
            CPPUNIT_ASSERT_EQUAL(asks && have, shown != nullptr);
            CPPUNIT_ASSERT(shown == nullptr || X509_cmp(shown, w.client.certificate.get()) == 0);
            talk(meeting);
          }
        }
      }
    }
  }

  void aCertificateThatTheStoreCannotReadIsNotSent() {
    const World& w = world();
    TlsSettings settings = w.settings(TlsLevel::kVerify);
    settings.certificate_file =
        w.folder.file("25519.pem", w.client25519.pem() + w.client25519.key_pem());
    for (const int version : kVersions) {
      for (const bool able : {true, false}) {
        TlsServer server(&w.good);
        server.versions(version, version).ask_for_certificate(w.root);
        SSL_CTX_set1_sigalgs_list(server.context(), able ? "ed25519:ECDSA+SHA256" : "ECDSA+SHA256");
        TlsFactory factory(settings, kHost);
        const Meeting meeting(factory, server);
        CPPUNIT_ASSERT(meeting.done);
        CPPUNIT_ASSERT_EQUAL(able, meeting.layer->showed_certificate());
        CPPUNIT_ASSERT_EQUAL(able,
                             SSL_get0_peer_certificate(meeting.store.connection()) != nullptr);
      }
    }
  }

  void aStoreThatRequiresACertificateReportsIt() {
    for (const int version : kVersions) {
      TlsServer server(&world().good);
      server.versions(version, version).ask_for_certificate(world().root, true);
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsFactory factory(settings, kHost);
      Meeting meeting(factory, server);
      if (version == TLS1_2_VERSION) {
        CPPUNIT_ASSERT(!meeting.done);
        // OpenSSL 3.0 begins with "sslv3", 3.5 with "ssl/tls".
        CPPUNIT_ASSERT_MESSAGE(meeting.failure,
                               meeting.failure.ends_with(" alert handshake failure"));
        continue;
      }
      // In TLS 1.3 the client has completed the handshake before it receives the alert.
      CPPUNIT_ASSERT(meeting.done);
      const auto channel = meeting.channel();
      std::string in;
      std::string_view out = "NOOP\r\n";
      CPPUNIT_ASSERT(channel->exchange(out, in, soon()) == IoStatus::kFailed);
      CPPUNIT_ASSERT_EQUAL(std::string("tlsv13 alert certificate required"), channel->failure());
    }
  }

  void theKeyComesFromTextOrFile() {
    const World& w = world();
    struct Source {
      const char* name;
      std::string certificate;  // the file's text; empty: there is no such file
      std::string key_file;     // likewise
      std::string text;
    };
    const std::string both = w.client.key_pem() + w.client.pem();
    const Source rows[] = {
        {"two files", w.client.pem(), w.client.key_pem(), ""},
        {"one file", both, "", ""},
        {"key in memory", w.client.pem(), "none", w.client.key_pem()},
        {"all in memory", "none", "", both},
        {"certificate and intermediates", both + w.root.own().pem(), "", ""},
    };
    for (const Source& row : rows) {
      TlsSettings settings = w.settings(TlsLevel::kVerify);
      settings.certificate_file = row.certificate == "none"
                                      ? w.folder.path() + "/none"
                                      : w.folder.file("certificate.pem", row.certificate);
      settings.key_file = row.key_file == "none" ? w.folder.path() + "/none"
                          : row.key_file.empty() ? ""
                                                 : w.folder.file("key.pem", row.key_file);
      settings.key = Secret(row.text);
      TlsServer server(&w.good);
      server.ask_for_certificate(w.root, true);
      TlsFactory factory(settings, kHost);
      Meeting meeting(factory, server);
      check(row.name, true, meeting.layer->showed_certificate());
      talk(meeting);
    }
  }

  void versionsAndCiphersAreThoseOfTheSettings() {
    struct Versions {
      int least, most;              // ours
      int store_least, store_most;  // the store's
      const char* protocol;         // empty: refused
    };
    const Versions rows[] = {
        {0, 0, 0, 0, "TLSv1.3"},
        {0, 0, 0, TLS1_2_VERSION, "TLSv1.2"},
        {0, 0, 0, TLS1_1_VERSION, ""},
        {TLS1_3_VERSION, 0, 0, TLS1_2_VERSION, ""},
        {TLS1_2_VERSION, TLS1_2_VERSION, 0, 0, "TLSv1.2"},
        {TLS1_2_VERSION, TLS1_2_VERSION, TLS1_3_VERSION, 0, ""},
    };
    for (const Versions& row : rows) {
      TlsServer server(&world().good);
      server.versions(row.store_least, row.store_most);
      SSL_CTX_set_security_level(server.context(), 0);
      TlsSettings settings = world().settings(TlsLevel::kMay);
      settings.least_version = row.least;
      settings.most_version = row.most;
      TlsFactory factory(settings, kHost);
      const Meeting meeting(factory, server);
      CPPUNIT_ASSERT_EQUAL(std::string(row.protocol), meeting.layer->facts().protocol);
      CPPUNIT_ASSERT_EQUAL(meeting.done, !meeting.layer->facts().protocol.empty());
      CPPUNIT_ASSERT(meeting.done || meeting.failure.find("version") != std::string::npos ||
                     meeting.failure.find("unsupported protocol") != std::string::npos);
    }
    TlsServer server(&world().good);
    server.versions(0, TLS1_2_VERSION);
    TlsSettings settings = world().settings(TlsLevel::kMay);
    settings.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    TlsFactory factory(settings, kHost);
    const Meeting meeting(factory, server);
    CPPUNIT_ASSERT_EQUAL(settings.ciphers, meeting.layer->facts().cipher);
    CPPUNIT_ASSERT_EQUAL(128, meeting.layer->facts().bits);
  }

  void aFileThatCannotBeUsedIsReportedByName() {
    const World& w = world();
    const Folder& f = w.folder;
    const std::string empty = f.file("empty", "");
    const std::string text = f.file("text", "-----BEGIN NOTHING-----\n");
    const std::string none = f.path() + "/no such file";
    const std::string certificate = f.file("c.pem", w.client.pem());
    const std::string pipe = f.path() + "/pipe";
    const std::string hashed = f.path() + "/hashed";
    mkfifo(pipe.c_str(), 0600);
    mkdir(hashed.c_str(), 0700);
    mkfifo((hashed + "/0123abcd.0").c_str(), 0600);
    const std::string damaged =
        f.file("d.pem", w.client.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n");
    Request small;
    small.key_type = "prime192v1";
    const std::string small_pem = Authority::certify_itself(small).pem();
    const std::string weak = f.file("weak.pem", small_pem);
    const std::string weak_issuer = f.file("weak-issuer.pem", w.client.pem() + small_pem);
    struct Mistake {
      std::string words;
      std::function<void(TlsSettings&)> make;
    };
    const auto in = [](const std::string& option, const std::string& value) {
      return "--" + option + ": \"" + value + "\": ";
    };
    const Mistake rows[] = {
        {in("tls-ca-file", empty), [&](TlsSettings& s) { s.ca_file = empty; }},
        {in("tls-ca-file", text), [&](TlsSettings& s) { s.ca_file = text; }},
        {in("tls-ca-file", none) + "cannot read a CA certificate: No such file",
         [&](TlsSettings& s) { s.ca_file = none; }},
        {in("tls-ca-path", none) + "No such file", [&](TlsSettings& s) { s.ca_path = none; }},
        {in("tls-ca-path", empty) + "not a directory", [&](TlsSettings& s) { s.ca_path = empty; }},
        {in("tls-ca-file", pipe) + "not a regular file", [&](TlsSettings& s) { s.ca_file = pipe; }},
        {in("tls-ca-file", "/dev/zero") + "not a regular file",
         [&](TlsSettings& s) { s.ca_file = "/dev/zero"; }},
        {in("tls-ca-path", hashed + "/0123abcd.0") + "not a regular file",
         [&](TlsSettings& s) { s.ca_path = hashed; }},
        {in("tls-crl-file", pipe) + "not a regular file",
         [&](TlsSettings& s) { s.crl_file = pipe; }},
        {in("tls-cert", pipe) + "not a regular file",
         [&](TlsSettings& s) {
           s.certificate_file = pipe;
           s.key_file = "key";
           s.key = Secret(w.client.key_pem());
         }},
        {in("tls-key", pipe) + "not a regular file",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = pipe;
         }},
        {in("tls-crl-file", empty) + "cannot read a CRL",
         [&](TlsSettings& s) { s.crl_file = empty; }},
        {in("tls-crl-file", none) + "cannot read a CRL: No such file",
         [&](TlsSettings& s) { s.crl_file = none; }},
        {in("tls-crl-file", w.ca) + "cannot read a CRL",
         [&](TlsSettings& s) { s.crl_file = w.ca; }},
        {in("tls-cert", none) + "No such file", [&](TlsSettings& s) { s.certificate_file = none; }},
        {in("tls-cert", empty) + "cannot read a certificate",
         [&](TlsSettings& s) { s.certificate_file = empty; }},
        {in("tls-cert", certificate) + "cannot read a private key",
         [&](TlsSettings& s) { s.certificate_file = certificate; }},
        {in("tls-cert", weak) + "cannot use the certificate: ee key too small",
         [&](TlsSettings& s) { s.certificate_file = weak; }},
        {in("tls-cert", weak_issuer) + "ca key too small",
         [&](TlsSettings& s) { s.certificate_file = weak_issuer; }},
        {in("tls-cert", damaged) + "cannot read a certificate after",
         [&](TlsSettings& s) { s.certificate_file = damaged; }},
        {in("tls-key", none) + "No such file",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = none;
         }},
        {in("tls-key", "key") + "the private key does not belong to the certificate in " +
             certificate,
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = "key";
           s.key = Secret(w.good.key_pem());
         }},
        {in("tls-key", "key") + "the private key is encrypted",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = "key";
           s.key = Secret(w.client.key_pem("word"));
         }},
        {in("tls-key", "key") + "cannot read a private key",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = "key";
           s.key = Secret("invalid");
         }},
        {"f:2: tls-ca-file: \"" + none +
             "\": cannot read a CA certificate: No such file or directory; "
             "name a readable PEM file",
         [&](TlsSettings& s) {
           s.ca_file = none;
           s.places.add("tls-ca-file", "f:2: tls-ca-file");
         }},
        {"--tls-protocols: ", [](TlsSettings& s) { s.least_version = 12345; }},
        {"--tls-protocols: ", [](TlsSettings& s) { s.most_version = 12345; }},
        {"--tls-protocols: ",
         [](TlsSettings& s) {
           s.least_version = TLS1_3_VERSION;
           s.most_version = TLS1_2_VERSION;
         }},
        {in("tls-ciphers", "INVALID") + "no cipher match",
         [](TlsSettings& s) { s.ciphers = "INVALID"; }},
    };
    for (const Mistake& row : rows) {
      TlsSettings settings = w.settings(TlsLevel::kVerify);
      row.make(settings);
      TlsFactory factory(settings, kHost);
      const std::string first = complaint([&] { factory.connect(); });
      CPPUNIT_ASSERT_MESSAGE(row.words + "\nfound " + first, first.starts_with(row.words));
      CPPUNIT_ASSERT_MESSAGE(first, first.find("unknown error") == std::string::npos);
      CPPUNIT_ASSERT(first.find('\n') == std::string::npos);
      // It is not partly usable afterwards.
      CPPUNIT_ASSERT_EQUAL(first, complaint([&] { factory.prepare(); }));
    }
  }

  void aNameThatNoCertificateCanHaveIsRefused() {
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.name = std::string(255, 'x');
    TlsFactory longest(settings, kHost);
    CPPUNIT_ASSERT(longest.connect());
    settings.name += 'x';
    TlsFactory longer(settings, kHost);
    CPPUNIT_ASSERT_EQUAL(
        "--tls-name: \"" + settings.name + "\" cannot be the name of a certificate",
        complaint([&] { longer.connect(); }));
    for (const char* const odd : {"a b", "a\x7f"}) {
      settings.name = odd;
      TlsFactory factory(settings, kHost);
      CPPUNIT_ASSERT_EQUAL(std::string("--tls-name: expected a DNS name in ASCII (xn--...)"),
                           complaint([&] { factory.connect(); }));
    }
    settings.name = "!~";
    TlsFactory printable(settings, kHost);
    CPPUNIT_ASSERT(printable.connect());
  }

  void theTrustIsThatOfTheFilesWhenTheyWereRead() {
    const World& w = world();
    TlsSettings settings = w.settings(TlsLevel::kVerify);
    settings.ca_file = w.folder.file("changing.pem", w.root.own().pem());
    TlsFactory factory(settings, kHost);
    CPPUNIT_ASSERT_EQUAL(std::string(), factory.trust());
    factory.prepare();
    const std::string trust = factory.trust();
    CPPUNIT_ASSERT(!trust.empty());
    w.folder.file("changing.pem", w.unknown.own().pem());
    factory.connect();
    CPPUNIT_ASSERT(trust == factory.trust());
    TlsFactory again(settings, kHost);
    again.prepare();
    CPPUNIT_ASSERT(trust != again.trust());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsFactoryTest);
