// What the admin says about logging in at one store.
//
// What it is: plain values. What it does not know: SASL's library, where they came from.
// Called by: store_settings (which fills it), SaslClient, Connector.
// Threads and lifetimes: a value, read only once mail flows.
// Failure: none.
#pragma once

#include <string>
#include <vector>

#include "common/secret.h"

namespace lmtpq::mailer {

// When a mechanism may send the password itself (PLAIN, LOGIN).
enum class AuthPlaintext {
  kNever,
  kTls,     // inside TLS, or over a unix socket
  kAlways,  // also in clear
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
  std::string user;                     // empty: the password file's
  std::string password_file;            // lines of `DEST user:password`
  std::vector<std::string> mechanisms;  // capital letters; empty: any that is offered
  unsigned security = 0;                // AuthSecurity: what a mechanism must have
  AuthPlaintext plaintext = AuthPlaintext::kTls;
  std::string channel_binding = "tls-unique";  // as Cyrus names it; or none
  // Is there to be a login at all?
  bool wanted() const { return !user.empty() || !password_file.empty() || !mechanisms.empty(); }
};

// Who we are at one store. Found before privileges are given up.
struct Login {
  std::string user;
  Secret password;  // empty: mechanisms without one (EXTERNAL, GSSAPI)
};

}  // namespace lmtpq::mailer
