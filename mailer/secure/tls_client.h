// TLS to one store: the settings made into OpenSSL's terms, and the last session for the next time.
//
// What it is: an SSL_CTX, made at the first use (a mailer that needs no TLS must not pay for it),
//   and one session that connections to the same store resume.
// What it does not know: STARTTLS, LMTP, when TLS is wanted; what a failure means for the mail.
// Called by: Connector, which keeps one for each store; Upstream, which asks it for a TlsLayer.
// Threads and lifetimes: may be used by several threads; settings must outlive it, and it its
//   layers.
// Failure: ConfigError from prepare() and connect(), when a file or a setting cannot be used: one
//   line with the file and what is wrong.
// Rules: RFC 8446, RFC 5246; names: RFC 9525 (DNS and IP names of subjectAltName, never the CN).
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "mailer/secure/tls_context.h"
#include "mailer/secure/tls_layer.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

class TlsClient : public Tls {
 public:
  // `host` is DEST's: the name that is expected unless the settings name another; an IP address is
  // looked for among the IP names, and gets no SNI. Empty (a unix socket): the settings must have
  // one where a name is checked.
  TlsClient(const TlsSettings& settings, const std::string& host);
  ~TlsClient() override;
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // Reads the files; connect() does if nobody did. For whoever wants their mistakes at start.
  void prepare();
  std::unique_ptr<TlsConnection> connect() override;

  const TlsSettings& settings() const { return settings_; }
  const std::string& name() const { return name_; }  // whom the certificate must name
  // Do we show one if asked?
  bool has_certificate() const { return !settings_.certificate_file.empty(); }

 private:
  friend class TlsLayer;
  // Sessions: only from handshakes that were believed, each used once (RFC 8446 appendix C.4).
  struct Session {
    struct Free {
      void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
    };
    std::unique_ptr<SSL_SESSION, Free> openssl;
    bool showed_certificate = false;  // when it began: the store knows us by it when it is resumed
  };
  void keep(Session session);
  Session take();

  const TlsSettings& settings_;
  std::string name_;
  std::mutex mutex_;
  TlsContext context_;
  Session session_;
};

}  // namespace lmtpq::mailer
