// The message on the wire: the end of DATA and its dots, both ways (RFC 5321 section 4.5.2).
//
// DataDecoder turns wire bytes into the canonical message; it ends at CRLF . CRLF and nowhere else.
// DataEncoder turns the canonical message into wire bytes. One object per message; neither can
// fail. A message that never ends is stopped by the caller's deadline.
//
// Dots are removed where the *wire* has a line start (after CRLF), and added where the *canonical*
// message has one. Between the two, lone line ends became CRLF: a dot after a lone LF was text on
// the way in and is stuffed on the way out, so no store can take it for the end.
#pragma once

#include <string>
#include <string_view>

#include "mailer/lines/canonical_lines.h"

namespace lmtpq::mailer {

class DataDecoder {
 public:
  explicit DataDecoder(TextRules rules) : canonical_(rules) {}

  // Consumes wire bytes from `input`, appends message bytes to `out`. Returns true when the final
  // CRLF . CRLF was consumed; what follows it stays in `input`. False with bytes left in `input`:
  // take `out` away, and go on (CanonicalLines::feed()).
  bool decode(std::string_view& input, std::string& out);
  TextReport report() const { return canonical_.report(); }

 private:
  enum class State {
    kLineStart,  // after CRLF, or at the beginning of the message
    kText,       // inside a line
    kReturn,     // a CR in a line, not yet passed on
    kDot,        // a dot at the line's start
    kDotReturn,  // a dot at the line's start, then CR
  };
  // Each passes on bytes from the front of `input`, and returns how many.
  std::size_t clean_lines(std::string_view input, std::string& out);
  std::size_t text(std::string_view input, std::string& out);

  CanonicalLines canonical_;
  State state_ = State::kLineStart;
  std::size_t without_nul_ = 0;  // bytes at the front of the input that have no NUL
};

class DataEncoder {
 public:
  // `message` is canonical; however it is cut into pieces, the wire bytes are the same.
  void encode(std::string_view message, std::string& out);
  static constexpr std::string_view kEnd = ".\r\n";

 private:
  bool line_start_ = true;
};

}  // namespace lmtpq::mailer
