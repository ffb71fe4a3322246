// Text from outside, made safe to show on one line.
//
// What it is: the walk over UTF-8 (RFC 3629 section 4) one unit at a time, and the escaped form in
//   which log lines and error messages carry what a peer or a file said.
// What it does not know: quoting, keys, where the text goes.
// Called by: log, config, mailbox.
// Threads and lifetimes: pure functions; a view is into the caller's text.
// Failure: none; any byte sequence has an escaped form.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lmtpq {

// The length of the well-formed UTF-8 sequence that begins `text`, 1 to 4; 0 where there is none.
// Overlong forms, surrogates and values above U+10FFFF are not well-formed.
std::size_t utf8_length(std::string_view text);

// Whether the sequence (as measured by utf8_length) is a control: U+0000..1F, U+007F..9F.
bool is_control(std::string_view sequence);

// Takes one sequence, or one byte that begins none, from the front of `rest`, and returns it as
// shown: itself, or \n \r \t \" \\, or \xNN for each byte of a control or of no UTF-8.
std::string take_escaped(std::string_view& rest);

std::string escaped(std::string_view text);

}  // namespace lmtpq
