// A store in memory: a Channel that answers each command line with a reply that the test wrote
// down.
//
// One reply per line, and one, of any number of lines, to the end of data. It knows no LMTP but the
// 354 after which the message comes. The Play records what was received; it outlives the channel.
// When the script is over, every wait returns at once.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

struct Play {
  static constexpr const char* kClose = "close";

  std::deque<std::string> replies;  // the greeting first; "" sends nothing, kClose closes
  std::vector<std::string> heard;   // command lines, without CRLF
  std::string message;              // as on the wire, with the final dot
};

class ScriptedChannel : public Channel {
 public:
  explicit ScriptedChannel(Play& play) : play_(play) { say_next(); }

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!unsaid_.empty()) {
      in += std::exchange(unsaid_, {});
      return IoStatus::kProgress;
    }
    if (closed_) {
      failure_ = "the peer closed the connection";
      return IoStatus::kClosed;
    }
    if (out.empty()) {
      return IoStatus::kTimeout;
    }
    unread_ += std::exchange(out, {});
    while (hear()) {
    }
    return IoStatus::kProgress;
  }

  bool quiet() override { return unsaid_.empty() && !closed_; }
  const std::string& failure() const override { return failure_; }

 private:
  void say_next() {
    if (play_.replies.empty() || closed_) {
      return;
    }
    const std::string reply = play_.replies.front();
    play_.replies.pop_front();
    closed_ = reply == Play::kClose;
    unsaid_ += closed_ ? "" : reply;
    in_message_ = reply.starts_with("354");
  }

  bool hear() {
    const std::string_view end = in_message_ ? "\r\n.\r\n" : "\r\n";
    const std::size_t at = unread_.find(end);
    if (at == std::string::npos) {
      return false;
    }
    if (in_message_) {
      play_.message = unread_.substr(0, at + end.size());
    } else {
      play_.heard.push_back(unread_.substr(0, at));
    }
    unread_.erase(0, at + end.size());
    say_next();
    return true;
  }

  Play& play_;
  std::string unread_;
  std::string unsaid_;
  std::string failure_;
  bool in_message_ = false;
  bool closed_ = false;
};

}  // namespace lmtpq::mailer
