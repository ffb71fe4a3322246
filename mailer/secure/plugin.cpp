// The one symbol of lmtpq-secure.so.

#include <string.h>

#include "mailer/io/secure_loader.h"
#include "mailer/secure/sasl_client.h"
#include "mailer/secure/tls_client.h"

namespace lmtpq::mailer {
namespace {

class Parts : public SecureParts {
 public:
  std::unique_ptr<Tls> tls(const TlsSettings& settings, const std::string& host) const override {
    return std::make_unique<TlsClient>(settings, host);
  }
  std::unique_ptr<SaslExchange> login(const AuthSettings& settings, const Login& login,
                                      SaslSurroundings surroundings) const override {
    return sasl_client(settings, login, std::move(surroundings));
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const SecureParts* lmtpq_secure_parts(
    const char* build) {
  static const Parts parts;
  return strcmp(build, LMTPQ_BUILD) == 0 ? &parts : nullptr;
}

}  // namespace lmtpq::mailer
