// Reads header fields (RFC 5322 section 2.2) from the top of a message with CRLF line ends.
//
// A line that is not a header field (no colon, an illegal name) is returned as a Field with an
// empty name, and reading continues: Sendmail and Cyrus treat such lines differently. Views are
// into the caller's text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

struct Field {
  std::string_view name;   // as written, without the colon and white space or folds before it
  std::string_view value;  // everything after the colon, still folded, without the last CRLF
  std::string_view raw;    // the field's whole lines, with their CRLFs
};

class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}
  // The next field; nothing at the empty line that ends the header, or at the end of the text. A
  // field without its final CRLF is not returned.
  std::optional<Field> next();

 private:
  std::string_view rest_;
};

// field-name = 1*ftext: printable ASCII without blanks and the colon (RFC 5322 section 3.6.8).
bool is_field_name(std::string_view text);

std::string unfold(std::string_view value);  // without CR and LF; trimmed

}  // namespace lmtpq
