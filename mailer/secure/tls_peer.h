// Verifies the peer of a TLS connection as its level requires.
//
// Chain, name, dates and CRL by OpenSSL's X509_verify_cert(), or the fingerprint. A resumed session
// is verified as a new handshake is: its certificate may have expired, or been revoked, since it
// began. One thread; settings, name and facts must outlive it. The result is objection(), one line;
// an error within OpenSSL counts as a bad certificate.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "mailer/io/tls_facts.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

class TlsPeer {
 public:
  // Fills `facts.verification` and `facts.chain`.
  TlsPeer(const TlsSettings& settings, const std::string& name, TlsFacts& facts);

  // Verifies the certificates of a new handshake. OpenSSL has prepared `chain`.
  void look(X509_STORE_CTX* chain);
  // Verifies the certificates with which the resumed session began.
  void look_again(SSL* connection);
  bool looked() const { return looked_; }
  // Why the peer is not the one that the level requires; empty: it is. Before look() a level that
  // verifies has an objection.
  std::string objection() const;

 private:
  static int note_error(int ok, X509_STORE_CTX* chain);
  std::string fingerprint_objection() const;

  const TlsSettings& settings_;
  const std::string& name_;
  TlsFacts& facts_;
  bool looked_ = false;
  std::string culprit_;  // the subject of the certificate that failed verification
};

}  // namespace lmtpq::mailer
