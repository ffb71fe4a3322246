// Line ends and line lengths: any message bytes become CRLF lines of a bounded length.
//
// A lone LF or CR becomes CRLF. A run of CRs before an LF is one line end, as Cyrus reads it. A
// line over the limit is broken with CRLF SP, never inside a UTF-8 sequence. NUL and 8-bit bytes
// pass. One object per message; any bytes have a canonical form, so it cannot fail.
//
// RFC 5321 sections 2.3.8 and 4.5.3.1.6 (CRLF only; 998 bytes and CRLF). Stores are more lenient
// about where a line or a message ends, so nothing that they could misread may reach them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lmtpq::mailer {

class CanonicalLines {
 public:
  static constexpr std::size_t kDefaultLineLimit = 998;
  explicit CanonicalLines(std::size_t line_limit = kDefaultLineLimit) : limit_(line_limit) {}

  void feed(std::string_view bytes, std::string& out);
  // At the start of a line: the length of the line at the front of `bytes` if feed() would pass it
  // unchanged, otherwise 0. May return 0 for a clean line (conservative), never the reverse.
  std::size_t clean_line(std::string_view bytes) const;
  // At the end of the input: an open line gets its CRLF.
  void finish(std::string& out);

 private:
  void text(std::string_view bytes, std::string& out);
  void last_columns(char c, std::string& out);
  void bare_returns(std::string& out);
  void end_line(std::string& out);

  std::size_t limit_;
  std::size_t column_ = 0;
  std::size_t returns_ = 0;  // CRs held back: the next byte decides what they mean
};

}  // namespace lmtpq::mailer
