#include "common/escape.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lmtpq {
namespace {

// Besides ASCII: C1 controls, Default_Ignorable_Code_Point (Bidi_Control is part of it), U+2028,
// U+2029 and interlinear annotation.
constexpr std::pair<char32_t, char32_t> kUnseen[] = {
    {0x80, 0x9F},        // C1 controls
    {0xAD, 0xAD},        // soft hyphen
    {0x34F, 0x34F},      // combining grapheme joiner
    {0x61C, 0x61C},      // Arabic letter mark
    {0x115F, 0x1160},    // Hangul fillers
    {0x17B4, 0x17B5},    // Khmer inherent vowels
    {0x180B, 0x180F},    // Mongolian selectors and vowel separator
    {0x200B, 0x200F},    // zero-width space and joiners, marks of the direction
    {0x2028, 0x202E},    // line and paragraph separators, the direction of text
    {0x2060, 0x206F},    // word joiner, invisible operators, the direction of text
    {0x3164, 0x3164},    // Hangul filler
    {0xFE00, 0xFE0F},    // variation selectors
    {0xFEFF, 0xFEFF},    // byte order mark
    {0xFFA0, 0xFFA0},    // Hangul filler
    {0xFFF0, 0xFFFB},    // unassigned, and interlinear annotation
    {0x1BCA0, 0x1BCA3},  // shorthand format controls
    {0x1D173, 0x1D17A},  // musical format controls
    {0xE0000, 0xE0FFF},  // tag characters, more variation selectors
};

unsigned byte_at(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

bool between(unsigned value, unsigned low, unsigned high) { return value >= low && value <= high; }

// RFC 3629 section 4: the range of the second byte depends on the first. This excludes overlong
// forms and surrogates.
bool second_byte_fits(unsigned first, unsigned second) {
  switch (first) {
    case 0xE0:
      return between(second, 0xA0, 0xBF);
    case 0xED:
      return between(second, 0x80, 0x9F);
    case 0xF0:
      return between(second, 0x90, 0xBF);
    case 0xF4:
      return between(second, 0x80, 0x8F);
    default:
      return between(second, 0x80, 0xBF);
  }
}

char32_t code_point(std::string_view sequence) {
  char32_t code = byte_at(sequence, 0) & (0xFFu >> (sequence.size() + 1));
  for (std::size_t i = 1; i < sequence.size(); ++i) {
    code = code << 6 | (byte_at(sequence, i) & 0x3F);
  }
  return code;
}

std::string hexadecimal(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned value = byte_at(bytes, i);
    text += "\\x";
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) {
    return 0;
  }
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) {
    return 1;
  }
  std::size_t length = 0;
  if (between(first, 0xC2, 0xDF)) {
    length = 2;
  }
  if (between(first, 0xE0, 0xEF)) {
    length = 3;
  }
  if (between(first, 0xF0, 0xF4)) {
    length = 4;
  }
  if (length == 0 || text.size() < length || !second_byte_fits(first, byte_at(text, 1))) {
    return 0;
  }
  for (std::size_t i = 2; i < length; ++i) {
    if (!between(byte_at(text, i), 0x80, 0xBF)) {
      return 0;
    }
  }
  return length;
}

bool is_control(std::string_view sequence) {
  const unsigned first = byte_at(sequence, 0);
  if (first < 0x20 || first == 0x7F) {
    return true;
  }
  return first == 0xC2 && sequence.size() == 2 && byte_at(sequence, 1) < 0xA0;
}

bool controls_display(std::string_view sequence) {
  if (sequence.size() == 1) {
    return is_control(sequence);
  }
  const char32_t code = code_point(sequence);
  return std::any_of(std::begin(kUnseen), std::end(kUnseen), [code](const auto& range) {
    return code >= range.first && code <= range.second;
  });
}

std::string take_escaped(std::string_view& rest) {
  const std::size_t length = utf8_length(rest);
  const std::string_view taken = rest.substr(0, length == 0 ? 1 : length);
  rest.remove_prefix(taken.size());
  switch (taken[0]) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    default:
      break;
  }
  if (length == 0 || controls_display(taken)) {
    return hexadecimal(taken);
  }
  return std::string(taken);
}

std::string escaped(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    shown += take_escaped(text);
  }
  return shown;
}

std::string displayed(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const char first = text.front();
    const std::string piece = take_escaped(text);
    shown += first == '"' || first == '\\' ? std::string(1, first) : piece;
  }
  return shown;
}

}  // namespace lmtpq
