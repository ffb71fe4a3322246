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

#include "mailer/io/sasl.h"
#include "mailer/secure/sasl_mechanisms.h"
#include "mailer/settings/auth_settings.h"

namespace lmtpq::mailer {

class SaslClient : public SaslExchange {
 public:
  SaslClient(const AuthSettings& settings, const Login& login, SaslSurroundings surroundings);
  ~SaslClient() override;
  SaslClient(const SaslClient&) = delete;
  SaslClient& operator=(const SaslClient&) = delete;

  bool start(std::string_view offered) override;
  const std::string& mechanism() const override { return mechanism_; }
  const std::optional<std::string>& initial() const override { return initial_; }
  std::optional<std::string> answer(std::string_view challenge) override;
  bool succeed() override;
  unsigned layer_bits() const override;
  std::unique_ptr<Layer> into_layer(std::unique_ptr<SaslExchange> self) override;
  const std::string& failure() const override { return failure_; }

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

// A client; ConfigError where lmtpq is built without SASL.
std::unique_ptr<SaslExchange> sasl_client(const AuthSettings& settings, const Login& login,
                                          SaslSurroundings surroundings);

}  // namespace lmtpq::mailer
