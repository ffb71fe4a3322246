// What an SSL_CTX trusts and shows, as a text to compare: the CAs, the CRLs and our certificate
// that its files had when it was made.
//
// Contexts with the same text accept the same stores and show them the same certificate. Call it
// before the first handshake: later OpenSSL adds to the context what it reads from a folder of
// CAs. Of such a folder the names, sizes and times of its files count.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

std::string tls_trust(SSL_CTX* context, const TlsSettings& settings);

}  // namespace lmtpq::mailer
