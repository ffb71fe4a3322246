// Whom a TLS connection leads to: a look at the peer's certificates, and what the level has against
// them.
//
// What it is: chain, name, dates and CRL by OpenSSL's X509_verify_cert(), or the fingerprint; the
//   same look for a new handshake and for a resumed session, whose certificate may have expired, or
//   been revoked, since it began.
// What it does not know: handshakes, records, alerts.
// Called by: TlsLayer.
// Threads and lifetimes: one thread; settings, name and facts must outlive it.
// Failure: objection(), one line; an error within OpenSSL counts as a bad certificate.
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

  // At what the handshake brought. OpenSSL has prepared `chain`.
  void look(X509_STORE_CTX* chain);
  // At what the connection's session began with.
  void look_again(SSL* connection);
  bool looked() const { return looked_; }
  // Why the peer is not who the level asks for; empty: it is. Before any look: it is not, if the
  // level asks at all.
  std::string objection() const;

 private:
  static int note_error(int well, X509_STORE_CTX* chain);
  std::string fingerprint_objection() const;

  const TlsSettings& settings_;
  const std::string& name_;
  TlsFacts& facts_;
  bool looked_ = false;
  std::string culprit_;  // the certificate that the verification's words are about
};

}  // namespace lmtpq::mailer
