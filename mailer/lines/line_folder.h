// The lines of a message, none longer than a limit: where a longer one is broken, and how.
//
// A line up to the limit passes unchanged. A longer one is broken before blanks (spaces and tabs)
// by CRLF alone, so that unfolding restores it (RFC 5322 section 2.2.3). Where no blank is, it is
// cut by CRLF and a space, never inside a UTF-8 sequence or a quoted-printable `=XX`. No part of it
// is blanks only, and a field's name is not separated from its colon, unless it is as long as the
// limit. What cannot be kept so is dropped: blanks over the limit at the end of a line, or in a run
// of blanks that is as long as a line; blanks before a colon that they would push over the limit.
//
// Knows the header from the body: an empty line ends the header. The memory of an object is two
// lines of the limit, and the time for a byte does not depend on the limit. It cannot fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lmtpq::mailer {

class LineFolder {
 public:
  explicit LineFolder(std::size_t limit) : limit_(limit) {}  // 5 at least

  void append(std::string_view text, std::string& out);  // has no line end
  void end_line(std::string& out);

  std::size_t limit() const { return limit_; }
  bool at_line_start() const { return line_.empty(); }
  bool in_header() const { return part_ == Part::kHeader; }
  // Lines that were broken, or lost blanks.
  std::uint64_t folded_lines() const { return folded_lines_; }

 private:
  enum class Part { kHeader, kBody };
  // What is known of the first `length` bytes of the open line; 0: there is no such place.
  struct Scan {
    std::size_t length = 0;
    std::size_t word = std::string::npos;  // its first byte that is no blank
    std::size_t blanks = 0;                // where the last run of blanks begins
    std::size_t colon = 0;                 // ends a field's name
    std::size_t gap = 0;                   // the last run of blanks that the line can be broken at
  };

  bool shorten(std::string& out);
  void scan();
  std::size_t place_to_cut() const;
  void break_at(std::size_t place, std::string& out);

  std::size_t limit_;
  Part part_ = Part::kHeader;
  std::string line_;  // the open line, without the parts that were passed on
  Scan scan_;
  bool folded_ = false;  // the open line
  std::uint64_t folded_lines_ = 0;
};

}  // namespace lmtpq::mailer
