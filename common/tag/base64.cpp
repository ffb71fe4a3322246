#include "common/tag/base64.h"

#include <nettle/base64.h>
#include <string.h>

#include <cstdint>

namespace lmtpq {
namespace {

const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text(BASE64_ENCODE_RAW_LENGTH(bytes.size()), '\0');
  base64_encode_raw(text.data(), bytes.size(), bytes_of(bytes));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  base64_decode_ctx context;
  base64_decode_init(&context);
  std::string bytes(BASE64_DECODE_LENGTH(text.size()), '\0');
  std::size_t length = bytes.size();
  if (base64_decode_update(&context, &length, reinterpret_cast<std::uint8_t*>(bytes.data()),
                           text.size(), text.data()) != 1 ||
      base64_decode_final(&context) != 1) {
    return std::nullopt;
  }
  bytes.resize(length);
  // The decoder ignores blanks, and extra bits after the last byte.
  std::string again = base64(bytes);
  const bool exact = again == text;
  explicit_bzero(again.data(), again.size());  // it may be a key
  return exact ? std::optional(std::move(bytes)) : std::nullopt;
}

std::string base64url(std::string_view bytes) {
  base64_encode_ctx context;
  base64url_encode_init(&context);
  std::string text(BASE64_ENCODE_LENGTH(bytes.size()) + BASE64_ENCODE_FINAL_LENGTH, '\0');
  std::size_t length = base64_encode_update(&context, text.data(), bytes.size(), bytes_of(bytes));
  length += base64_encode_final(&context, text.data() + length);
  text.resize(length);
  text.resize(text.find_last_not_of('=') + 1);
  return text;
}

}  // namespace lmtpq
