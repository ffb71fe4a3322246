// Makes the TLS connections to one store: its settings as an SSL_CTX, and its last session, which
// the next connection resumes.
//
// The SSL_CTX is made at the first use, because most mailers need no TLS. May be used by several
// threads; the settings must outlive it, and it must outlive its layers. prepare() and connect()
// throw ConfigError when a file or a setting cannot be used: one line with the file and the reason.
//
// RFC 8446, RFC 5246; names: RFC 9525 (DNS and IP names of subjectAltName, never the CN).
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "mailer/io/tls.h"
#include "mailer/secure/tls_context.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

class TlsLayer;

class TlsFactory : public Tls {
 public:
  // `host` is DEST's: the certificate must have this name, unless the settings have another. An IP
  // address is compared with the IP names, and sends no SNI. Empty (a unix socket): if the level
  // checks names, the settings must have one.
  TlsFactory(const TlsSettings& settings, const std::string& host);
  ~TlsFactory() override;
  TlsFactory(const TlsFactory&) = delete;
  TlsFactory& operator=(const TlsFactory&) = delete;

  // Reads the files, to find errors early; otherwise connect() does.
  void prepare();
  std::unique_ptr<TlsConnection> connect() override;
  std::string trust() override;

  const TlsSettings& settings() const { return settings_; }
  const std::string& name() const { return name_; }  // the name that the certificate must have
  // We send a certificate if the store asks for one.
  bool has_certificate() const { return !settings_.certificate_file.empty(); }

 private:
  friend class TlsLayer;
  // Only from handshakes that succeeded; each is used once (RFC 8446 appendix C.4).
  struct Session {
    struct Free {
      void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
    };
    std::unique_ptr<SSL_SESSION, Free> openssl;
    bool showed_certificate = false;  // when it began; the store remembers our certificate
  };
  void keep(Session session);
  Session take();

  const TlsSettings& settings_;
  std::string name_;
  std::mutex mutex_;
  TlsContext context_;
  std::string trust_;
  Session session_;
};

}  // namespace lmtpq::mailer
