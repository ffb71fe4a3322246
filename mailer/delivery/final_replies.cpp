#include "mailer/delivery/final_replies.h"

#include <utility>

namespace lmtpq::mailer {

void FinalReplies::decide(std::size_t recipient, std::string line) {
  if (decided(recipient)) {
    return;
  }
  lines_[recipient] = std::move(line);
  for (; released_ < lines_.size() && decided(released_); ++released_) {
    due_ += lines_[released_];
  }
}

void FinalReplies::written(std::size_t bytes) {
  due_.erase(0, bytes);
  begun_ += bytes;
  for (; complete_ < released_ && begun_ >= lines_[complete_].size(); ++complete_) {
    begun_ -= lines_[complete_].size();
  }
}

}  // namespace lmtpq::mailer
