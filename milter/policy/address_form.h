// Whether Sendmail and the rules' patterns read an address in the same way.
//
// Sendmail accepts far more than RFC 5321 as an address: `phrase<a@b>`, `<a@b>junk`, `a%b@c`,
// `b!a@c`, comments, routes. It delivers such mail to an address somewhere inside, while a pattern
// such as `*@c` sees another one. An ambiguous address therefore never opens a quota.
#pragma once

#include <string_view>

namespace lmtpq::milter {

enum class AddressForm { kPlain, kAmbiguous };

// `path` is the whole argument, with its brackets if it came with them.
AddressForm form_of(std::string_view path);

}  // namespace lmtpq::milter
