// Who plays the stores of a dialogue.
//
// What it is: the seam between the players, which carry bytes, and who answers: a script's
//   connections, or the bad store with its fault.
// What it does not know: sockets, memory.
// Called by: both players; made by main and by bad_store.
// Threads and lifetimes: one playing of one dialogue; peers must not outlive it.
// Failure: Stage::fail() when lmtpq connects more often than it should.
#pragma once

#include <memory>

#include "tests/dialogues/peer.h"

namespace dialogues {

class Cast {
 public:
  virtual ~Cast() = default;
  virtual std::size_t destinations() const = 0;
  // Does anybody listen there now?
  virtual bool listens(std::size_t destination) const = 0;
  // The next connection to it.
  virtual std::unique_ptr<Peer> accept(std::size_t destination, Stage& stage) = 0;
  // All connections that must come have come.
  virtual void finish(Stage& stage) const = 0;
};

class ScriptedCast : public Cast {
 public:
  explicit ScriptedCast(const Script& script)
      : script_(script), accepted_(script.stores.size(), 0) {}
  std::size_t destinations() const override { return accepted_.size(); }
  bool listens(std::size_t destination) const override;
  std::unique_ptr<Peer> accept(std::size_t destination, Stage& stage) override;
  void finish(Stage& stage) const override;

 private:
  const Script& script_;
  std::vector<std::size_t> accepted_;
};

// What a playing showed, for the verdict.
struct Played {
  std::string failure;  // empty: every peer heard what it should
  int exit = 0;
  std::string log;
  std::string out;
  std::string err;
  std::vector<std::string> heard;  // lines that the MTA got
};

// Empty when the exit status, the log and the output are as the script says, else the reason.
std::string verdict(const Script& script, const Played& played, bool has_output);

}  // namespace dialogues
