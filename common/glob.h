// Matches a whole text against a pattern: `*` is any run of bytes, `?` any one byte, and ASCII
// letters match in both cases. There are no brackets and no escapes.
//
// The time is bounded by the product of both lengths: texts come from strangers, and fnmatch(3) can
// take exponential time.
#pragma once

#include <string_view>

namespace lmtpq {

bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace lmtpq
