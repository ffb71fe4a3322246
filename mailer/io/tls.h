// TLS as a connection needs it: the seam behind which OpenSSL is.
//
// What it is: two interfaces, and the handshake over a Channel. Tls is what is kept for one store;
//   a TlsConnection is a Layer that must be shaken hands with first.
// What it does not know: OpenSSL, sockets, STARTTLS, LMTP, when TLS is wanted.
// Called by: Connector, which keeps a Tls for each store; Upstream, which asks it for connections.
// Threads and lifetimes: a Tls may be used by several threads; settings outlive it, and it its
//   connections. A connection is one thread's.
// Failure: Tls: ConfigError, when a file cannot be used: one line with the file and what is wrong.
//   TlsConnection: failure(), one line, also about whose certificate is wrong, and why.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "mailer/io/channel.h"
#include "mailer/io/layered_channel.h"
#include "mailer/io/tls_facts.h"

namespace lmtpq::mailer {

class TlsConnection : public Layer {
 public:
  enum class Handshake { kNeedMore, kDone, kFailed };

  // Takes what the peer sent (nothing at first), appends what is to be sent; on kFailed too: the
  // peer gets an alert. kDone only when the peer is who the level asks for; what is taken from then
  // on is kept for open().
  virtual Handshake handshake(std::string_view received, std::string& to_send) = 0;

  virtual const TlsFacts& facts() const = 0;
  // The peer's request for a certificate was answered with ours, now or when the session that is
  // resumed began (SASL EXTERNAL makes sense then).
  virtual bool showed_certificate() const = 0;
  // RFC 5929 tls-unique and tls-server-end-point, RFC 9266 tls-exporter. Empty: none by that name
  // here.
  virtual std::string channel_binding(const std::string& type) const = 0;
};

class Tls {
 public:
  virtual ~Tls() = default;
  // Before the handshake.
  virtual std::unique_ptr<TlsConnection> connect() = 0;
};

// The whole handshake over `channel`, by the deadline; false: failure() of the connection, or that
// of the channel, in `failure`. Bytes that came behind the handshake stay in the connection.
bool shake_hands(TlsConnection& connection, Channel& channel, Deadline deadline,
                 std::string& failure);

}  // namespace lmtpq::mailer
