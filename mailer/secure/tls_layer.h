// One TLS connection, as a Layer: OpenSSL between two buffers.
//
// What it is: the handshake and the records of one connection. It comes about only with a peer that
//   TlsPeer has nothing against, also when it resumes a session.
// What it does not know: sockets, time, STARTTLS, LMTP.
// Called by: TlsClient makes it; shake_hands() drives it; LayeredChannel then seals and opens.
// Threads and lifetimes: one thread; the TlsClient must outlive it.
// Failure: failure(), one line: OpenSSL's words, or what is wrong with the certificate and whose it
//   is. Renegotiation is refused. An end of the stream without close_notify is said to be one.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "mailer/io/tls.h"
#include "mailer/secure/tls_peer.h"

namespace lmtpq::mailer {

class TlsClient;

class TlsLayer : public TlsConnection {
 public:
  // Takes the connection over.
  TlsLayer(TlsClient& client, SSL* connection);
  ~TlsLayer() override;
  TlsLayer(const TlsLayer&) = delete;
  TlsLayer& operator=(const TlsLayer&) = delete;

  Handshake handshake(std::string_view received, std::string& to_send) override;
  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override;
  bool open(std::string_view sealed, std::string& plain, std::string& answer) override;
  std::string ending() const override;
  bool ended() const override;
  const std::string& failure() const override { return failure_; }
  void say_goodbye(std::string& sealed) override;

  const TlsFacts& facts() const override { return facts_; }
  bool showed_certificate() const override {
    return state_ == Handshake::kDone && showed_certificate_;
  }
  // RFC 5929 tls-unique: the first Finished. Over TLS 1.3, where it is not defined, what Cyrus
  // takes: the client's, in a resumed session the server's, as in TLS 1.2. RFC 5929
  // tls-server-end-point, RFC 9266 tls-exporter. Empty: none by that name here; nor is there a
  // tls-unique or tls-exporter in a TLS 1.2 without the extended master secret (RFC 7627).
  std::string channel_binding(const std::string& type) const override;

 private:
  friend class TlsClient;
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

  TlsClient& client_;
  SSL* connection_;
  Handshake state_ = Handshake::kNeedMore;
  bool showed_certificate_ = false;
  TlsFacts facts_;
  TlsPeer peer_;
  std::string failure_;
};

}  // namespace lmtpq::mailer
