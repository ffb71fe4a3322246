// The security layer that a SASL exchange agreed on (RFC 4422 section 3.7), as a Layer.
//
// One thread; it owns the SaslClient, which has the keys. After a failure nothing more can be
// sealed or opened. A record begins with its length; one over kMaxRecord is refused before its
// bytes are stored.
#pragma once

#include <memory>
#include <string>

#include "mailer/io/layered_channel.h"
#include "mailer/io/sasl.h"

struct sasl_conn;

namespace lmtpq::mailer {

class SaslLayer : public Layer {
 public:
  static constexpr unsigned kMaxRecord = 16 * 1024;  // from the store to us; we tell it so

  SaslLayer(std::unique_ptr<SaslExchange> client, sasl_conn* connection);

  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override;
  bool open(std::string_view sealed, std::string& plain, std::string& answer) override;
  std::string ending() const override { return "the peer closed the connection"; }
  bool ended() const override { return false; }  // such a layer has no closing message
  const std::string& failure() const override { return failure_; }

 private:
  bool begin_record();
  bool decode(std::string_view piece, std::string& plain);

  std::unique_ptr<SaslExchange> client_;
  sasl_conn* connection_;  // the client's
  std::string length_;     // the part of the next record's length that has come
  std::size_t left_ = 0;   // bytes of the current record that are still to come
  std::string failure_;
};

}  // namespace lmtpq::mailer
