// The client's side of one SASL exchange (RFC 4422), by libsasl2 and its plugins; see io/sasl.h.
//
// One thread, one exchange; settings and login must outlive it. Limits: 64 KiB per challenge, 20
// steps. start() and answer() may block without limit for Kerberos, which asks the DNS and a KDC
// (krb5.conf(5)).
//
// RFC 4954 (AUTH), RFC 5802 and 7677 (SCRAM), 4616, 2195, 2831, 4752.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/io/sasl.h"
#include "mailer/secure/sasl_mechanism_choice.h"
#include "mailer/settings/auth_settings.h"

namespace lmtpq::mailer {

class SaslClient : public SaslExchange {
 public:
  SaslClient(const AuthSettings& settings, const Login& login,
             const SaslSurroundings& surroundings);
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
                                          const SaslSurroundings& surroundings);

// See SecureLibrary.
void require_mechanisms(const std::vector<std::string>& names);

}  // namespace lmtpq::mailer
