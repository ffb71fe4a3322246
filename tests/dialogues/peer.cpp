#include "tests/dialogues/peer.h"

#include <algorithm>
#include <utility>

#include "tests/dialogues/pattern.h"

namespace dialogues {

using Kind = Step::Kind;

std::string Peer::take_outbox() {
  constexpr std::size_t kPiece = 64 * 1024;
  std::string bytes = outbox_.substr(0, dribbles_ ? 1 : kPiece);
  outbox_.erase(0, bytes.size());
  return bytes;
}

bool Peer::take_line(std::string& line) {
  const std::size_t end = inbox_.find('\n', read_);
  if (end == std::string::npos) {
    return false;
  }
  line.assign(inbox_, read_, end - read_);
  read_ = end + 1;
  if (read_ > (1u << 20)) {
    inbox_.erase(0, read_);
    read_ = 0;
  }
  if (line.empty() || line.back() != '\r' || line.find('\r') + 1 != line.size()) {
    stage_.fail(name_ + " got a bare CR or LF: " + shown(line));
  } else {
    line.pop_back();
  }
  return true;
}

bool ScriptedPeer::advance() {
  bool any = false;
  while (next_ < steps_.size() && !stage_.failed() && play(steps_[next_])) {
    ++next_;
    any = true;
  }
  return any;
}

bool ScriptedPeer::play(const Step& step) {
  switch (step.kind) {
    case Kind::kSend:
      // Sendmail may write to a mailer that has closed its end; a store must not.
      if (ended_ && name_ != "mta") {
        fail(step, "lmtpq has gone already");
      }
      outbox_ += step.text;
      return true;
    case Kind::kExpect:
    case Kind::kExpectReply:
      return expect(step);
    case Kind::kExpectMessage:
      return expect_message(step);
    case Kind::kClose:
      ending_ = Ending::kClosed;
      return true;
    case Kind::kHalfClose:
      ending_ = Ending::kHalfClosed;
      return true;
    case Kind::kAbort:
      ending_ = Ending::kAborted;
      return true;
    case Kind::kStall:
      return false;
    case Kind::kDeaf:
      deaf_ = true;
      return true;
    case Kind::kDribble:
      dribbles_ = true;
      return true;
    case Kind::kMark:
      stage_.mark(step.text);
      return true;
    case Kind::kAwait:
      return stage_.marked(step.text);
    case Kind::kSeeEnd:
      return ended_;
    case Kind::kReceiveNothing:
      if (!unread().empty()) {
        fail(step, "received \"" + shown(unread()) + "\"");
      }
      return true;
    case Kind::kWait:
      return rested(step);
    case Kind::kTerminate:
      stage_.ask_to_terminate();
      return true;
  }
  return false;
}

bool ScriptedPeer::rested(const Step& step) {
  const auto now = std::chrono::steady_clock::now();
  awake_ = awake_.value_or(now + std::chrono::milliseconds(step.size));
  const bool over = ended_ || (outbox_.empty() && now >= *awake_);
  if (over) {
    awake_.reset();
  }
  return over;
}

bool ScriptedPeer::expect(const Step& step) {
  std::string line;
  if (!take_line(line)) {
    if (ended_) {
      fail(step, "expected \"" + step.text + "\", lmtpq closed");
    }
    return false;
  }
  heard_.push_back(line);
  if (step.kind == Kind::kExpectReply) {
    if (!line.starts_with(step.text)) {
      fail(step, "expected a reply " + step.text + ", got \"" + shown(line) + "\"");
      return false;
    }
    return line.substr(3, 1) == " " || expect(step);
  }
  if (!matches(step.text, line)) {
    fail(step, "expected \"" + step.text + "\", got \"" + shown(line) + "\"");
  }
  if (name_ == "mta") {
    check_reply(line);
  }
  return true;
}

// Replies that Sendmail accepts (usersmtp.c): short, printable, never 421 after the greeting, and
// with an enhanced code of the reply's class.
void ScriptedPeer::check_reply(const std::string& line) {
  const bool printable =
      std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
  const bool enhanced = line.size() > 5 && line[4] == line[0] && line[5] == '.';
  const std::string before = heard_.size() < 2 ? "" : heard_[heard_.size() - 2];
  const bool exempt = line.starts_with("220 ") || line.starts_with("354 ") ||
                      line.starts_with("250-") || before.starts_with("250-");  // the reply to LHLO
  const bool last_word = line.starts_with("421 ") && !before.empty();
  if (line.size() > 510 || !printable || last_word || !(enhanced || exempt)) {
    stage_.fail("not a reply for Sendmail: " + shown(line));
  }
}

bool ScriptedPeer::expect_message(const Step& step) {
  constexpr std::size_t kLongestLine = 8000;
  std::string line;
  while (take_line(line) && !stage_.failed()) {
    if (line == ".") {
      if (step.size > 0 && message_ != standard_message(step.text, step.size)) {
        fail(step, "another message came, of " + std::to_string(message_.size()) + " bytes");
      }
      message_.clear();
      return true;
    }
    if (line.size() > kLongestLine + (line[0] == '.' ? 1 : 0)) {
      fail(step, "a line of " + std::to_string(line.size()) + " bytes");
    }
    message_.append(line, line.starts_with('.') ? 1 : 0, std::string::npos);
    message_ += "\r\n";
  }
  if (ended_) {
    fail(step, "lmtpq closed before the dot");
  }
  return false;
}

void ScriptedPeer::fail(const Step& step, const std::string& why) {
  stage_.fail("line " + std::to_string(step.line) + ": " + name_ + ": " + why);
}

Peer::Waiting ScriptedPeer::waiting() const {
  if (next_ == steps_.size()) {
    return Waiting::kNot;
  }
  switch (steps_[next_].kind) {
    case Kind::kStall:
      return Waiting::kForEver;
    case Kind::kAwait:
      return Waiting::kForMark;
    case Kind::kWait:
      return Waiting::kForClock;
    default:
      return Waiting::kForLmtpq;
  }
}

// QUIT may come or not: either side may close first.
void ScriptedPeer::finish() {
  const Waiting state = waiting();
  if (state != Waiting::kNot && state != Waiting::kForEver) {
    fail(steps_[next_], "lmtpq ended before this was played");
  }
  if (unread().find("\r\n.\r\n") != std::string::npos) {
    stage_.fail(name_ + ": a dot came that the script does not expect");
  }
  const bool gone = ending_ == Ending::kClosed || ending_ == Ending::kAborted || deaf_;
  if (!gone && !unread().empty() && unread() != "QUIT\r\n") {
    stage_.fail(name_ + ": lmtpq said more than the script expects: " + shown(unread()));
  }
}

}  // namespace dialogues
