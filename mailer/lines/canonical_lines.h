// Line ends, line lengths and NULs: any message bytes become CRLF lines of a bounded length.
//
// A lone LF becomes CRLF. A lone CR becomes a space in the header, so that it makes no field which
// nobody saw before us, and CRLF in the body. A run of CRs before an LF, or at the end, is one line
// end, however long it is. Lines over the limit are broken (line_folder.h). 8-bit bytes pass, NULs
// as the rules have it. One object per message; any bytes have a canonical form: it cannot fail.
//
// RFC 5321 sections 2.3.8 and 4.5.3.1.6 (CRLF only; 998 bytes and CRLF). Stores are more lenient
// about where a line or a message ends, so nothing that they could misread may reach them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mailer/lines/line_folder.h"
#include "mailer/lines/text_rules.h"

namespace lmtpq::mailer {

class CanonicalLines {
 public:
  explicit CanonicalLines(TextRules rules = {}) : rules_(rules), folder_(rules.line_limit) {}

  // Returns how many bytes it took. Not all: a long run of lone CRs became a part of its line ends;
  // take `out` away, and feed the others.
  std::size_t feed(std::string_view bytes, std::string& out);
  // At the start of a line, for bytes without NUL: the length of the line at the front of `bytes`
  // if feed() would pass it unchanged and change nothing here, otherwise 0. May return 0 for a
  // clean line (conservative), never the reverse.
  std::size_t clean_line(std::string_view bytes) const;
  // At the end of the input: an open line gets its CRLF.
  void finish(std::string& out);

  TextReport report() const;

 private:
  std::size_t text(std::string_view bytes, std::string& out);
  bool bare_returns(std::string& out);

  TextRules rules_;
  LineFolder folder_;
  std::uint64_t nuls_ = 0;     // kept or stripped
  std::uint64_t returns_ = 0;  // CRs held back: the next byte decides what they mean
};

}  // namespace lmtpq::mailer
