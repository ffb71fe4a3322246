#include "mailer/lines/line_folder.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kLongestSequence = 4;  // in UTF-8

bool blank(char c) { return c == ' ' || c == '\t'; }

bool hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

bool continues_sequence(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Length of the UTF-8 sequence that begins with a byte; 1 for every other byte.
std::size_t sequence_length(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

// Where the UTF-8 sequence begins that the byte at `place` belongs to.
std::size_t start_of_sequence(std::string_view line, std::size_t place) {
  std::size_t start = place;
  while (start > 0 && place - start < kLongestSequence - 1 && continues_sequence(line[start])) {
    --start;
  }
  return sequence_length(line[start]) > place - start ? start : place;
}

// Where the `=XX` begins that the byte at `place` seems to belong to.
std::size_t start_of_escape(std::string_view line, std::size_t place) {
  if (!hex_digit(line[place])) {
    return place;
  }
  if (place >= 1 && line[place - 1] == '=') {
    return place - 1;
  }
  const bool second = place >= 2 && line[place - 2] == '=' && hex_digit(line[place - 1]);
  return second ? place - 2 : place;
}

}  // namespace

void LineFolder::append(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, limit_ + 1 - line_.size());
    line_ += piece;
    text.remove_prefix(piece.size());
    while (line_.size() > limit_) {
      shorten(out);
    }
  }
}

void LineFolder::end_line(std::string& out) {
  if (line_.empty()) {
    part_ = Part::kBody;
  }
  pass(line_.size(), out);
  out += "\r\n";
  scan_ = {};
  folded_ = false;
  dropped_blank_.reset();
}

// Makes the open line shorter, by one byte at least. Each byte is looked at once for all the times
// that this is called, and two lines that are passed on have together as many bytes as the limit.
void LineFolder::shorten(std::string& out) {
  if (!folded_) {
    folded_ = true;
    ++folded_lines_;
  }
  scan();
  if (scan_.gap == 0 && blank(line_.back())) {
    dropped_blank_ = line_.back();
    line_.pop_back();
    --scan_.length;
    return;
  }
  const std::optional<char> dropped = std::exchange(dropped_blank_, std::nullopt);
  if (scan_.gap > 0) {
    pass(scan_.gap, out);
    out += "\r\n";
    scan_ = {line_.size(), 1, 0, 0};
    return;
  }
  const std::size_t place = dropped ? line_.size() - 1 : place_to_cut();
  if (scan_.colon == place && blank(line_[place - 1])) {
    line_.erase(place - 1, 1);
  } else if (scan_.first_word == place) {
    line_.erase(0, 1);
  } else {
    pass(place, out);
    out += "\r\n";
    line_.insert(0, 1, dropped.value_or(' '));
  }
  scan_ = {};
}

void LineFolder::scan() {
  const bool field = part_ == Part::kHeader && !blank(line_[0]);
  for (; scan_.length < line_.size(); ++scan_.length) {
    const std::size_t i = scan_.length;
    if (blank(line_[i])) {
      continue;
    }
    if (scan_.first_word == std::string::npos) {
      scan_.first_word = i;
    } else if (blank(line_[i - 1])) {
      scan_.gap = i - 1;
    }
    if (line_[i] == ':' && field && scan_.colon == 0) {
      scan_.colon = i;
      scan_.gap = 0;
    }
  }
}

// The last byte is no blank, nor is the one that is returned.
std::size_t LineFolder::place_to_cut() const {
  const std::size_t last = line_.size() - 1;
  return std::min(start_of_sequence(line_, last), start_of_escape(line_, last));
}

void LineFolder::pass(std::size_t length, std::string& out) {
  out.append(line_, 0, length);
  line_.erase(0, length);
}

}  // namespace lmtpq::mailer
