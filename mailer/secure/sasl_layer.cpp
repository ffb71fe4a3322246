#include "mailer/secure/sasl_layer.h"

#include <sasl/sasl.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/escape.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxAtOnce = 64 * 1024;
constexpr std::size_t kLengthSize = 4;

std::string layer_failure(sasl_conn* connection, const char* what) {
  return std::string(what) + ": " + escaped(sasl_errdetail(connection));
}

}  // namespace

SaslLayer::SaslLayer(std::unique_ptr<SaslExchange> client, sasl_conn* connection)
    : client_(std::move(client)), connection_(connection) {}

std::optional<std::size_t> SaslLayer::seal(std::string_view plain, std::string& sealed) {
  const void* most = nullptr;
  if (!failure_.empty()) {
    return std::nullopt;
  }
  if (sasl_getprop(connection_, SASL_MAXOUTBUF, &most) != SASL_OK || most == nullptr ||
      *static_cast<const unsigned*>(most) == 0) {
    failure_ = "the store accepts no bytes in SASL's security layer";
    return std::nullopt;
  }
  const std::size_t size =
      std::min({plain.size(), std::size_t{*static_cast<const unsigned*>(most)}, kMaxAtOnce});
  const char* record = nullptr;
  unsigned length = 0;
  if (sasl_encode(connection_, plain.data(), static_cast<unsigned>(size), &record, &length) !=
      SASL_OK) {
    failure_ = layer_failure(connection_, "cannot encode for SASL's security layer");
    return std::nullopt;
  }
  sealed.append(record, length);
  return size;
}

bool SaslLayer::open(std::string_view sealed, std::string& plain, std::string&) {
  while (failure_.empty() && !sealed.empty()) {
    const std::size_t wanted = left_ > 0 ? left_ : kLengthSize - length_.size();
    const std::string_view piece = sealed.substr(0, wanted);
    sealed.remove_prefix(piece.size());
    if (left_ > 0) {
      left_ -= piece.size();
      decode(piece, plain);
    } else {
      length_ += piece;
      if (length_.size() == kLengthSize && begin_record()) {
        decode(std::exchange(length_, {}), plain);
      }
    }
  }
  return failure_.empty();
}

// RFC 4422 section 3.7: four bytes. libsasl2 limits it too, but then it writes to syslog.
bool SaslLayer::begin_record() {
  std::uint32_t length = 0;
  for (const char c : length_) {
    length = length << 8 | static_cast<unsigned char>(c);
  }
  if (length > kMaxRecord) {
    failure_ = "record too long in SASL's security layer: " + std::to_string(length) + " bytes";
  }
  left_ = length;
  return failure_.empty();
}

bool SaslLayer::decode(std::string_view piece, std::string& plain) {
  const char* opened = nullptr;
  unsigned length = 0;
  if (sasl_decode(connection_, piece.data(), static_cast<unsigned>(piece.size()), &opened,
                  &length) != SASL_OK) {
    failure_ = layer_failure(connection_, "invalid record in SASL's security layer");
    return false;
  }
  plain.append(opened == nullptr ? "" : opened, length);
  return true;
}

}  // namespace lmtpq::mailer
