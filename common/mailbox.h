// A mailbox as written in MAIL and RCPT (RFC 5321 section 4.1.2, RFC 6531 section 3.3): its checked
// text, kept byte for byte, and where its domain begins. Immutable.
//
// More lenient than the grammar in four points, since the store decides what exists: a mailbox may
// have no domain (Sendmail passes local users so), dots may be anywhere in a local part, dots,
// hyphens and underscores anywhere in a domain, and take_path() drops a source route (`@a,@b:`).
// Stricter in two: no control characters, not even those above 127; and an address literal has
// letters, digits, dots, colons and hyphens only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

class Mailbox {
 public:
  // RFC 5321 section 4.5.3.1.3 allows 256 for a path, but addresses made by BATV, SRS and VERP are
  // longer. A command with the longest address must still fit the line buffers of stores.
  static constexpr std::size_t kMaxLength = 1024;

  Mailbox() = default;                                         // the null reverse-path
  static std::optional<Mailbox> parse(std::string_view text);  // nothing: not a mailbox

  bool null() const { return text_.empty(); }
  const std::string& text() const { return text_; }
  std::string_view local_part() const;
  std::string_view domain() const;  // empty: there is none
  bool needs_utf8() const;          // valid UTF-8 that is not all ASCII (RFC 6531)
  std::string path() const { return "<" + text_ + ">"; }

 private:
  std::string text_;
  std::size_t at_ = std::string::npos;
};

// `path` without the angle brackets around all of it, if there are any.
std::string_view without_brackets(std::string_view path);

// Takes `<mailbox>` or `<>` from the front of `rest` (RFC 5321: Reverse-path, Forward-path). On
// success `rest` begins after the closing bracket; on failure it is unchanged.
std::optional<Mailbox> take_path(std::string_view& rest);

}  // namespace lmtpq
