// Patterns that admins write: `*` is any run of characters, `?` any one byte.
//
// What it is: a match of a whole text, letters alike in both cases (ASCII).
// What it does not know: addresses, brackets, escapes; what mail addresses hold otherwise is
//   itself.
// Called by: the milter's conditions, the mailer's route file.
// Threads and lifetimes: a pure function.
// Failure: none. Time is bounded by the product of both lengths, whatever the pattern, since the
//   text is a stranger's; fnmatch(3) can take exponential time.
#pragma once

#include <string_view>

namespace lmtpq {

bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace lmtpq
