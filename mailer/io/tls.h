// TLS as a connection needs it: the interface that hides OpenSSL, and the handshake over a Channel.
//
// A Tls is kept for each store and may be used by several threads; the settings must outlive it,
// and it must outlive its connections. A TlsConnection is one thread's: a Layer that needs a
// handshake first. Tls throws ConfigError when a file cannot be used: one line with the file and
// the reason. TlsConnection has failure(), one line; if a certificate is bad, with its name and the
// reason.
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

  // Takes what the peer sent (nothing at first), and appends what to send; on kFailed too, an
  // alert. kDone only if the peer is the one that the level requires; bytes taken from then on are
  // kept for open().
  virtual Handshake handshake(std::string_view received, std::string& to_send) = 0;

  virtual const TlsFacts& facts() const = 0;
  // The peer asked for a certificate and got ours, now or when the resumed session began. SASL
  // EXTERNAL is possible then.
  virtual bool showed_certificate() const = 0;
  // RFC 5929 tls-unique and tls-server-end-point, RFC 9266 tls-exporter. Empty: not available on
  // this connection.
  virtual std::string channel_binding(const std::string& type) const = 0;
};

class Tls {
 public:
  virtual ~Tls() = default;
  // A new connection, before its handshake.
  virtual std::unique_ptr<TlsConnection> connect() = 0;
  // The CAs, the CRL and our certificate, as the files had them when they were read: a text to
  // compare. Empty: connect() has not read them yet.
  virtual std::string trust() = 0;
};

// The whole handshake over `channel`, by the deadline. False: `failure` has the reason. Bytes that
// came after the handshake stay in the connection. `in_clear`: the line that a peer sent that
// greets us instead of speaking TLS; else empty.
bool shake_hands(TlsConnection& connection, Channel& channel, Deadline deadline,
                 std::string& failure, std::string* in_clear = nullptr);

}  // namespace lmtpq::mailer
