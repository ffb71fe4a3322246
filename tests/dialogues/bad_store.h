// A store that answers well up to one point, and there does one bad thing.
//
// What it is: the matrix of points, faults, pipelining, chunking and fresh or reused connection;
// the store
//   that plays a trial; what must hold whatever it does.
// What it does not know: how bytes travel.
// Called by: main.
// Threads and lifetimes: a trial is a value; a BadCast belongs to one playing.
// Failure: a reason in words from judge(), or Stage::fail().
//
// The trial's MTA sends one message for two recipients (over a connection that was used before:
// two messages). The first connection to the first destination has the fault; all others are good.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/dialogues/cast.h"

namespace dialogues {

enum class Point {  // instead of, or for kBody behind, the answer to
  kGreeting,
  kLhlo,
  kRset,
  kTrace,
  kMail,
  kRcpt1,
  kRcpt2,
  kData,
  kBody,  // the 354 was said, nothing was read yet
  kFinal1,
  kFinal2,
};
inline constexpr const char* kPointNames[] = {"greeting",
                                              "LHLO",
                                              "RSET",
                                              "TRACE",
                                              "MAIL",
                                              "first RCPT",
                                              "second RCPT",
                                              "DATA",
                                              "354",
                                              "the dot, first reply",
                                              "the dot, second reply"};

enum class Fault { kClose, kAbort, kStall, k421, k554, kGarbage, kHugeLine, kNuls, kLie };
inline constexpr const char* kFaultNames[] = {"a close", "a reset",        "a stall", "421",  "554",
                                              "garbage", "a line of 1 MB", "NULs",    "a lie"};

struct Trial {
  Point point;
  Fault fault;
  bool pipelining;
  bool chunking;
  bool reused;
  std::string name() const;
  Script script() const;  // the MTA's side
  // The message goes with its commands, before anything of them is answered.
  bool one_flight() const { return pipelining && chunking && reused; }
};

// kLie is not among them: it says 250 and files nothing, which judge() must notice.
std::vector<Trial> all_trials();

// What the stores did for a recipient.
struct Fortune {
  int kept = 0;          // transactions that ended with a dot, and no refusal for it
  bool told = false;     // a whole 250 was said
  bool refused = false;  // a 5xx was said that is about it
};
using Ledger = std::map<std::string, Fortune>;

class BadCast : public Cast {
 public:
  explicit BadCast(const Trial& trial) : trial_(trial) {}
  std::size_t destinations() const override { return 2; }
  bool listens(std::size_t) const override { return true; }
  std::unique_ptr<Peer> accept(std::size_t destination, Stage& stage) override;
  void finish(Stage&) const override {}
  // Empty: all that must hold holds.
  std::string judge(const Played& played) const;

 private:
  const Trial trial_;
  Ledger ledger_;
  bool faulty_gone_ = false;
};

}  // namespace dialogues
