// One TLS connection as a Layer: OpenSSL between two buffers.
//
// The handshake and the records. It is established only with a peer that TlsPeer accepts, also when
// it resumes a session. One thread; the TlsFactory must outlive it. failure() is one line:
// OpenSSL's text, or the name of a bad certificate and what is wrong with it. Renegotiation is
// refused. If the stream ends without close_notify, ending() says so.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "mailer/io/tls.h"
#include "mailer/secure/tls_peer.h"

namespace lmtpq::mailer {

class TlsFactory;

class TlsLayer : public TlsConnection {
 public:
  // Takes ownership of the connection.
  TlsLayer(TlsFactory& factory, SSL* connection);
  ~TlsLayer() override;
  TlsLayer(const TlsLayer&) = delete;
  TlsLayer& operator=(const TlsLayer&) = delete;

  Handshake handshake(std::string_view received, std::string& to_send) override;
  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override;
  bool open(std::string_view sealed, std::string& plain, std::string& answer) override;
  std::string ending() const override;
  bool ended() const override;
  const std::string& failure() const override { return failure_; }
  void seal_end(std::string& sealed) override;

  const TlsFacts& facts() const override { return facts_; }
  bool showed_certificate() const override {
    return state_ == Handshake::kDone && showed_certificate_;
  }
  // RFC 5929 tls-unique: the first Finished. TLS 1.3 does not define it; there we use what Cyrus
  // uses: the client's Finished, or the server's in a resumed session, as in TLS 1.2. RFC 5929
  // tls-server-end-point, RFC 9266 tls-exporter. Empty: not available; with TLS 1.2, tls-unique and
  // tls-exporter need the extended master secret (RFC 7627).
  std::string channel_binding(const std::string& type) const override;

 private:
  friend class TlsFactory;
  static void install(SSL_CTX* context);  // the callbacks below
  static int look_at_chain(X509_STORE_CTX* chain, void*);
  static int take_session(SSL* connection, SSL_SESSION* session);

  Handshake conclude();
  void keep_session(SSL_SESSION* session);
  void note_facts();
  std::string finished() const;
  std::string exporter() const;
  void take(std::string_view sealed);
  void drain(std::string& sealed);

  TlsFactory& factory_;
  SSL* connection_;
  Handshake state_ = Handshake::kNeedMore;
  bool showed_certificate_ = false;
  TlsFacts facts_;
  TlsPeer peer_;
  std::string failure_;
};

}  // namespace lmtpq::mailer
