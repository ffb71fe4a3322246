// The lines of a sendmail.cf as Sendmail reads them (readcf.c): a line that begins with a blank
// continues the one before it, but not an empty one, and a `#` that neither a backslash nor a `$`
// precedes begins a comment.
//
// Pure functions; any bytes are taken. Text that is no configuration comes back as lines of an
// unknown kind.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

struct CfLine {
  std::size_t number = 0;  // of its first line in the file, from 1
  std::string text;        // the blanks of continuations as they are, without line ends
};

// Without empty lines and comments.
std::vector<CfLine> cf_lines(std::string_view text);

// What an M or X line defines: `NAME, P=..., A=...`.
struct CfEntry {
  std::size_t number = 0;
  std::string name;
  std::map<char, std::string> fields;  // by the first letter of their name, as Sendmail reads them

  bool has(char field) const { return fields.contains(field); }
  // Empty: the line has no such field.
  std::string field(char letter) const;
};
// Of a line whose first letter was M or X. What Sendmail would complain about is left out.
CfEntry parse_entry(const CfLine& line);

}  // namespace lmtpq::mailer
