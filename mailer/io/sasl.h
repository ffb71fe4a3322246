// A login as a connection needs it: the seam behind which libsasl2 is.
//
// What it is: one exchange of the client's side (RFC 4422): the choice of a mechanism, its steps,
//   and the security layer that may come of it. Bytes, not base64.
// What it does not know: libsasl2, the AUTH command (LmtpClient does), what a failure means.
// Called by: Upstream.
// Threads and lifetimes: one thread, one exchange; settings and login must outlive it.
// Failure: failure(), one line without any secret.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mailer/io/layered_channel.h"

namespace lmtpq::mailer {

// What the exchange may rely on of the channel below.
struct SaslSurroundings {
  std::string server;             // the store's host name, for digest-uri and Kerberos
  bool confidential = false;      // TLS or a unix socket
  unsigned external_bits = 0;     // TLS's strength; 0: no TLS
  std::string external_identity;  // EXTERNAL makes sense: we showed a certificate; else empty
  std::string binding_type;       // "tls-unique" ...; empty: none
  std::string binding;            // its bytes
};

class SaslExchange {
 public:
  virtual ~SaslExchange() = default;

  // Takes the words behind AUTH of the server's LHLO reply and begins with the strongest mechanism
  // that settings, surroundings and our credentials admit; one that cannot even begin (GSSAPI
  // without a ticket) gives way to the next. False: failure().
  virtual bool start(std::string_view offered) = 0;
  virtual const std::string& mechanism() const = 0;
  // What goes with AUTH; nothing: the server speaks first.
  virtual const std::optional<std::string>& initial() const = 0;
  // The answer to a challenge; nothing: failure(), and the exchange is to be cancelled. It is after
  // a bounded number of them.
  virtual std::optional<std::string> answer(std::string_view challenge) = 0;
  // The server says that we are in. True only when the mechanism agrees: one that proves the server
  // to us (SCRAM, DIGEST-MD5, GSSAPI) may be owed that proof still.
  virtual bool succeed() = 0;

  // The security layer that was agreed on; 0: none.
  virtual unsigned layer_bits() const = 0;
  // That layer; `self` is this object, which the layer lives on.
  virtual std::unique_ptr<Layer> into_layer(std::unique_ptr<SaslExchange> self) = 0;

  virtual const std::string& failure() const = 0;
};

}  // namespace lmtpq::mailer
