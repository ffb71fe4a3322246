#include "common/header.h"

#include <algorithm>

namespace lmtpq {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kBlank = " \t";

// The length of the field at the front of `text` with its CRLFs; 0: its end is missing.
std::size_t field_length(std::string_view text) {
  std::size_t end = 0;
  do {
    end = text.find(kLineEnd, end);
    if (end == std::string_view::npos) {
      return 0;
    }
    end += kLineEnd.size();
  } while (end < text.size() && kBlank.find(text[end]) != std::string_view::npos);
  return end;
}

}  // namespace

std::optional<Field> HeaderReader::next() {
  const std::size_t length = rest_.starts_with(kLineEnd) ? 0 : field_length(rest_);
  if (length == 0) {
    rest_ = {};
    return std::nullopt;
  }
  Field field;
  field.raw = rest_.substr(0, length);
  rest_.remove_prefix(length);
  const std::size_t colon = field.raw.find(':');
  if (colon == std::string_view::npos) {
    return field;
  }
  // Sendmail accepts `Name :` as a field of that name, even folded before the colon. Reading it
  // differently would hide a forged field.
  std::string_view name = field.raw.substr(0, colon);
  name = name.substr(0, name.find_last_not_of(" \t\r\n") + 1);
  if (!is_field_name(name)) {
    return field;
  }
  field.name = name;
  field.value = field.raw.substr(colon + 1, length - colon - 1 - kLineEnd.size());
  return field;
}

bool is_field_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c <= '~' && c != ':'; });
}

std::string unfold(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c != '\r' && c != '\n') {
      text += c;
    }
  }
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) {
    return "";
  }
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

}  // namespace lmtpq
