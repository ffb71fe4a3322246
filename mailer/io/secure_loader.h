// Loads lmtpq-secure.so, the part of lmtpq that needs OpenSSL and libsasl2.
//
// It is loaded when the first connection needs TLS or a login. With Sendmail's background delivery
// every message has its own process, and these two libraries would double its start-up cost; most
// of these processes use a unix socket, without either.
//
// Loaded once, and never unloaded; any thread may ask for it. Failure is a ConfigError with the
// path and the dynamic linker's message; the next call tries again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mailer/io/sasl.h"
#include "mailer/io/tls.h"
#include "mailer/settings/auth_settings.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

// What lmtpq-secure.so can make. All arguments must outlive what is made of them, except `host` and
// `surroundings`.
class SecureLibrary {
 public:
  virtual ~SecureLibrary() = default;
  // `host` is the destination's: the certificate must name it unless the settings have another
  // name. Empty: the destination has none.
  virtual std::unique_ptr<Tls> make_tls(const TlsSettings& settings,
                                        const std::string& host) const = 0;
  virtual std::unique_ptr<SaslExchange> make_sasl(const AuthSettings& settings, const Login& login,
                                                  const SaslSurroundings& surroundings) const = 0;
  // Throws ConfigError unless each of these mechanisms has a plugin of libsasl2; for an empty list,
  // unless there is one at all.
  virtual void require_mechanisms(const std::vector<std::string>& names) const = 0;
};

const SecureLibrary& secure_library();

// The one function that lmtpq-secure.so exports. It returns nullptr if the library and the program
// are not from the same build: their classes could differ in layout.
inline constexpr const char* kSecureEntryName = "lmtpq_secure_library";
using SecureEntry = const SecureLibrary*(const char* build);

}  // namespace lmtpq::mailer
