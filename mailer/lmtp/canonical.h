// Line ends and line lengths: whatever came in becomes CRLF lines of a bounded length.
//
// What it is: a filter from message bytes to canonical bytes. LF and CR alone become CRLF, a run of
//   CRs before an LF is one line end (as Cyrus reads it), a line over the limit is broken with
//   CRLF SP, never inside a UTF-8 sequence. NUL and 8-bit bytes pass.
// What it does not know: dots, the header, where a message ends.
// Called by: DataDecoder (behind the removal of dots), and the argv front on its plain input.
// Threads and lifetimes: one object a message.
// Failure: none; any bytes have a canonical form.
// Rules: RFC 5321 sections 2.3.8 and 4.5.3.1.6 (CRLF only; 998 bytes and CRLF). Stores are more
//   lenient about where a line or a message ends; nothing they could misread may reach them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lmtpq::mailer {

class Canonical {
 public:
  static constexpr std::size_t kDefaultLineLimit = 998;
  explicit Canonical(std::size_t line_limit = kDefaultLineLimit) : limit_(line_limit) {}

  void feed(std::string_view bytes, std::string& out);
  // At a line's start: the length of the line that begins `bytes`, if feed() would pass it as it is
  // and leave us at a line's start again; else 0. Says no too often rather than too seldom.
  std::size_t clean_line(std::string_view bytes) const;
  // The input has ended: an open line gets its CRLF.
  void finish(std::string& out);

 private:
  void text(std::string_view bytes, std::string& out);
  void last_columns(char c, std::string& out);
  void bare_returns(std::string& out);
  void end_line(std::string& out);

  std::size_t limit_;
  std::size_t column_ = 0;
  std::size_t returns_ = 0;  // CRs held back until the next byte tells what they were
};

}  // namespace lmtpq::mailer
