#include "mailer/message/message_input.h"

#include <algorithm>
#include <iterator>

#include "mailer/message/relief.h"

namespace lmtpq::mailer {
namespace {

constexpr std::string_view kMboxLines[] = {"From ", ">From "};

}  // namespace

void MessageInput::append(std::string_view bytes) {
  while (top_ != Top::kPast && !bytes.empty()) {
    bytes.remove_prefix(take_top(bytes.front()) ? 1 : 0);
  }
  pass(bytes);
}

void MessageInput::finish() {
  pass(held_);
  made_.clear();
  canonical_.finish(made_);
  data_.append(made_);
  data_.finish(canonical_.report());
}

// False: `c` is past the top.
bool MessageInput::take_top(char c) {
  if (top_ == Top::kBegin) {
    held_ += c;
    const auto begins = [this](std::string_view line) { return line.starts_with(held_); };
    if (std::find(std::begin(kMboxLines), std::end(kMboxLines), held_) != std::end(kMboxLines)) {
      top_ = Top::kMboxLine;
      held_.clear();
    } else if (std::none_of(std::begin(kMboxLines), std::end(kMboxLines), begins)) {
      top_ = Top::kPast;
      pass(held_);
      held_.clear();
    }
    return true;
  }
  // A lone CR ends it too: otherwise it would be all of a message that has no LF.
  if (top_ == Top::kReturn && c != '\r' && c != '\n') {
    top_ = Top::kPast;
    return false;
  }
  top_ = c == '\n' ? Top::kPast : c == '\r' ? Top::kReturn : Top::kMboxLine;
  return true;
}

void MessageInput::pass(std::string_view bytes) {
  if (body_type_ != BodyType::k8BitMime && eight_bit(bytes)) {
    body_type_ = BodyType::k8BitMime;
  }
  while (!bytes.empty()) {
    made_.clear();
    bytes.remove_prefix(canonical_.feed(bytes, made_));
    data_.append(made_);
  }
}

}  // namespace lmtpq::mailer
