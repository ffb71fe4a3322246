#include "mailer/lines/canonical_lines.h"

namespace lmtpq::mailer {
namespace {

// Line ends written in one go for a run of lone CRs: of the run only a count was kept.
constexpr std::size_t kMaxLineEnds = 16 * 1024;
// Of text looked at in one go: what ends it may be every second byte, and each of the three
// searches must not go through all that follows.
constexpr std::size_t kWindow = 256;
constexpr char kNul = '\0';

}  // namespace

std::size_t CanonicalLines::feed(std::string_view bytes, std::string& out) {
  const std::size_t given = bytes.size();
  while (!bytes.empty()) {
    std::size_t taken = 1;
    const char c = bytes.front();
    if (c == '\r') {
      ++returns_;
    } else if (c == '\n') {
      returns_ = 0;
      folder_.end_line(out);
    } else if (c == kNul && rules_.strip_nuls) {
      ++nuls_;
    } else if (!bare_returns(out)) {
      break;
    } else if (c == kNul) {
      ++nuls_;
      folder_.append(bytes.substr(0, 1), out);
    } else {
      taken = text(bytes, out);
    }
    bytes.remove_prefix(taken);
  }
  return given - bytes.size();
}

void CanonicalLines::finish(std::string& out) {
  if (returns_ > 0 || !folder_.at_line_start()) {
    returns_ = 0;
    folder_.end_line(out);
  }
}

TextReport CanonicalLines::report() const {
  const std::uint64_t stripped = rules_.strip_nuls ? nuls_ : 0;
  return {folder_.folded_lines(), nuls_ - stripped, stripped};
}

// The header's empty line is not clean: the folder must see it.
std::size_t CanonicalLines::clean_line(std::string_view bytes) const {
  const std::size_t newline = bytes.substr(0, folder_.limit() + 2).find('\n');
  if (newline == std::string_view::npos || newline < (folder_.in_header() ? 2U : 1U)) {
    return 0;
  }
  // Two searches with memchr(3) are several times faster than one find_first_of("\r\n").
  return bytes.substr(0, newline).find('\r') == newline - 1 ? newline + 1 : 0;
}

// Up to the next byte that is not text. Returns how many bytes it took.
std::size_t CanonicalLines::text(std::string_view bytes, std::string& out) {
  std::string_view line = bytes.substr(0, kWindow);
  line = line.substr(0, line.find('\n'));
  line = line.substr(0, line.find('\r'));
  line = line.substr(0, line.find(kNul));
  folder_.append(line, out);
  return line.size();
}

// False: some are left.
bool CanonicalLines::bare_returns(std::string& out) {
  for (std::size_t room = kMaxLineEnds; returns_ > 0 && room > 0; --returns_, --room) {
    if (folder_.in_header()) {
      folder_.append(" ", out);
    } else {
      folder_.end_line(out);
    }
  }
  return returns_ == 0;
}

}  // namespace lmtpq::mailer
