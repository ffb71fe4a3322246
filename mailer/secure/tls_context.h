// TlsSettings made into an SSL_CTX.
//
// What it is: protocol versions, ciphers, trusted CAs, CRL and our own certificate, read from their
//   files and told to OpenSSL, so that nothing weaker than what is configured is ever negotiated.
// What it does not know: connections, sessions, the store's name.
// Called by: TlsClient, at the first connection.
// Threads and lifetimes: a value, which OpenSSL lets several threads use.
// Failure: ConfigError: one line with the file, or the option, and what is wrong.
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
