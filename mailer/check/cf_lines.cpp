#include "mailer/check/cf_lines.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/options/lines.h"

namespace lmtpq::mailer {
namespace {

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

// translate_dollars() in readcf.c.
std::string_view without_comment(std::string_view line) {
  if (line.starts_with('#')) {
    return {};
  }
  for (std::size_t at = line.find('#', 1); at != std::string_view::npos;
       at = line.find('#', at + 1)) {
    if (line[at - 1] != '\\' && line[at - 1] != '$') {
      const std::string_view before = line.substr(0, at);
      return before.substr(0, before.find_last_not_of(" \t") + 1);
    }
  }
  return line;
}

// The value up to a comma, as munchstring() in readcf.c: quotes protect commas, and a backslash
// what follows it. Removes both from `rest`, with the comma.
std::string take_value(std::string_view& rest) {
  std::string made;
  bool quoted = false;
  std::size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != ','); ++at) {
    if (rest[at] == '\\' && at + 1 < rest.size()) {
      made += rest[++at];
    } else if (rest[at] == '"') {
      quoted = !quoted;
    } else {
      made += rest[at];
    }
  }
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return std::string(trimmed(made));
}

}  // namespace

std::vector<CfLine> cf_lines(std::string_view text) {
  std::vector<CfLine> made;
  enum class Before { kLine, kComment, kNothing } before = Before::kNothing;
  std::size_t number = 0;
  each_line(text, "", [&](std::string_view line, const std::string& /*place*/) {
    ++number;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (!line.empty() && is_blank(line.front()) && before != Before::kNothing) {
      if (before == Before::kLine) {
        made.back().text += without_comment(line);
      }
      return;
    }
    before = line.empty()            ? Before::kNothing
             : line.starts_with('#') ? Before::kComment
                                     : Before::kLine;
    if (before == Before::kLine) {
      made.push_back({number, std::string(without_comment(line))});
    }
  });
  return made;
}

std::string CfEntry::field(char letter) const {
  const auto found = fields.find(letter);
  return found == fields.end() ? "" : found->second;
}

CfEntry parse_entry(const CfLine& line) {
  std::string_view rest = std::string_view(line.text).substr(1);
  CfEntry made;
  made.number = line.number;
  const std::size_t end = std::min(rest.find_first_of(", \t"), rest.size());
  made.name = rest.substr(0, end);
  rest.remove_prefix(end);
  for (;;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(", \t"), rest.size()));
    const std::size_t sign = rest.find_first_of("=,");
    if (sign == std::string_view::npos || rest[sign] != '=') {
      return made;  // Sendmail reads no further either
    }
    const char letter = rest.front();
    rest.remove_prefix(sign + 1);
    made.fields[letter] = take_value(rest);
  }
}

}  // namespace lmtpq::mailer
