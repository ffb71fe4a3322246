// The server's side of a SASL exchange, in memory: libsasl2 with its real plugins and one account.
//
// It does what a store does after AUTH, and runs the exchange with a SaslClient as LmtpClient
// would. One thread; libsasl2's server part is initialized once per process. The result is a
// verdict; an error of libsasl2 itself fails the test.
#pragma once

#include <sasl/sasl.h>

#include <optional>
#include <string>
#include <vector>

#include "mailer/secure/sasl_client.h"

namespace lmtpq::mailer {

inline constexpr const char* kServerName = "store.example.org";
inline constexpr const char* kServerUser = "lmtpuser";
inline constexpr const char* kServerPassword = "correct horse: battery staple";

struct SaslServerSettings {
  std::string mechanisms;         // what it may offer; empty: all
  unsigned external_bits = 0;     // TLS
  std::string external_identity;  // the name in the client's certificate
  std::string binding_type;       // empty: none
  std::string binding;
  unsigned max_layer_bits = 0;
  unsigned max_record = 4096;
};

class SaslServer {
 public:
  enum class Verdict { kChallenge, kYes, kNo };

  explicit SaslServer(const SaslServerSettings& settings);
  ~SaslServer();
  SaslServer(const SaslServer&) = delete;
  SaslServer& operator=(const SaslServer&) = delete;

  std::string offered() const;  // the words after AUTH
  Verdict begin(const std::string& mechanism, const std::optional<std::string>& initial);
  Verdict hear(const std::string& answer);
  const std::string& challenge() const { return challenge_; }
  std::string user() const;  // who logged in

  std::string seal(const std::string& plain);
  // Empty: the record is invalid.
  std::optional<std::string> open(const std::string& sealed);

 private:
  Verdict verdict(int result, const char* out, unsigned length);

  SaslServerSettings settings_;
  std::vector<sasl_callback_t> callbacks_;
  sasl_channel_binding_t binding_{};
  sasl_conn_t* connection_ = nullptr;
  std::string challenge_;
};

struct SaslTalk {
  bool yes = false;               // the server reported success, and succeed() agreed
  std::vector<std::string> said;  // by the client
  std::string all() const;        // the same, concatenated
};

// From AUTH to the end, for a client that has started.
SaslTalk exchange(SaslClient& client, SaslServer& server);

}  // namespace lmtpq::mailer
