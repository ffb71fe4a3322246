// Bytes as text (RFC 4648): base64 for keys in files, base64url for what stands in a header.
//
// What it is: the codings of sections 4 and 5, by nettle's coder; base64url here has no padding.
// What it does not know: what the bytes are; it wipes nothing.
// Called by: keyring, tag.
// Threads and lifetimes: pure functions.
// Failure: decoding returns nothing for text that is not exactly the coding of some bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
std::string base64url(std::string_view bytes);

}  // namespace lmtpq
