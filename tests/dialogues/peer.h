// One party of a dialogue, as lmtpq sees it: the MTA, standard input, or one connection to a store.
//
// What it is: Peer, an inbox of what lmtpq sent and an outbox of what it is to be told; and
//   ScriptedPeer, which plays a script's steps between the two. Stage is what peers share.
// What it does not know: how bytes travel (memory, pipe, socket).
// Called by: both players; bad_store has another Peer.
// Threads and lifetimes: one dialogue, one thread; the stage and the steps outlive the peers.
// Failure: Stage::fail(); the first one is the verdict, after it nothing is worth playing.
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
  void mark(const std::string& name) { marks_.insert(name); }
  bool marked(const std::string& name) const { return marks_.count(name) > 0; }
  void ask_to_terminate() { terminate_ = true; }
  // True once for each SIGTERM that is to be sent.
  bool take_termination() { return std::exchange(terminate_, false); }

 private:
  std::string failure_;
  std::set<std::string> marks_;
  bool terminate_ = false;
};

// Of `BDAT size` or `BDAT size LAST`; nothing if the line is another.
std::optional<std::size_t> size_of_chunk(const std::string& line, bool last);

class Peer {
 public:
  enum class Ending { kOpen, kHalfClosed, kClosed, kAborted };
  enum class Waiting {
    kForLmtpq,  // to say something
    kForMark,   // another peer's turn
    kForClock,  // in `waits`
    kForEver,   // stalled
    kNot,       // it has said all it had to say
  };

  Peer(std::string name, Stage& stage) : name_(std::move(name)), stage_(stage) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;

  void receive(std::string_view bytes) { inbox_ += bytes; }
  void receive_end() { ended_ = true; }  // lmtpq has closed
  // Plays as far as it can; true when anything was done.
  virtual bool advance() = 0;
  // The dialogue is over: was all of it played, and no more?
  virtual void finish() = 0;
  virtual Waiting waiting() const = 0;

  // The next bytes for lmtpq, as many as a pipe holds; one at a time when it dribbles.
  std::string take_outbox();
  bool has_outbox() const { return !outbox_.empty(); }
  // The ending counts once the outbox is empty.
  Ending ending() const { return outbox_.empty() ? ending_ : Ending::kOpen; }
  bool deaf() const { return deaf_; }
  bool dribbles() const { return dribbles_; }
  bool ended() const { return ended_; }
  const std::string& name() const { return name_; }

 protected:
  // True when a whole line was there. A line that ends otherwise than in CRLF, or has a CR within,
  // fails the dialogue: lmtpq sends neither to anybody.
  bool take_line(std::string& line);
  // True when so many bytes were there.
  bool take_bytes(std::size_t count, std::string& bytes);
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
  bool expect_chunk(const Step& step);
  void check_reply(const std::string& line);
  void fail(const Step& step, const std::string& why);

  const Steps& steps_;
  std::size_t next_ = 0;
  std::string message_;
  std::optional<std::size_t> chunk_;                            // the size of the one that comes
  std::optional<std::chrono::steady_clock::time_point> awake_;  // when `waits` is over
  std::vector<std::string> heard_;                              // lines, as they came
};

// Whoever feeds `lmtpq deliver` its standard input; what it prints is looked at afterwards.
class StdinPeer : public ScriptedPeer {
 public:
  using ScriptedPeer::ScriptedPeer;
  void finish() override {}
  std::string printed() const { return std::string(unread()); }
};

}  // namespace dialogues
