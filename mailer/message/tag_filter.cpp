#include "mailer/message/tag_filter.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/tag/tag_format.h"

namespace lmtpq::mailer {

std::size_t TagFilter::feed(std::string_view bytes, std::string& out) {
  std::size_t taken = 0;
  while (taken < bytes.size() && in_header()) {
    taken += step(bytes.substr(taken), out);
  }
  return taken;
}

void TagFilter::finish(std::string& out) {
  out += held_;
  held_.clear();
  state_ = State::kBody;
}

// Returns how many bytes it consumed; 0 if only the state changed.
std::size_t TagFilter::step(std::string_view bytes, std::string& out) {
  const char c = bytes.front();
  switch (state_) {
    case State::kLineStart:
      state_ = c == '\r' ? State::kBody : State::kName;
      return 0;
    case State::kName:
      return name(c, out);
    case State::kOther:
    case State::kTag:
    case State::kValue:
      return within_line(bytes, out);
    case State::kTagEnd:
    case State::kValueEnd: {
      const State continued = state_ == State::kTagEnd ? State::kTag : State::kValue;
      state_ = c == ' ' || c == '\t' ? continued : State::kLineStart;
      return 0;
    }
    case State::kBody:
      break;
  }
  return 0;
}

// Consumes the line up to its end, or as much of it as there is.
std::size_t TagFilter::within_line(std::string_view bytes, std::string& out) {
  const std::size_t newline = bytes.find('\n');
  const bool whole = newline != std::string_view::npos;
  const std::string_view line = whole ? bytes.substr(0, newline + 1) : bytes;
  if (state_ == State::kOther) {
    out.append(line);
    state_ = whole ? State::kLineStart : State::kOther;
    return line.size();
  }
  const std::size_t colon = state_ == State::kTag ? line.find(':') : std::string_view::npos;
  if (colon != std::string_view::npos) {
    state_ = State::kValue;
    return colon + 1;
  }
  if (state_ == State::kValue) {
    keep(line);
  }
  if (whole) {
    state_ = state_ == State::kTag ? State::kTagEnd : State::kValueEnd;
  }
  return line.size();
}

// Sendmail accepts `X-LMTPQ-Tag :` as a field of that name. A longer name is another field.
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

}  // namespace lmtpq::mailer
