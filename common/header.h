// Header fields of a message (RFC 5322 section 2.2), read from canonical text.
//
// What it is: a reader that walks the fields from the top, and the two things done to a value:
//   unfolding and dropping comments.
// What it does not know: the meaning of any field, line ends other than CRLF (the data decoder has
//   made them so), the message's body.
// Called by: the mailer (queue id, later the tag) and the milter.
// Threads and lifetimes: views into the caller's text, which must outlive them.
// Failure: a line that is no header field (no colon, an illegal name) is a Field with an empty
//   name; the reader goes on behind it, as Sendmail and Cyrus each have their own idea of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

struct Field {
  std::string_view name;   // as written, without the colon and white space or folds before it
  std::string_view value;  // everything behind the colon, still folded, without the last CRLF
  std::string_view raw;    // the field's whole lines, with their CRLFs
};

class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}
  // The next field; nothing at the empty line that ends the header, or at the text's end. A field
  // that the text cuts off (no CRLF) is not returned.
  std::optional<Field> next();

 private:
  std::string_view rest_;
};

// field-name = 1*ftext: printable ASCII without blanks and the colon (RFC 5322 section 3.6.8).
bool is_field_name(std::string_view text);

std::string unfold(std::string_view value);            // no CR or LF is left; ends trimmed
std::string without_comments(std::string_view value);  // each ( ... ), nested or not, is a space;
                                                       // quoted strings are respected

}  // namespace lmtpq
