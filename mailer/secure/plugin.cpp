// The one function that lmtpq-secure.so exports.

#include <string.h>

#include "mailer/io/secure_loader.h"
#include "mailer/secure/sasl_client.h"
#include "mailer/secure/tls_factory.h"

namespace lmtpq::mailer {
namespace {

class Library : public SecureLibrary {
 public:
  std::unique_ptr<Tls> make_tls(const TlsSettings& settings,
                                const std::string& host) const override {
    return std::make_unique<TlsFactory>(settings, host);
  }
  std::unique_ptr<SaslExchange> make_sasl(const AuthSettings& settings, const Login& login,
                                          const SaslSurroundings& surroundings) const override {
    return sasl_client(settings, login, surroundings);
  }
  void require_mechanisms(const std::vector<std::string>& names) const override {
    mailer::require_mechanisms(names);
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const SecureLibrary* lmtpq_secure_library(
    const char* build) {
  static const Library library;
  return strcmp(build, LMTPQ_BUILD) == 0 ? &library : nullptr;
}

}  // namespace lmtpq::mailer
