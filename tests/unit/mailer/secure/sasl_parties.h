// The two parties of a login, as most tests want them: over TLS, with a certificate shown and a
// channel binding; and the words that are looked for in what they say.
//
// What it is: settings, login and surroundings of a SaslClient, and what its SaslServer is like.
// What it does not know: the exchange.
// Called by: the tests of SaslClient.
// Threads and lifetimes: outlives its clients.
// Failure: none.
#pragma once

#include <sasl/sasl.h>

#include <string>
#include <string_view>

#include "mailer/secure/sasl_client.h"
#include "tests/unit/mailer/secure/sasl_server.h"

namespace lmtpq::mailer {

inline constexpr const char* kBinding = "the first Finished";

struct Parties {
  AuthSettings settings;
  Login login{kServerUser, Secret(kServerPassword)};
  SaslSurroundings surroundings{kServerName, true, 256, "CN=lmtpq", "tls-unique", kBinding};
  SaslServerSettings store{"", 256, "CN=lmtpq", "tls-unique", kBinding, 0, 4096};

  Parties() { settings.security = SASL_SEC_NOANONYMOUS; }
  Parties& in_clear() {
    surroundings = {kServerName, false, 0, "", "", ""};
    store = {"", 0, "", "", "", 256, 4096};
    return *this;
  }
  Parties& without_binding() {
    surroundings.binding.clear();
    store.binding_type.clear();
    return *this;
  }
  SaslClient client() const { return SaslClient(settings, login, surroundings); }
};

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace lmtpq::mailer
