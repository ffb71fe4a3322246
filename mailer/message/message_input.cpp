#include "mailer/message/message_input.h"

#include "mailer/message/relief.h"

namespace lmtpq::mailer {
namespace {

bool may_be_mbox_line(std::string_view text) {
  for (const std::string_view begin : {"From ", ">From "}) {
    if (text.starts_with(begin) || begin.starts_with(text)) {
      return true;
    }
  }
  return false;
}

}  // namespace

void MessageInput::append(std::string_view bytes) {
  for (; at_top_ && !bytes.empty(); bytes.remove_prefix(1)) {
    take_top(bytes.front());
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

BodyType MessageInput::body_type() const {
  return EightBitParts(data_.body()).anywhere() ? BodyType::k8BitMime : BodyType::kUnstated;
}

void MessageInput::take_top(char c) {
  if (c == '\0' && rules_.strip_nuls) {
    pass({&c, 1});  // only counted
    return;
  }
  held_ += c;
  const bool possible = may_be_mbox_line(held_) && held_.size() <= rules_.line_limit;
  if (possible && c != '\n') {
    return;
  }
  at_top_ = false;
  if (!possible) {
    pass(held_);
  }
  held_.clear();
}

void MessageInput::pass(std::string_view bytes) {
  while (!bytes.empty()) {
    made_.clear();
    bytes.remove_prefix(canonical_.feed(bytes, made_));
    data_.append(made_);
  }
}

}  // namespace lmtpq::mailer
