#include "common/tag/tag_mac.h"

#include <nettle/hmac.h>
#include <string.h>

#include <cstdint>

namespace lmtpq {
namespace {

const std::uint8_t* octets(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

}  // namespace

// nettle and not OpenSSL, whose first HMAC takes a millisecond to set up: in Sendmail's background
// mode each message has a separate process.
Mac tag_mac(const Secret& secret, std::string_view bytes) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, secret.text().size(), octets(secret.text()));
  hmac_sha256_update(&context, bytes.size(), octets(bytes));
  Mac made{};
  hmac_sha256_digest(&context, made.size(), reinterpret_cast<std::uint8_t*>(made.data()));
  explicit_bzero(&context, sizeof context);
  return made;
}

}  // namespace lmtpq
