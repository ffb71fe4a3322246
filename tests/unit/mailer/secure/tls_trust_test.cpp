#include "mailer/secure/tls_trust.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "mailer/secure/tls_context.h"
#include "tests/unit/mailer/secure/tls_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;

class TlsTrustTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsTrustTest);
  CPPUNIT_TEST(theSameContentsAreTheSameTrust);
  CPPUNIT_TEST(anotherCaCrlOrCertificateIsAnotherTrust);
  CPPUNIT_TEST(aFolderOfCasCountsByItsFiles);
  CPPUNIT_TEST_SUITE_END();

  static std::string trust(const TlsSettings& settings) {
    return tls_trust(make_tls_context(settings).get(), settings);
  }
  static TlsSettings with(const std::string& ca, const std::string& crl = "",
                          const std::string& certificate = "") {
    const Folder& folder = world().folder;
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.ca_file = folder.file("trust-ca.pem", ca);
    settings.crl_file = crl.empty() ? "" : folder.file("trust-crl.pem", crl);
    settings.certificate_file =
        certificate.empty() ? "" : folder.file("trust-own.pem", certificate);
    return settings;
  }

  void theSameContentsAreTheSameTrust() {
    const World& w = world();
    const std::string root = w.root.own().pem();
    const std::string unknown = w.unknown.own().pem();
    const std::string crl = w.root.crl({});
    const std::string own = w.client.pem() + w.client.key_pem();
    CPPUNIT_ASSERT(!trust(with(root)).empty());
    CPPUNIT_ASSERT(trust(with(root, crl, own)) == trust(with(root, crl, own)));
    CPPUNIT_ASSERT(trust(with(root + unknown)) == trust(with("# renewed\n" + unknown + root)));
  }

  void anotherCaCrlOrCertificateIsAnotherTrust() {
    const World& w = world();
    const std::string root = w.root.own().pem();
    const std::string both = root + w.unknown.own().pem();
    const std::string own = w.client.pem() + w.client.key_pem();
    const std::string other = w.client25519.pem() + w.client25519.key_pem();
    const std::string all[] = {
        trust(with(root)),
        trust(with(w.unknown.own().pem())),
        trust(with(both)),
        trust(with(root, w.root.crl({}))),
        trust(with(root, w.root.crl({&w.good}))),
        trust(with(root, "", own)),
        trust(with(root, "", other)),
        trust(with(root, "", own + w.middle.own().pem())),
        trust(with(both, "", own)),
    };
    for (const std::string& one : all) {
      CPPUNIT_ASSERT_EQUAL(1L, std::count(std::begin(all), std::end(all), one));
    }
  }

  void aFolderOfCasCountsByItsFiles() {
    const Folder folder;
    folder.file("12345678.0", world().root.own().pem());
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.ca_file.clear();
    settings.ca_path = folder.path();
    const std::string before = trust(settings);
    CPPUNIT_ASSERT(before == trust(settings));
    folder.file("12345679.0", world().unknown.own().pem());
    const std::string more = trust(settings);
    CPPUNIT_ASSERT(before != more);
    std::ofstream(folder.path() + "/12345679.0", std::ios::app) << "# changed in place\n";
    CPPUNIT_ASSERT(more != trust(settings));
    std::filesystem::remove(folder.path() + "/12345679.0");
    CPPUNIT_ASSERT(before == trust(settings));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsTrustTest);
