// Decodes xtext (RFC 3461 section 4), the form of {auth_authen} and {cert_subject}: `+2B` is `+`.
//
// Sendmail encodes blanks, plus signs, brackets, parentheses, quotes, backslashes and non-ASCII. A
// plus sign that begins no code stays as it is.
#pragma once

#include <string>
#include <string_view>

namespace lmtpq::milter {

std::string from_xtext(std::string_view text);

}  // namespace lmtpq::milter
