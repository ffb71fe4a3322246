// A Channel whose peer does what the lines of a Script say.
//
// What lmtpq writes is taken at once, unless the line at hand says otherwise; a peer with nothing
// to say waits until the last line, after which every wait ends with `at_end`. Deadlines pass when
// the script says so, not by the clock.
//
//   s TEXT  sends the text and CRLF     l TEXT  and LF     b TEXT  the text alone
//   x N T   sends T, N times            a TEXT  as s, and the next line's bytes with it
//   e       the next line comes before lmtpq may write
//   w N     takes N bytes at the next write (none: the wait ends)
//   t       a time limit passes         n       a wait ends without a byte
//   c       ends its side               f       the connection fails
//   g       is gone: the connection fails
//   k       is gone: it closes, and the next write fails
//   u       does not acknowledge what it takes from now on
#pragma once

#include <string>
#include <string_view>

#include "mailer/io/channel.h"
#include "tests/fuzz/script.h"

namespace lmtpq::fuzz {

using mailer::Deadline;
using mailer::IoStatus;
using mailer::Presence;

// What passed between lmtpq and its peer. Outlives the channel.
struct Traffic {
  std::string sent;        // by the peer, and read
  std::string taken;       // by the peer
  bool cut_short = false;  // a time limit passed, or the connection failed
  bool gone = false;
  bool ended = false;  // its side
  bool acknowledges = true;
  std::size_t largest = 0;  // of all pieces that lmtpq had to write
};

class ScriptedPeer : public mailer::Channel {
 public:
  static constexpr std::size_t kMaxPiece = 64 * 1024;

  // It sends `most` bytes at most.
  ScriptedPeer(Script& script, Traffic& traffic, IoStatus at_end, std::size_t most = 128 * 1024)
      : script_(script), traffic_(traffic), at_end_(at_end), most_(most) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    traffic_.largest = std::max(traffic_.largest, out.size());
    if (failed_) {
      return failing();
    }
    if (traffic_.ended) {
      return after_end(out);
    }
    const std::size_t had = in.size();
    bool early = false;
    while (!script_.over()) {
      const char letter = script_.letter();
      if (!out.empty() && !early &&
          std::string_view("wetcfngk").find(letter) == std::string::npos) {
        return take(out, out.size());
      }
      if (in.size() > had && std::string_view("aslbxe").find(letter) == std::string::npos) {
        break;
      }
      std::string_view text = script_.take();
      switch (letter) {
        case 's':
          return say(in, std::string(text) + "\r\n");
        case 'l':
          return say(in, std::string(text) + "\n");
        case 'b':
          return say(in, std::string(text));
        case 'x':
          return say(in, repeated(text));
        case 'a':
          say(in, std::string(text) + "\r\n");
          early = true;
          break;
        case 'e':
          early = true;
          break;
        case 'w':
          if (!out.empty()) {
            return take(out, take_number(text, 1));
          }
          break;
        case 't':
          return time_out();
        case 'n':
          return IoStatus::kProgress;
        case 'c':
        case 'k':
          traffic_.ended = true;
          traffic_.gone = letter == 'k';
          return closed();
        case 'f':
        case 'g':
          failed_ = true;
          traffic_.gone = letter == 'g';
          return failing();
        case 'u':
          traffic_.acknowledges = false;
          break;
        default:
          pass(letter);
      }
    }
    if (in.size() > had) {
      return IoStatus::kProgress;
    }
    if (!out.empty()) {
      return take(out, out.size());
    }
    traffic_.ended = at_end_ == IoStatus::kClosed;
    return traffic_.ended ? closed() : time_out();
  }

  bool quiet() override {
    return !failed_ && !traffic_.ended &&
           std::string_view("ecfgk").find(script_.letter()) == std::string::npos;
  }
  Presence presence() const override {
    return traffic_.gone    ? Presence::kGone
           : traffic_.ended ? Presence::kFinished
                            : Presence::kThere;
  }
  void write_now(std::string_view& out) noexcept override {
    if (!failed_ && !traffic_.gone) {
      std::string_view text;
      const std::size_t most =
          script_.letter() == 'w' ? take_number(text = script_.take(), 1) : out.size();
      take(out, most);
    }
  }
  bool took_all(Deadline) const override { return traffic_.acknowledges && !traffic_.gone; }
  bool may_have_read() const override { return took_all({}); }
  bool await_reader(Deadline) const override { return took_all({}); }
  const std::string& failure() const override { return failure_; }

 protected:
  // A line that only a target knows.
  virtual void pass(char /*letter*/) {}

 private:
  IoStatus say(std::string& in, std::string_view bytes) {
    bytes = bytes.substr(0, most_ - traffic_.sent.size());
    in += bytes;
    traffic_.sent += bytes;
    return IoStatus::kProgress;
  }

  static std::string repeated(std::string_view text) {
    std::string all;
    for (std::size_t count = take_number(text, 1);
         count > 0 && all.size() + text.size() <= kMaxPiece && !text.empty(); --count) {
      all += text;
    }
    return all;
  }

  IoStatus take(std::string_view& out, std::size_t most) {
    const std::string_view taken = out.substr(0, most);
    out.remove_prefix(taken.size());
    traffic_.taken += taken;
    return taken.empty() ? time_out() : IoStatus::kProgress;
  }

  IoStatus after_end(std::string_view& out) {
    if (out.empty()) {
      return closed();
    }
    return traffic_.gone ? failing() : take(out, out.size());
  }

  IoStatus time_out() {
    traffic_.cut_short = true;
    return IoStatus::kTimeout;
  }
  IoStatus closed() {
    failure_ = "the peer closed the connection";
    return IoStatus::kClosed;
  }
  IoStatus failing() {
    traffic_.cut_short = true;
    failure_ = "read: Connection reset by peer";
    return IoStatus::kFailed;
  }

  Script& script_;
  Traffic& traffic_;
  const IoStatus at_end_;
  const std::size_t most_;
  bool failed_ = false;
  std::string failure_;
};

}  // namespace lmtpq::fuzz
