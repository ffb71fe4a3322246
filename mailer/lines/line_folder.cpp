#include "mailer/lines/line_folder.h"

#include <algorithm>

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
    const std::size_t room = limit_ + 1 - std::min(limit_, line_.size());
    const std::string_view piece = text.substr(0, room);
    line_ += piece;
    text.remove_prefix(piece.size());
    while (line_.size() > limit_ && shorten(out)) {
    }
  }
}

void LineFolder::end_line(std::string& out) {
  if (line_.empty()) {
    part_ = Part::kBody;
  }
  // No word follows the blanks that waited. Broken in its last gap, the line may have room for
  // them.
  if (line_.size() > limit_ && scan_.gap > 0 && line_.size() - scan_.gap <= limit_) {
    break_at(scan_.gap, out);
  }
  line_.resize(std::min(line_.size(), limit_));
  break_at(line_.size(), out);
  folded_ = false;
}

// Makes the open line shorter; false: it waits for what follows the blanks at its end. Each byte is
// looked at once for all the times that this is called, and two lines that are passed on have
// together as many bytes as the limit.
bool LineFolder::shorten(std::string& out) {
  if (!folded_) {
    folded_ = true;
    ++folded_lines_;
  }
  scan();
  const std::size_t last = line_.size() - 1;
  if (blank(line_[last])) {
    if (scan_.word < limit_ && line_.size() < 2 * limit_) {
      return false;
    }
    line_.pop_back();
    --scan_.length;
  } else if (scan_.gap > 0) {
    // Later within its blanks if they and the word after them have more bytes than a line.
    break_at(std::max(scan_.gap, line_.size() - limit_), out);
  } else if (scan_.colon == last) {
    line_.erase(limit_ - 1, line_.size() - limit_);  // blanks before it
    scan_ = {};
  } else if (const std::size_t place = place_to_cut(); place == scan_.word) {
    line_.erase(0, 1);
    scan_ = {};
  } else {
    break_at(place, out);
    line_.insert(0, 1, ' ');
  }
  return true;
}

void LineFolder::scan() {
  const bool field = part_ == Part::kHeader && !blank(line_[0]) && line_[0] != ':';
  for (; scan_.length < line_.size(); ++scan_.length) {
    const std::size_t i = scan_.length;
    const bool after_blank = i > 0 && blank(line_[i - 1]);
    if (blank(line_[i])) {
      scan_.blanks = after_blank ? scan_.blanks : i;
      continue;
    }
    if (scan_.word == std::string::npos) {
      scan_.word = i;
    } else if (after_blank) {
      scan_.gap = scan_.blanks;
    }
    // A name that fills the line cannot be kept with its colon.
    const std::size_t name = after_blank ? scan_.blanks : i;
    if (line_[i] == ':' && field && scan_.colon == 0 && name < limit_) {
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

void LineFolder::break_at(std::size_t place, std::string& out) {
  out.append(line_, 0, place);
  out += "\r\n";
  line_.erase(0, place);
  scan_ = {};
}

}  // namespace lmtpq::mailer
