// In the place of the files sasl_* where lmtpq is built without SASL.

#include "mailer/secure/sasl_client.h"
#include "mailer/settings/build_features.h"

namespace lmtpq::mailer {

std::unique_ptr<SaslExchange> sasl_client(const AuthSettings& /*settings*/, const Login& /*login*/,
                                          const SaslSurroundings& /*surroundings*/) {
  require(kSasl, "login at a store");
  return nullptr;
}

void require_mechanisms(const std::vector<std::string>& /*names*/) {
  require(kSasl, "login at a store");
}

}  // namespace lmtpq::mailer
