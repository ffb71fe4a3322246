// What needs OpenSSL and libsasl2, loaded when a connection first needs it.
//
// What it is: the way to lmtpq-secure.so, which stands beside the program. In Sendmail's background
//   mode every message has a process of its own, and those two libraries would double what its
//   start costs; most of them go to a unix socket, which needs neither.
// What it does not know: TLS, SASL.
// Called by: Connector.
// Threads and lifetimes: loaded once, for good; may be called by several threads.
// Failure: ConfigError with the path and the dynamic linker's words; the next call tries again.
#pragma once

#include <memory>
#include <string>

#include "mailer/io/sasl.h"
#include "mailer/io/tls.h"
#include "mailer/settings/auth_settings.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

class SecureParts {
 public:
  virtual ~SecureParts() = default;
  // `host` is DEST's: the name that is expected unless the settings name another; empty: none.
  virtual std::unique_ptr<Tls> tls(const TlsSettings& settings, const std::string& host) const = 0;
  virtual std::unique_ptr<SaslExchange> login(const AuthSettings& settings, const Login& login,
                                              SaslSurroundings surroundings) const = 0;
};

const SecureParts& secure_parts();

// What lmtpq-secure.so exports: its parts; nullptr, if it is of another build than the program,
// whose classes may be laid out otherwise.
inline constexpr const char* kSecureEntry = "lmtpq_secure_parts";
using SecureEntry = const SecureParts*(const char* build);

}  // namespace lmtpq::mailer
