// The MAC of a tag: HMAC-SHA-256 (RFC 2104).
#pragma once

#include <array>
#include <string_view>

#include "common/secret.h"

namespace lmtpq {

using Mac = std::array<char, 32>;

Mac tag_mac(const Secret& secret, std::string_view bytes);

}  // namespace lmtpq
