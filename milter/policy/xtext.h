// Text as Sendmail writes it into {auth_authen} and {cert_subject}: xtext (RFC 3461 section 4).
//
// What it is: the decoding of `+2B` and its like; Sendmail encodes blanks, plus signs, brackets,
//   parentheses, quotes, backslashes and what is not ASCII.
// What it does not know: macros.
// Called by: callbacks.
// Threads and lifetimes: a pure function.
// Failure: none; a plus sign that begins no code stands for itself.
#pragma once

#include <string>
#include <string_view>

namespace lmtpq::milter {

std::string from_xtext(std::string_view text);

}  // namespace lmtpq::milter
