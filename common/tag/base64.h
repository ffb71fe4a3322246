// base64 with padding and base64url without (RFC 4648 sections 4 and 5). Keys in files use the
// first, tags the second. Decoding accepts only the exact encoding of some bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
std::string base64url(std::string_view bytes);

}  // namespace lmtpq
