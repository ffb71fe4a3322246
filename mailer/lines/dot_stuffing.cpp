#include "mailer/lines/dot_stuffing.h"

#include <algorithm>

namespace lmtpq::mailer {

// Most of a message are clean lines: they are copied in one piece.
std::size_t DataDecoder::clean_lines(std::string_view input, std::string& out) {
  if (without_nul_ == 0) {
    without_nul_ = std::min(input.find('\0'), input.size());
  }
  input = input.substr(0, without_nul_);
  std::size_t end = 0;
  for (std::size_t line = 1; line > 0 && end < input.size() && input[end] != '.'; end += line) {
    line = canonical_.clean_line(input.substr(end));
  }
  out.append(input.substr(0, end));
  return end;
}

std::size_t DataDecoder::text(std::string_view input, std::string& out) {
  return canonical_.feed(input.substr(0, input.find('\r')), out);
}

bool DataDecoder::decode(std::string_view& input, std::string& out) {
  without_nul_ = 0;
  out.reserve(out.size() + input.size());
  while (!input.empty()) {
    const char c = input.front();
    std::size_t taken = 1;
    switch (state_) {
      case State::kLineStart:
        taken = clean_lines(input, out);
        if (taken == 0) {
          state_ = c == '.' ? State::kDot : State::kText;
          taken = c == '.' ? 1 : 0;
        }
        break;
      case State::kText:
        if (c == '\r') {
          state_ = State::kReturn;
        } else {
          taken = text(input, out);
          if (taken == 0) {
            return false;
          }
        }
        break;
      case State::kReturn:
        canonical_.feed("\r", out);
        state_ = c == '\r' ? State::kReturn : c == '\n' ? State::kLineStart : State::kText;
        if (c == '\n') {
          canonical_.feed("\n", out);
        } else if (c != '\r') {
          taken = 0;
        }
        break;
      case State::kDot:
        state_ = c == '\r' ? State::kDotReturn : State::kText;
        taken = c == '\r' ? 1 : 0;
        break;
      case State::kDotReturn:
        if (c == '\n') {
          input.remove_prefix(1);
          canonical_.finish(out);
          return true;
        }
        // Not the end: the dot was a stuffed one, the CR is text.
        state_ = State::kReturn;
        taken = 0;
        break;
    }
    input.remove_prefix(taken);
    without_nul_ -= std::min(taken, without_nul_);
  }
  return false;
}

void DataEncoder::encode(std::string_view message, std::string& out) {
  while (!message.empty()) {
    if (line_start_ && message.front() == '.') {
      out.push_back('.');
    }
    const std::size_t end = message.find("\n.");
    if (end == std::string_view::npos) {
      line_start_ = message.back() == '\n';
      out.append(message);
      return;
    }
    out.append(message.substr(0, end + 1));
    message.remove_prefix(end + 1);
    line_start_ = true;
  }
}

}  // namespace lmtpq::mailer
