#include "canonical.h"

#include <algorithm>

namespace lmtpq {
namespace {

constexpr std::size_t kLongestSequence = 4;
constexpr std::size_t kMaxReturns = 64;

// Length of the UTF-8 sequence that a byte opens; 1 for every other byte.
std::size_t sequence_length(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

}  // namespace

void Canonical::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    if (bytes.front() == '\r') {
      // A run longer than any real line end is let out as it comes, or it would all come out at
      // once.
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
    // Two searches with memchr(3) are several times faster than one find_first_of("\r\n").
    std::string_view line = bytes.substr(0, bytes.find('\n'));
    line = line.substr(0, line.find('\r'));
    text(line, out);
    bytes.remove_prefix(line.size());
  }
}

void Canonical::finish(std::string& out) {
  bare_returns(out);
  if (column_ > 0) {
    end_line(out);
  }
}

void Canonical::text(std::string_view bytes, std::string& out) {
  // The last bytes before the limit may open a sequence that does not fit.
  if (column_ + bytes.size() + kLongestSequence > limit_) {
    broken_text(bytes, out);
    return;
  }
  out.append(bytes);
  column_ += bytes.size();
}

void Canonical::broken_text(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    if (column_ + std::min(sequence_length(c), limit_ - 1) > limit_) {
      out.append("\r\n ");
      column_ = 1;
    }
    out.push_back(c);
    ++column_;
  }
}

void Canonical::bare_returns(std::string& out) {
  for (; returns_ > 0; --returns_) {
    end_line(out);
  }
}

void Canonical::end_line(std::string& out) {
  out.append("\r\n");
  column_ = 0;
}

}  // namespace lmtpq
