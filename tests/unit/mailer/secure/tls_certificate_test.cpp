#include "mailer/secure/tls_certificate.h"

#include <cppunit/extensions/HelperMacros.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "tests/unit/mailer/secure/tls_authority.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;

namespace {

// Made and printed by the openssl command.
constexpr char kPem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICLTCCAdOgAwIBAgIBTTAKBggqhkjOPQQDAjBJMQswCQYDVQQGEwJERTEfMB0G\n"
    "A1UECgwWTcO8bGxlciwgU8O2aG5lICYgIkNvIjEZMBcGA1UEAwwQaW1hcC5leGFt\n"
    "cGxlLm9yZzAeFw0yNjExMjExNTQ3MTZaFw0zNjExMTgxNTQ3MTZaMEkxCzAJBgNV\n"
    "BAYTAkRFMR8wHQYDVQQKDBZNw7xsbGVyLCBTw7ZobmUgJiAiQ28iMRkwFwYDVQQD\n"
    "DBBpbWFwLmV4YW1wbGUub3JnMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEch5c\n"
    "XKbhrmwfCg932cTNLKfwunY1tYMPRf4Tg9Si+pudBX2wb9TUQUJnJurUqGttqO80\n"
    "7Or7kbTHpkLgK4e2s6OBqzCBqDAdBgNVHQ4EFgQUNfAuQOt/ccYrMmWaYXSV7d9M\n"
    "alcwHwYDVR0jBBgwFoAUNfAuQOt/ccYrMmWaYXSV7d9MalcwDwYDVR0TAQH/BAUw\n"
    "AwEB/zBVBgNVHREETjBMghBpbWFwLmV4YW1wbGUub3Jngg0qLmV4YW1wbGUub3Jn\n"
    "gQVhQGIuY4cEwAACAYcQIAENuAAAAAAAAAAAAAAAAYYKaHR0cHM6Ly94LzAKBggq\n"
    "hkjOPQQDAgNIADBFAiEAkVhuBpwoBlnaIOLGIZke2GrojKkWcOeTzNcZbFhZKfoC\n"
    "IEwRNvVjgySl98dnzf2q4bGqmENvwhKjbGWzmAtQJz2y\n"
    "-----END CERTIFICATE-----\n";
constexpr char kSubject[] = R"(CN=imap.example.org,O=M\C3\BCller\, S\C3\B6hne & \"Co\",C=DE)";
constexpr char kFingerprint[] = "529d31a13a4f7ed53349eb3b1068a17da45d2df89d37497f2e160a948b12c597";
constexpr char kKeyFingerprint[] =
    "27d154033a791bcbd2fe789212c7707412ca11517eb9dbb869426358e898e9aa";
constexpr std::time_t kEnd = 2110636036;  // Nov 18 15:47:16 2036 GMT

std::unique_ptr<X509, FreeOpenSsl> from_pem(const char* pem) {
  BIO* bio = BIO_new_mem_buf(pem, -1);
  std::unique_ptr<X509, FreeOpenSsl> certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  CPPUNIT_ASSERT(certificate);
  return certificate;
}

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f'; });
}

// Names that no honest authority would certify.
std::unique_ptr<X509, FreeOpenSsl> with_names(const std::vector<std::string>& names, int type) {
  Certified made = Authority::certify_itself({});
  GENERAL_NAMES* all = GENERAL_NAMES_new();
  for (const std::string& name : names) {
    GENERAL_NAME* one = GENERAL_NAME_new();
    ASN1_STRING* text =
        ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
    ASN1_STRING_set(text, name.data(), static_cast<int>(name.size()));
    GENERAL_NAME_set0_value(one, type, text);
    sk_GENERAL_NAME_push(all, one);
  }
  CPPUNIT_ASSERT_EQUAL(1, X509_add1_ext_i2d(made.certificate.get(), NID_subject_alt_name, all, 0,
                                            X509V3_ADD_REPLACE));
  GENERAL_NAMES_free(all);
  // The names are read from the encoded form.
  CPPUNIT_ASSERT(X509_sign(made.certificate.get(), made.key.get(), EVP_sha256()) > 0);
  return std::move(made.certificate);
}

}  // namespace

class TlsCertificateTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsCertificateTest);
  CPPUNIT_TEST(printsWhatOpensslPrints);
  CPPUNIT_TEST(daysAreWholeAndNegativeAfterExpiry);
  CPPUNIT_TEST(oddNamesAreEscaped);
  CPPUNIT_TEST(invalidAddressesArePrintedInHexadecimal);
  CPPUNIT_TEST(allTextIsBounded);
  CPPUNIT_TEST(theServerEndPointUsesTheHashOfTheSignature);
  CPPUNIT_TEST_SUITE_END();

  void printsWhatOpensslPrints() {
    const CertificateFacts facts = certificate_facts(from_pem(kPem).get(), kEnd);
    CPPUNIT_ASSERT_EQUAL(std::string(kSubject), facts.subject);
    CPPUNIT_ASSERT_EQUAL(std::string(kSubject), facts.issuer);
    CPPUNIT_ASSERT_EQUAL(std::string(kSubject), subject_of(from_pem(kPem).get()));
    const std::vector<std::string> names = {"DNS:imap.example.org", "DNS:*.example.org",
                                            "IP:192.0.2.1", "IP:[2001:db8::1]"};
    CPPUNIT_ASSERT(names == facts.names);
    CPPUNIT_ASSERT_EQUAL(std::string("2036-11-18T15:47:16Z"), facts.not_after);
    CPPUNIT_ASSERT_EQUAL(std::string(kFingerprint), facts.fingerprint);
    CPPUNIT_ASSERT_EQUAL(std::string(kKeyFingerprint), facts.key_fingerprint);
  }

  void daysAreWholeAndNegativeAfterExpiry() {
    struct Row {
      long before;  // the end, in seconds
      long long days;
    };
    const Row rows[] = {{0, 0},      {1, 0},          {kDay - 1, 0},       {kDay, 1},      {-1, -1},
                        {-kDay, -1}, {-kDay - 1, -2}, {3650 * kDay, 3650}, {30 * kDay, 30}};
    for (const Row& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          std::to_string(row.before), row.days,
          certificate_facts(from_pem(kPem).get(), kEnd - row.before).days_left);
    }
  }

  void oddNamesAreEscaped() {
    using namespace std::string_literals;
    const auto certificate = with_names(
        {"imap.example.org\0.evil.example"s, "a b\n\x1b[2J", "\xc3\xb6", "\\x00", ""}, GEN_DNS);
    const std::vector<std::string> names = {R"(DNS:imap.example.org\x00.evil.example)",
                                            R"(DNS:a\x20b\x0a\x1b[2J)", R"(DNS:\xc3\xb6)",
                                            R"(DNS:\x5cx00)", "DNS:"};
    CPPUNIT_ASSERT(names == certificate_facts(certificate.get(), 0).names);
  }

  void invalidAddressesArePrintedInHexadecimal() {
    const auto certificate = with_names({"", "abc", "\x7f\x01\x01\x01"}, GEN_IPADD);
    const std::vector<std::string> names = {"IP:", "IP:616263", "IP:127.1.1.1"};
    CPPUNIT_ASSERT(names == certificate_facts(certificate.get(), 0).names);
  }

  void allTextIsBounded() {
    const std::vector<std::string> many(5000, std::string(1000, '\x01'));
    for (const int type : {GEN_DNS, GEN_IPADD}) {
      const CertificateFacts facts = certificate_facts(with_names(many, type).get(), 0);
      CPPUNIT_ASSERT_EQUAL(kMaxNames, facts.names.size());
      for (const std::string& name : facts.names) {
        CPPUNIT_ASSERT(name.size() < kMaxText + 20 && printable(name));
      }
    }
    Request request;
    request.common_name = std::string(64, '\n');
    const Certified lines = Authority::certify_itself(request);
    CPPUNIT_ASSERT(printable(subject_of(lines.certificate.get())));
    // OpenSSL's own limit keeps a CN short, but not their number.
    X509_NAME* name = X509_get_subject_name(lines.certificate.get());
    for (int i = 0; i < 200; ++i) {
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("much"), 4, -1, 0);
    }
    CPPUNIT_ASSERT_EQUAL(kMaxText + 3, subject_of(lines.certificate.get()).size());
  }

  void theServerEndPointUsesTheHashOfTheSignature() {
    struct Row {
      const EVP_MD* signature;
      const EVP_MD* hash;
    };
    const Row rows[] = {{EVP_sha256(), EVP_sha256()},
                        {EVP_sha384(), EVP_sha384()},
                        {EVP_sha512(), EVP_sha512()},
                        {EVP_sha1(), EVP_sha256()}};
    for (const Row& row : rows) {
      const Certified made = Authority::certify_itself({});
      CPPUNIT_ASSERT(X509_sign(made.certificate.get(), made.key.get(), row.signature) > 0);
      unsigned char digest[EVP_MAX_MD_SIZE];
      unsigned size = 0;
      X509_digest(made.certificate.get(), row.hash, digest, &size);
      CPPUNIT_ASSERT(std::string(reinterpret_cast<char*>(digest), size) ==
                     server_end_point(made.certificate.get()));
    }
    Request request;
    request.key_type = "ED25519";
    CPPUNIT_ASSERT(server_end_point(Authority::certify_itself(request).certificate.get()).empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsCertificateTest);
