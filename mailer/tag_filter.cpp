#include "tag_filter.h"

#include <algorithm>

#include "ascii.h"
#include "tag.h"

namespace lmtpq {

void TagFilter::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    bytes.remove_prefix(step(bytes, out));
  }
}

void TagFilter::finish(std::string& out) {
  out += held_;
  held_.clear();
  state_ = State::kBody;
}

// Returns how many bytes it took; none when only the state changed.
std::size_t TagFilter::step(std::string_view bytes, std::string& out) {
  const char c = bytes.front();
  const std::size_t line = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
  const bool whole_line = bytes[line - 1] == '\n';
  switch (state_) {
    case State::kLineStart:
      state_ = c == '\r' ? State::kBody : State::kName;
      return 0;
    case State::kName:
      return name(c, out);
    case State::kOther:
      out.append(bytes.substr(0, line));
      state_ = whole_line ? State::kLineStart : State::kOther;
      return line;
    case State::kTag: {
      const std::size_t colon = bytes.substr(0, line).find(':');
      if (colon != std::string_view::npos) {
        state_ = State::kValue;
        return colon + 1;
      }
      state_ = whole_line ? State::kTagEnd : State::kTag;
      return line;
    }
    case State::kValue:
      keep(bytes.substr(0, line));
      state_ = whole_line ? State::kValueEnd : State::kValue;
      return line;
    case State::kTagEnd:
    case State::kValueEnd: {
      const State on = state_ == State::kTagEnd ? State::kTag : State::kValue;
      state_ = c == ' ' || c == '\t' ? on : State::kLineStart;
      return 0;
    }
    case State::kBody:
      break;
  }
  out.append(bytes);
  return bytes.size();
}

// Sendmail takes `X-LMTPQ-Tag :` for a field of that name. What has the name, and behind it neither
// a colon nor a blank, is another field.
std::size_t TagFilter::name(char c, std::string& out) {
  if (held_.size() < kTagName.size() && ascii_lower(c) == ascii_lower(kTagName[held_.size()])) {
    held_ += c;
    return 1;
  }
  if (held_.size() == kTagName.size() &&
      std::string_view(": \t\r").find(c) != std::string_view::npos) {
    held_.clear();
    begin_tag();
    return 0;
  }
  out += held_;
  held_.clear();
  state_ = State::kOther;
  return 0;
}

void TagFilter::begin_tag() {
  ++found_;
  if (tags_.size() < kMaxTags) {
    tags_.emplace_back();
  }
  state_ = State::kTag;
}

void TagFilter::keep(std::string_view value) {
  if (found_ > kMaxTags) {
    return;
  }
  std::string& tag = tags_.back();
  tag.append(value.substr(0, kMaxTagLength + 1 - std::min(tag.size(), kMaxTagLength + 1)));
}

}  // namespace lmtpq
