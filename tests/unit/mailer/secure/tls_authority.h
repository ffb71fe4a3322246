// A certificate authority for the tests, in memory.
//
// Keys, certificates of every kind that a store may send (and should not), CRLs, and a directory
// for the files that settings name; it is removed with its object. A failure is an exception.
#pragma once

#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace lmtpq::mailer::tls_test {

struct FreeOpenSsl {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

struct Certified {
  std::unique_ptr<X509, FreeOpenSsl> certificate;
  std::unique_ptr<EVP_PKEY, FreeOpenSsl> key;
  std::vector<X509*> intermediates;  // not owned

  std::string pem() const;
  std::string key_pem(const char* passphrase = nullptr) const;
};

constexpr long kDay = 24 * 60 * 60;

struct Request {
  std::string common_name = "store";
  std::string names;  // as subjectAltName: "DNS:imap.example.org,IP:192.0.2.1"
  long from = -kDay;  // seconds from now
  long until = 30 * kDay;
  std::string usage = "serverAuth";
  bool authority = false;
  const char* key_type = "P-256";
};

class Authority {
 public:
  explicit Authority(const std::string& name);  // signed by itself
  Authority(const std::string& name, const Authority& above);

  Certified certify(const Request& request) const;
  static Certified certify_itself(const Request& request);
  std::string crl(const std::vector<const Certified*>& revoked, long until = kDay) const;
  const Certified& own() const { return own_; }

 private:
  Certified own_;
};

std::string small_sha256(X509* certificate);

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // The path of a new file.
  std::string file(const std::string& name, const std::string& text) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace lmtpq::mailer::tls_test
