// TlsSettings as an SSL_CTX.
//
// Protocol versions, ciphers, trusted CAs, CRL and our certificate, from their files. Nothing
// weaker than configured is ever negotiated. Several threads may use the result. Failure is a
// ConfigError: one line with the file or the option, and the reason.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

struct FreeTlsContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTlsContext>;

TlsContext make_tls_context(const TlsSettings& settings);

}  // namespace lmtpq::mailer
