#include "mailer/lmtp/canonical_lines.h"

#include <algorithm>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kLongestSequence = 4;  // in UTF-8
constexpr std::size_t kMaxReturns = 64;

// Length of the UTF-8 sequence that begins with a byte; 1 for every other byte.
std::size_t sequence_length(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

}  // namespace

void CanonicalLines::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    if (bytes.front() == '\r') {
      // A run longer than any real line end is passed on at once, so that it takes no memory.
      if (++returns_ > kMaxReturns) {
        bare_returns(out);
      }
      bytes.remove_prefix(1);
      continue;
    }
    if (bytes.front() == '\n') {
      returns_ = 0;
      end_line(out);
      bytes.remove_prefix(1);
      continue;
    }
    bare_returns(out);
    std::string_view line = bytes.substr(0, bytes.find('\n'));
    line = line.substr(0, line.find('\r'));
    text(line, out);
    bytes.remove_prefix(line.size());
  }
}

void CanonicalLines::finish(std::string& out) {
  bare_returns(out);
  if (column_ > 0) {
    end_line(out);
  }
}

// Only for a complete line that is so short that no UTF-8 sequence in it can reach the limit.
std::size_t CanonicalLines::clean_line(std::string_view bytes) const {
  const std::size_t newline = bytes.substr(0, limit_).find('\n');
  if (newline == std::string_view::npos || newline == 0 || newline + kLongestSequence > limit_) {
    return 0;
  }
  // Two searches with memchr(3) are several times faster than one find_first_of("\r\n").
  return bytes.substr(0, newline).find('\r') == newline - 1 ? newline + 1 : 0;
}

void CanonicalLines::text(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    // A sequence that begins before the last columns always fits.
    const std::size_t last = limit_ - std::min(limit_, kLongestSequence - 1);
    const std::size_t run = std::min(last - std::min(last, column_), bytes.size());
    out.append(bytes.substr(0, run));
    column_ += run;
    bytes.remove_prefix(run);
    if (!bytes.empty()) {
      last_columns(bytes.front(), out);
      bytes.remove_prefix(1);
    }
  }
}

void CanonicalLines::last_columns(char c, std::string& out) {
  if (column_ + std::min(sequence_length(c), limit_ - 1) > limit_) {
    out.append("\r\n ");
    column_ = 1;
  }
  out.push_back(c);
  ++column_;
}

void CanonicalLines::bare_returns(std::string& out) {
  for (; returns_ > 0; --returns_) {
    end_line(out);
  }
}

void CanonicalLines::end_line(std::string& out) {
  out.append("\r\n");
  column_ = 0;
}

}  // namespace lmtpq::mailer
