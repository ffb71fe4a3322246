// The peers that play the stores of a dialogue: a script's connections, or the bad store.
//
// The interface between the players, which carry bytes, and what answers. One object for each
// playing of a dialogue; it outlives its peers. Stage::fail() when lmtpq connects more often than
// it should.
#pragma once

#include <memory>

#include "tests/dialogues/peer.h"

namespace dialogues {

class Cast {
 public:
  virtual ~Cast() = default;
  virtual std::size_t destinations() const = 0;
  // Are connections to it accepted now?
  virtual bool listens(std::size_t destination) const = 0;
  // The next connection to it.
  virtual std::unique_ptr<Peer> accept(std::size_t destination, Stage& stage) = 0;
  // Checks that all connections came that must come.
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

// The result of a playing, for the verdict.
struct Played {
  std::string failure;  // empty: every peer received what it should
  int exit = 0;
  std::string log;
  std::string out;
  std::string err;
  std::vector<std::string> heard;  // lines that the MTA received
};

// Empty: exit status, log and output are as the script says. Otherwise the reason.
std::string verdict(const Script& script, const Played& played, bool has_output);

}  // namespace dialogues
