// The client's side of one SASL exchange (RFC 4422), by libsasl2 and its plugins.
//
// What it is: the choice of a mechanism among those offered, its steps, and the security layer that
//   may come of it. Bytes, not base64.
// What it does not know: the AUTH command (LmtpClient does), sockets, what a failure means.
// Called by: Upstream; the layer by LayeredChannel.
// Threads and lifetimes: one thread, one exchange; settings and login must outlive it.
// Failure: failure(), one line without any secret; then nothing more is answered.
// Bounds: 64 KiB a challenge, 20 steps. Not bounded here: Kerberos may ask the DNS and a KDC in
//   start() and answer(), in its own time (krb5.conf(5)).
// Rules: RFC 4954 (AUTH), RFC 5802 and 7677 (SCRAM), 4616, 2195, 2831, 4752; service name `lmtp`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth_settings.h"
#include "layered_channel.h"
#include "sasl_mechanisms.h"

namespace lmtpq {

class SaslClient {
 public:
  SaslClient(const AuthSettings& settings, const Login& login, SaslSurroundings surroundings);
  ~SaslClient();
  SaslClient(const SaslClient&) = delete;
  SaslClient& operator=(const SaslClient&) = delete;

  // Takes the words behind AUTH of the server's LHLO reply and begins with the strongest mechanism
  // that settings, surroundings and our credentials admit; one that cannot even begin (GSSAPI
  // without a ticket) gives way to the next. False: failure().
  bool start(std::string_view offered);
  const std::string& mechanism() const { return mechanism_; }
  // What goes with AUTH; nothing: the server speaks first.
  const std::optional<std::string>& initial() const { return initial_; }
  // The answer to a challenge; nothing: failure(), and the exchange is to be cancelled.
  std::optional<std::string> answer(std::string_view challenge);
  // The server says that we are in. True only when the mechanism agrees: one that proves the server
  // to us (SCRAM, DIGEST-MD5, GSSAPI) may be owed that proof still.
  bool succeed();

  // The security layer that was agreed on, if one was; takes what it needs out of this object.
  bool has_layer() const;
  unsigned layer_bits() const;
  static std::unique_ptr<Layer> take_layer(std::unique_ptr<SaslClient> client);

  const std::string& failure() const { return failure_; }

  struct Library;  // libsasl2's callbacks and memory; in the .cpp

 private:
  bool begin(const SaslChoice& choice);
  bool fail(std::string words);
  bool fail_by_library(int result);

  AuthSettings const& settings_;
  Login const& login_;
  SaslSurroundings surroundings_;
  std::unique_ptr<Library> library_;
  std::string mechanism_;
  std::optional<std::string> initial_;
  bool complete_ = false;
  int steps_ = 0;
  std::string failure_;
};

}  // namespace lmtpq
