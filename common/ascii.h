// Case and blanks of ASCII text, independent of the locale (RFC 5321 section 2.4). Bytes above 127
// are equal to themselves only.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lmtpq {

constexpr char ascii_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lower_case(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), ascii_lower);
  return made;
}

inline std::string upper_case(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), ascii_upper);
  return made;
}

// Without leading and trailing blanks and line ends.
constexpr std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

constexpr bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ascii_upper(x) == ascii_upper(y); });
}

// Whether `phrase` is anywhere in `text`, within a word also.
constexpr bool has_phrase(std::string_view text, std::string_view phrase) {
  return std::search(text.begin(), text.end(), phrase.begin(), phrase.end(),
                     [](char x, char y) { return ascii_upper(x) == ascii_upper(y); }) != text.end();
}

}  // namespace lmtpq
