// How to log in at one store: plain values, read only after the start.
#pragma once

#include <string>
#include <vector>

#include "common/secret.h"

namespace lmtpq::mailer {

// When a mechanism may send the password itself (PLAIN, LOGIN).
enum class AuthPlaintext {
  kNever,
  kTls,     // within TLS, or over a unix socket
  kAlways,  // also without TLS
};

// Properties that --auth-security can require of a mechanism.
enum AuthSecurity : unsigned {
  kNoPlaintext = 0x01,
  kNoActive = 0x02,
  kNoDictionary = 0x04,
  kForwardSecrecy = 0x08,
  kNoAnonymous = 0x10,
  kMutualAuth = 0x40,
};

struct AuthSettings {
  std::string user;                     // empty: the user of the password file
  std::string password_file;            // lines of `DEST user:password`
  std::vector<std::string> mechanisms;  // in upper case; empty: any that the store offers
  unsigned security = 0;                // AuthSecurity: required properties
  AuthPlaintext plaintext = AuthPlaintext::kTls;
  std::string channel_binding = "tls-unique";  // a type by its registered name, or "none"
  // Whether to log in at all.
  bool wanted() const { return !user.empty() || !password_file.empty() || !mechanisms.empty(); }
};

// User and password for one store. Read before root's rights are given up.
struct Login {
  std::string user;
  Secret password;  // empty for mechanisms without one (EXTERNAL, GSSAPI)
};

}  // namespace lmtpq::mailer
