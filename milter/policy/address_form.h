// Whether an address means the same to the policy's patterns and to Sendmail's rules.
//
// What it is: a test of the path in MAIL or RCPT. Sendmail takes far more than RFC 5321 for an
//   address: `phrase<a@b>`, `<a@b>junk`, `a%b@c`, `b!a@c`, comments, routes. It delivers such mail
//   to an address that stands somewhere inside, and a pattern such as `*@c` would see another.
// What it does not know: rules, aliases, what Sendmail made of the address.
// Called by: Message.
// Threads and lifetimes: pure functions.
// Failure: none; what is not plain is odd, and an odd address never opens a quota.
#pragma once

#include <string_view>

namespace lmtpq::milter {

enum class AddressForm { kPlain, kOdd };

// `path` is the whole argument, with its brackets if it came with them.
AddressForm form_of(std::string_view path);

}  // namespace lmtpq::milter
