// The text of scripts: escapes, and patterns with * and ?.
//
// unescape() makes the bytes to send, matches() checks lines that must come. std::invalid_argument
// for an unknown escape.
#pragma once

#include <string>
#include <string_view>

namespace dialogues {

// \r \n \t \\ \* \? \# and \xNN; every other byte means itself.
std::string unescape(std::string_view text);

// `*` is any run of bytes, `?` any one byte; an escaped character means itself. The whole line must
// match.
bool matches(std::string_view pattern, std::string_view line);

// For messages: printable, cut after about 120 bytes.
std::string shown(std::string_view bytes);

}  // namespace dialogues
