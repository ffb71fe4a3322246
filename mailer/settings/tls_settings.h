// How to use TLS with one store: plain values, read only after the start.
#pragma once

#include <string>
#include <vector>

#include "common/options/option_places.h"
#include "common/secret.h"

namespace lmtpq::mailer {

enum class TlsLevel {
  kNone,         // never
  kMay,          // if the store offers it, with any certificate
  kEncrypt,      // always, with any certificate
  kVerify,       // always, with a certificate that a trusted CA signed for the store's name
  kFingerprint,  // always, with one of the listed certificates or keys
};
inline constexpr const char* kTlsLevelNames[] = {"none", "may", "encrypt", "verify", "fingerprint"};

// Protocol versions as they are on the wire (RFC 8446 section 4.2.1).
inline constexpr int kTls10 = 0x0301;
inline constexpr int kTls11 = 0x0302;
inline constexpr int kTls12 = 0x0303;
inline constexpr int kTls13 = 0x0304;

struct TlsSettings {
  TlsLevel level = TlsLevel::kMay;
  // TLS from the first byte, without STARTTLS. `may` then means kEncrypt: such a store has no
  // other way to be reached.
  bool wrapper = false;
  // Trusted CAs, PEM. If both are empty, the system's: OpenSSL's folder if it is hashed, its bundle
  // otherwise.
  std::string ca_file;
  std::string ca_path;           // a folder prepared by openssl rehash
  std::string crl_file;          // PEM; if set, every certificate of the chain is looked up in it
  std::string certificate_file;  // our own, PEM, with its intermediates; empty: none
  std::string key_file;          // empty: the key is in certificate_file
  // The text of the file that holds the key, read before root's rights are given up. Empty: the
  // file is read at the first use.
  Secret key;
  // The name that the certificate must have, also sent as SNI. Empty: DEST's host.
  std::string name;
  // SHA-256 of a certificate or public key: 64 hexadecimal digits in lower case, without colons.
  std::vector<std::string> fingerprints;
  int least_version = 0;  // kTls12 and the like
  int most_version = 0;   // 0: no limit
  std::string ciphers;    // OpenSSL's list for TLS 1.2; empty: OpenSSL's default
  OptionPlaces places;
};

}  // namespace lmtpq::mailer
