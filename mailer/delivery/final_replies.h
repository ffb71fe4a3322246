// One message's final replies on their way to the client: in the order of RCPT, and each as soon as
// it and all before it are decided.
//
// Recipients may be decided in any order. A reply of which a part was written is continued there.
// Not for several threads at once; SessionClient has the lock.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

class FinalReplies {
 public:
  explicit FinalReplies(std::size_t recipients) : lines_(recipients) {}

  // `line` is a whole reply, made by reply_line(). Only the first one for a recipient counts.
  void decide(std::size_t recipient, std::string line);
  bool decided(std::size_t recipient) const { return !lines_[recipient].empty(); }
  // What may be written now; the caller reports how much of it was written.
  std::string_view due() const { return due_; }
  void written(std::size_t bytes);
  // How many replies were written to their last byte: those of the first recipients.
  std::size_t complete() const { return complete_; }

 private:
  std::vector<std::string> lines_;  // by recipient; empty: not decided
  std::string due_;
  std::size_t released_ = 0;  // how many are or were in due_
  std::size_t complete_ = 0;
  std::size_t begun_ = 0;  // bytes of the first incomplete reply that were written
};

}  // namespace lmtpq::mailer
