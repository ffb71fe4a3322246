// What the admin says about TLS to one store.
//
// What it is: plain values. What it does not know: OpenSSL, where they came from.
// Called by: store_settings (which fills it), TlsClient, Connector.
// Threads and lifetimes: a value, read only once mail flows.
// Failure: none.
#pragma once

#include <string>
#include <vector>

#include "common/secret.h"

namespace lmtpq::mailer {

enum class TlsLevel {
  kNone,         // never
  kMay,          // where the store offers it; no certificate is believed or refused
  kEncrypt,      // always; no certificate is believed or refused
  kVerify,       // always, with a certificate that a CA of ours signed for the store's name
  kFingerprint,  // always, with one of the certificates or keys that are named
};
inline constexpr const char* kTlsLevelNames[] = {"none", "may", "encrypt", "verify", "fingerprint"};

// Protocol versions as they are on the wire (RFC 8446 section 4.2.1).
inline constexpr int kTls10 = 0x0301;
inline constexpr int kTls11 = 0x0302;
inline constexpr int kTls12 = 0x0303;
inline constexpr int kTls13 = 0x0304;

struct TlsSettings {
  TlsLevel level = TlsLevel::kMay;
  std::string ca_file;   // PEM; both empty: the system's CAs, out of OpenSSL's folder if it is
                         // hashed, else out of its bundle
  std::string ca_path;   // folder of hashed names (openssl rehash)
  std::string crl_file;  // PEM; not empty: every certificate of the chain is looked up in it
  std::string certificate_file;  // ours, PEM, with its intermediates; empty: none
  std::string key_file;          // empty: in certificate_file
  Secret key;  // the text of key_file, or without one that of certificate_file, read while we had
               // the right to; empty: the file is read at the first use
  std::string name;  // whom the certificate must name, and what SNI asks for; empty: DEST's host
  std::vector<std::string> fingerprints;  // SHA-256 of certificate or public key: 64 small hex
                                          // digits without colons
  int least_version = 0;                  // kTls12 and its like
  int most_version = 0;                   // 0: no bound
  std::string ciphers;                    // OpenSSL's list for TLS 1.2; empty: OpenSSL's default
};

}  // namespace lmtpq::mailer
