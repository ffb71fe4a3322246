// The two parties of a login, as most tests need them: over TLS, with a client certificate and a
// channel binding; and the texts that the tests look for.
//
// Settings, login and surroundings of a SaslClient, and the options of its SaslServer. It outlives
// its clients.
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
