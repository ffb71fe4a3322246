// What is known of a TLS connection, for logs and for probe: plain values, without OpenSSL's types.
//
// Text from a certificate is the peer's: escaped to printable ASCII, and of bounded length.
#pragma once

#include <string>
#include <vector>

namespace lmtpq::mailer {

enum class TlsTrust {
  kUnverified,   // the level requires no more
  kVerified,     // chain and name
  kFingerprint,  // one of the configured ones
};
inline constexpr const char* kTlsTrustNames[] = {"unverified", "verified", "fingerprint"};

struct CertificateFacts {
  std::string subject;  // as openssl x509 -nameopt RFC2253 prints it
  std::string issuer;
  std::vector<std::string> names;  // subjectAltName: "DNS:imap.example.org", "IP:192.0.2.1"
  std::string not_after;           // 2027-01-31T12:00:00Z
  long long days_left = 0;         // whole days; negative: expired
  std::string fingerprint;         // SHA-256 of the certificate, 64 small hex digits
  std::string key_fingerprint;     // SHA-256 of its public key (SubjectPublicKeyInfo)
};

struct TlsFacts {
  std::string protocol;  // "TLSv1.3"; empty: the handshake did not end
  std::string cipher;    // "TLS_AES_256_GCM_SHA384"
  int bits = 0;          // the cipher's strength
  bool resumed = false;
  TlsTrust trust = TlsTrust::kUnverified;
  // The result of verifying chain and name, at every level: "ok", or OpenSSL's text such as
  // "self-signed certificate", "certificate has expired", "hostname mismatch".
  std::string verification;
  std::vector<CertificateFacts> chain;  // as the peer sent it, the leaf first; bounded; also if the
                                        // handshake failed because of it; empty: none came
};

}  // namespace lmtpq::mailer
