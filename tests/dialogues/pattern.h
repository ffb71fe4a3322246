// Text as scripts write it: escapes, and patterns with * and ?.
//
// What it is: unescape() for bytes to send, matches() for lines that must come.
// What it does not know: scripts, peers.
// Called by: script (sends), peer and verdict (expectations).
// Threads and lifetimes: pure functions.
// Failure: std::invalid_argument for an escape that does not exist.
#pragma once

#include <string>
#include <string_view>

namespace dialogues {

// \r \n \t \\ \* \? \# and \xNN; every other byte stands for itself.
std::string unescape(std::string_view text);

// `*` is any run of bytes, `?` any one byte; the escapes are the same, and what is escaped is
// itself. The whole line must match.
bool matches(std::string_view pattern, std::string_view line);

// For messages: printable, cut after some 120 bytes.
std::string shown(std::string_view bytes);

}  // namespace dialogues
