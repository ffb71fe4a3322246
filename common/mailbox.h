// A mailbox as it stands in MAIL and RCPT (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
//
// What it is: the checked text of a mailbox, kept byte for byte, and where its domain begins.
// What it does not know: angle brackets' parameters, aliases, whether the mailbox exists.
// Called by: the command parser, and the front that reads addresses from argv.
// Threads and lifetimes: an immutable value.
// Failure: parse() and take_path() return nothing for what is no address.
//
// More lenient than the grammar in four points, since the store is the judge of what exists: a
// mailbox may have no domain (Sendmail gives local users so), dots may stand anywhere in a local
// part, dots, hyphens and underscores anywhere in a domain, and take_path() drops a source route
// (`@a,@b:`). Stricter in two: no control characters, ever, not even those above 127; and an
// address literal holds letters, digits, dots, colons and hyphens only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

class Mailbox {
 public:
  // RFC 5321 section 4.5.3.1.3 allows 256 for a path; addresses made by BATV, SRS and VERP are
  // longer in practice, and the longest command line must stay under what stores read in one piece.
  static constexpr std::size_t kMaxLength = 1024;

  Mailbox() = default;  // the null reverse-path
  static std::optional<Mailbox> parse(std::string_view text);

  bool null() const { return text_.empty(); }
  const std::string& text() const { return text_; }
  std::string_view local_part() const;
  std::string_view domain() const;  // empty where there is none
  bool needs_utf8() const;          // is UTF-8 beyond ASCII (RFC 6531); older charsets are not
  std::string path() const { return "<" + text_ + ">"; }

 private:
  std::string text_;
  std::size_t at_ = std::string::npos;
};

// What stands between the angle brackets that enclose all of `path`; all of it, where none do.
std::string_view without_brackets(std::string_view path);

// Takes `<mailbox>` or `<>` from the front of `rest` (RFC 5321: Reverse-path, Forward-path). On
// success `rest` begins behind the closing bracket; on failure it is untouched.
std::optional<Mailbox> take_path(std::string_view& rest);

}  // namespace lmtpq
