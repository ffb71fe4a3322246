// The message on the wire: DATA's end and its dots, both ways (RFC 5321 section 4.5.2).
//
// What it is: DataDecoder (wire to canonical message; ends at CRLF . CRLF and nowhere else) and
//   DataEncoder (canonical message to wire).
// What it does not know: where the bytes come from and go to, size limits, the header.
// Called by: LmtpServer (decodes), Upstream (encodes).
// Threads and lifetimes: one object a message.
// Failure: none; a message that never ends is the caller's deadline.
//
// Dots are removed where the *wire* has a line start (behind CRLF), and added where the *canonical*
// message has one. Between the two, bare CR and LF became CRLF: a dot behind a bare LF was text on
// the way in and is stuffed on the way out, so no store can take it for the end.
#pragma once

#include <string>
#include <string_view>

#include "mailer/lmtp/canonical.h"

namespace lmtpq::mailer {

class DataDecoder {
 public:
  explicit DataDecoder(std::size_t line_limit) : canonical_(line_limit) {}

  // Consumes wire bytes from `input`, appends message bytes to `out`. Returns true when the final
  // CRLF . CRLF was consumed; what follows it stays in `input`.
  bool decode(std::string_view& input, std::string& out);

 private:
  enum class State {
    kLineStart,  // behind CRLF, or at the very beginning
    kText,       // inside a line
    kReturn,     // a CR in a line, not yet passed on
    kDot,        // a dot at the line's start
    kDotReturn,  // a dot at the line's start, then CR
  };
  // Each passes on what stands at the front, and returns how much was consumed.
  std::size_t clean_lines(std::string_view input, std::string& out);
  std::size_t text(std::string_view input, std::string& out);

  Canonical canonical_;
  State state_ = State::kLineStart;
};

class DataEncoder {
 public:
  // `message` is canonical; any cut into pieces gives the same wire bytes.
  void encode(std::string_view message, std::string& out);
  static constexpr std::string_view kEnd = ".\r\n";

 private:
  bool line_start_ = true;
};

}  // namespace lmtpq::mailer
