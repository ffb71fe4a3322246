// How the bytes of a message are made canonical, and what was found on the way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lmtpq::mailer {

struct TextRules {
  // Stores read lines through buffers of 8 KiB: a line of this length, a stuffed dot and CRLF fit.
  std::size_t line_limit = 8000;
  bool strip_nuls = false;
};

struct TextReport {
  std::uint64_t folded_lines = 0;  // lines that were too long
  std::uint64_t nuls = 0;          // NUL bytes in the message
  std::uint64_t nuls_stripped = 0;
};

}  // namespace lmtpq::mailer
