// Makes text from outside safe to show on one line: escapes for log lines and errors.
//
// Walks over UTF-8 (RFC 3629 section 4) one sequence at a time. Pure functions; every byte
// sequence has an escaped form.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lmtpq {

// The length of the well-formed UTF-8 sequence at the front of `text`, 1 to 4; 0: there is none.
// Overlong forms, surrogates and values above U+10FFFF are not well-formed.
std::size_t utf8_length(std::string_view text);

// Whether the sequence (as measured by utf8_length) is a control: U+0000..1F, U+007F..9F.
bool is_control(std::string_view sequence);

// Whether a terminal or an editor obeys the sequence, or shows nothing, so that a reader of the
// line is misled: a control, a line or paragraph separator (U+2028..9), a control of the direction
// of text (such as U+202E), which can show the words of a line in another order, an interlinear
// annotation (U+FFF9..B), or a character that is invisible (such as U+200B or U+FEFF): the Unicode
// property Default_Ignorable_Code_Point.
bool controls_display(std::string_view sequence);

// Takes one sequence, or one byte that is not UTF-8, from the front of `rest`, and returns its
// escaped form: itself, or \n \r \t \" \\, or \xNN for each byte of a sequence that controls the
// display, and for an invalid byte.
std::string take_escaped(std::string_view& rest);

std::string escaped(std::string_view text);
// For people and their terminals: as escaped(), but quotes and backslashes stay.
std::string displayed(std::string_view text);

}  // namespace lmtpq
