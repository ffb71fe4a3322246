#include "tests/unit/mailer/secure/tls_authority.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace lmtpq::mailer::tls_test {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

void must(bool well, const char* what) {
  if (!well) {
    throw std::runtime_error(std::string("test authority: ") + what);
  }
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

EVP_PKEY* new_key(const std::string& type) {
  return type == "ED25519" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                           : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", type.c_str());
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, value.c_str());
  X509_EXTENSION_free(extension);
}

const EVP_MD* digest_for(EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
}

// `issuer` null: self-signed.
Certified sign(const Request& request, const Certified* issuer) {
  static long serial = 1000;
  Certified made;
  made.key.reset(new_key(request.key_type));
  made.certificate.reset(X509_new());
  X509* certificate = made.certificate.get();
  must(made.key && certificate != nullptr, "key");
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), request.from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), request.until);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.data()),
                             static_cast<int>(request.common_name.size()), -1, 0);
  X509* above = issuer == nullptr ? certificate : issuer->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(above));
  extend(certificate, above, NID_basic_constraints,
         request.authority ? "critical,CA:TRUE" : "CA:FALSE");
  extend(certificate, above, NID_subject_key_identifier, "hash");
  if (!request.authority) {
    extend(certificate, above, NID_ext_key_usage, request.usage);
  }
  if (!request.names.empty()) {
    extend(certificate, above, NID_subject_alt_name, request.names);
  }
  EVP_PKEY* signer = issuer == nullptr ? made.key.get() : issuer->key.get();
  must(X509_sign(certificate, signer, digest_for(signer)) > 0, "signature");
  return made;
}

Request of_authority(const std::string& name) {
  Request request;
  request.common_name = name;
  request.until = 1000 * kDay;
  request.authority = true;
  return request;
}

}  // namespace

std::string Certified::pem() const {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  must(PEM_write_bio_X509(bio.get(), certificate.get()) == 1, "certificate");
  for (X509* intermediate : intermediates) {
    must(PEM_write_bio_X509(bio.get(), intermediate) == 1, "certificate");
  }
  return text_of(bio);
}

std::string Certified::key_pem(const char* passphrase) const {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  const EVP_CIPHER* cipher = passphrase == nullptr ? nullptr : EVP_aes_128_cbc();
  must(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), cipher, passphrase,
                                     passphrase == nullptr ? 0 : 4, nullptr, nullptr) == 1,
       "key");
  return text_of(bio);
}

Authority::Authority(const std::string& name) : own_(sign(of_authority(name), nullptr)) {}

Authority::Authority(const std::string& name, const Authority& above)
    : own_(sign(of_authority(name), &above.own_)) {}

Certified Authority::certify(const Request& request) const { return sign(request, &own_); }

Certified Authority::certify_itself(const Request& request) { return sign(request, nullptr); }

std::string Authority::crl(const std::vector<const Certified*>& revoked, long until) const {
  const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
  const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time(
      ASN1_TIME_set(nullptr, std::time(nullptr) - 2 * kDay), ASN1_TIME_free);
  X509_CRL_set_version(list.get(), 1);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(own_.certificate.get()));
  X509_CRL_set1_lastUpdate(list.get(), time.get());
  for (const Certified* one : revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one->certificate.get()));
    X509_REVOKED_set_revocationDate(entry, time.get());
    must(X509_CRL_add0_revoked(list.get(), entry) == 1, "CRL");
  }
  ASN1_TIME_set(time.get(), std::time(nullptr) + until);
  X509_CRL_set1_nextUpdate(list.get(), time.get());
  must(X509_CRL_sign(list.get(), own_.key.get(), EVP_sha256()) > 0, "CRL");
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  must(PEM_write_bio_X509_CRL(bio.get(), list.get()) == 1, "CRL");
  return text_of(bio);
}

std::string small_sha256(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  must(X509_digest(certificate, EVP_sha256(), digest, &size) == 1, "digest");
  char* text = OPENSSL_buf2hexstr(digest, size);  // AB:CD:...
  std::string small;
  for (const char* c = text; *c != '\0'; ++c) {
    if (*c != ':') {
      small += static_cast<char>(*c >= 'A' ? *c - 'A' + 'a' : *c);
    }
  }
  OPENSSL_free(text);
  return small;
}

Folder::Folder() {
  char path[] = "/tmp/lmtpq-test-XXXXXX";
  must(mkdtemp(path) != nullptr, "folder");
  path_ = path;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::file(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path) << text;
  return path;
}

}  // namespace lmtpq::mailer::tls_test
