// One party of a dialogue, as lmtpq sees it: the MTA, standard input, or one connection to a store.
//
// A Peer has an inbox (bytes that lmtpq sent) and an outbox (bytes for lmtpq). ScriptedPeer plays a
// script's steps between the two; BadStore has another Peer. Stage is what the peers of a dialogue
// share; it outlives them. The first Stage::fail() is the verdict.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "tests/dialogues/script.h"

namespace dialogues {

class Stage {
 public:
  void fail(const std::string& why) { failure_ = failure_.empty() ? why : failure_; }
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  // The others see a mark after show_marks(): when what its peer did before has been carried. True:
  // there are new ones.
  void mark(const std::string& name) { new_marks_.insert(name); }
  bool show_marks() {
    const bool any = !new_marks_.empty();
    marks_.merge(new_marks_);
    new_marks_.clear();
    return any;
  }
  bool marked(const std::string& name) const { return marks_.count(name) > 0; }
  void ask_to_terminate() { terminate_ = true; }
  // True once for each SIGTERM that the script sends.
  bool take_termination() { return std::exchange(terminate_, false); }

 private:
  std::string failure_;
  std::set<std::string> marks_;
  std::set<std::string> new_marks_;
  bool terminate_ = false;
};

class Peer {
 public:
  enum class Ending { kOpen, kHalfClosed, kClosed, kAborted };
  enum class Waiting {
    kForLmtpq,  // to send something
    kForMark,   // another peer has to reach a mark
    kForClock,  // in `waits`
    kForEver,   // stalled
    kNot,       // it has played all its steps
  };

  Peer(std::string name, Stage& stage) : name_(std::move(name)), stage_(stage) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;

  void receive(std::string_view bytes) { inbox_ += bytes; }
  void receive_end() { ended_ = true; }  // lmtpq has closed
  // Plays as far as it can. True: it did something.
  virtual bool advance() = 0;
  // At the end of the dialogue: fails the stage unless all steps were played, and nothing is left.
  virtual void finish() = 0;
  virtual Waiting waiting() const = 0;

  // The next bytes for lmtpq, as many as a pipe holds; one byte if the peer dribbles.
  std::string take_outbox();
  bool has_outbox() const { return !outbox_.empty(); }
  // How it ends, once the outbox is empty.
  Ending ending() const { return outbox_.empty() ? ending_ : Ending::kOpen; }
  bool deaf() const { return deaf_; }
  bool dribbles() const { return dribbles_; }
  bool ended() const { return ended_; }
  const std::string& name() const { return name_; }

 protected:
  // True: a whole line was there. A line without CRLF at its end, or with a CR in it, fails the
  // dialogue, since lmtpq must never send one.
  bool take_line(std::string& line);
  std::string_view unread() const { return std::string_view(inbox_).substr(read_); }

  std::string name_;
  Stage& stage_;
  std::string outbox_;
  Ending ending_ = Ending::kOpen;
  bool deaf_ = false;
  bool dribbles_ = false;
  bool ended_ = false;

 private:
  std::string inbox_;
  std::size_t read_ = 0;
};

class ScriptedPeer : public Peer {
 public:
  ScriptedPeer(std::string name, Stage& stage, const Steps& steps)
      : Peer(std::move(name), stage), steps_(steps) {}

  bool advance() override;
  void finish() override;
  Waiting waiting() const override;
  const std::vector<std::string>& heard() const { return heard_; }

 private:
  bool play(const Step& step);  // true: done, go on with the next
  bool expect(const Step& step);
  bool rested(const Step& step);
  bool expect_message(const Step& step);
  void check_reply(const std::string& line);
  void fail(const Step& step, const std::string& why);

  const Steps& steps_;
  std::size_t next_ = 0;
  std::string message_;
  std::optional<std::chrono::steady_clock::time_point> awake_;  // when `waits` is over
  std::vector<std::string> heard_;                              // lines, as they came
};

// Writes the standard input of `lmtpq deliver`; its output is checked afterwards.
class StdinPeer : public ScriptedPeer {
 public:
  using ScriptedPeer::ScriptedPeer;
  void finish() override {}
  std::string printed() const { return std::string(unread()); }
};

}  // namespace dialogues
