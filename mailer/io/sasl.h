// A SASL login as a connection needs it: the interface that hides libsasl2.
//
// One exchange of the client's side (RFC 4422): the choice of a mechanism, its steps, and the
// security layer that may result. Bytes, not base64; LmtpClient speaks the AUTH command. One
// thread, one exchange; settings and login must outlive it. failure() is one line without any
// secret.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mailer/io/layered_channel.h"

namespace lmtpq::mailer {

// What the exchange may know of the connection.
struct SaslSurroundings {
  std::string server;             // the store's host name, for digest-uri and Kerberos
  bool confidential = false;      // TLS or a unix socket
  unsigned external_bits = 0;     // TLS's strength; 0: no TLS
  std::string external_identity;  // for EXTERNAL, if we showed a certificate; otherwise empty
  std::string binding_type;       // "tls-unique" ...; empty: none
  std::string binding;            // its bytes
  std::string service = "lmtp";   // the name of the service (RFC 4422 section 3.1)
};

class SaslExchange {
 public:
  virtual ~SaslExchange() = default;

  // `offered`: the words after AUTH in the server's LHLO reply. Begins with the strongest mechanism
  // that settings, surroundings and our credentials allow; if it cannot begin (GSSAPI without a
  // ticket), the next one is tried. False: failure().
  virtual bool start(std::string_view offered) = 0;
  virtual const std::string& mechanism() const = 0;
  // The initial response, sent with AUTH. Empty: the server speaks first.
  virtual const std::optional<std::string>& initial() const = 0;
  // The answer to a challenge. Empty: failure(), and the caller must cancel the exchange; so it is
  // after too many challenges.
  virtual std::optional<std::string> answer(std::string_view challenge) = 0;
  // The server reports success. False, with failure(), if the mechanism is not complete: one that
  // proves the server's identity (SCRAM, DIGEST-MD5, GSSAPI) may still lack that proof.
  virtual bool succeed() = 0;

  // The strength of the security layer that was agreed on; 0: none.
  virtual unsigned layer_bits() const = 0;
  // That layer. `self` is this object; the layer owns it then.
  virtual std::unique_ptr<Layer> into_layer(std::unique_ptr<SaslExchange> self) = 0;

  virtual const std::string& failure() const = 0;
};

}  // namespace lmtpq::mailer
