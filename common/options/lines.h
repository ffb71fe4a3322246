// Splits a text that an admin wrote into lines, each with its place for errors.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lmtpq {

// Some editors put a byte order mark at the front of a file.
inline std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

// Calls take(line, place) for each line, without its LF; views are into the text. The place is
// "NAME:NUMBER: ", which errors begin with.
template <typename Take>
void each_line(std::string_view text, const std::string& name, Take take) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    take(line, name + ':' + std::to_string(number) + ": ");
  }
}

}  // namespace lmtpq
