// The security layer that a SASL exchange agreed on (RFC 4422 section 3.7), as a Layer.
//
// What it is: sasl_encode and sasl_decode, in pieces that both ends take.
// What it does not know: mechanisms, LMTP, sockets.
// Called by: SaslClient makes it; LayeredChannel seals and opens.
// Threads and lifetimes: one thread; owns the SaslClient, in which the keys are.
// Failure: failure(), and nothing can be sealed or opened after it. A record says its length first;
//   one over kMaxRecord is refused before its bytes are kept.
#pragma once

#include <memory>
#include <string>

#include "mailer/io/layered_channel.h"
#include "mailer/io/sasl.h"

struct sasl_conn;

namespace lmtpq::mailer {

class SaslLayer : public Layer {
 public:
  static constexpr unsigned kMaxRecord = 16 * 1024;  // from the store to us: what we tell it

  SaslLayer(std::unique_ptr<SaslExchange> client, sasl_conn* connection);

  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override;
  bool open(std::string_view sealed, std::string& plain, std::string& answer) override;
  std::string ending() const override { return "the peer closed the connection"; }
  bool ended() const override { return false; }  // there is no goodbye in such a layer
  const std::string& failure() const override { return failure_; }

 private:
  bool begin_record();
  bool decode(std::string_view piece, std::string& plain);

  std::unique_ptr<SaslExchange> client_;
  sasl_conn* connection_;  // the client's
  std::string length_;     // as far as the next record's came
  std::size_t left_ = 0;   // of the present record
  std::string failure_;
};

}  // namespace lmtpq::mailer
