// A store that behaves well up to one point of the dialogue and has one fault there.
//
// A trial is one combination of point, fault, pipelining, and fresh or reused connection.
// Its MTA sends one message for two recipients (on a reused connection: two messages). The first
// connection to the first destination has the fault; all others behave well. judge() checks what
// must hold whatever the store does; it returns the reason, or the player calls Stage::fail().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/dialogues/cast.h"

namespace dialogues {

enum class Point {  // in place of the reply to (kBody: after it)
  kGreeting,
  kLhlo,
  kRset,
  kTrace,
  kMail,
  kRcpt1,
  kRcpt2,
  kData,
  kBody,  // 354 was sent, nothing was read yet
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

enum class Fault {
  kClose,
  kAbort,
  kStall,
  k421,
  k503,
  k554,
  kGarbage,
  kHugeLine,
  kNuls,
  kExtra,  // a 250 before the right reply
  kLie,
};
inline constexpr const char* kFaultNames[] = {
    "a close", "a reset", "a stall",        "421",  "503",
    "554",     "garbage", "a line of 1 MB", "NULs", "one reply too many",
    "a lie"};

struct Trial {
  Point point;
  Fault fault;
  bool pipelining;
  bool reused;
  std::string name() const;
  Script script() const;  // of the MTA
};

// Without kLie, which sends 250 and keeps nothing: judge() must notice that.
std::vector<Trial> all_trials();

// What the stores did for a recipient.
struct Fortune {
  int kept = 0;          // transactions that reached end of data without a refusal of it
  bool told = false;     // a whole 250 was sent
  bool refused = false;  // a 5xx about it was sent
};
using Ledger = std::map<std::string, Fortune>;

class BadCast : public Cast {
 public:
  explicit BadCast(const Trial& trial) : trial_(trial) {}
  std::size_t destinations() const override { return 2; }
  bool listens(std::size_t) const override { return true; }
  std::unique_ptr<Peer> accept(std::size_t destination, Stage& stage) override;
  void finish(Stage&) const override {}
  // Empty: everything holds.
  std::string judge(const Played& played) const;

 private:
  const Trial trial_;
  Ledger ledger_;
  bool faulty_gone_ = false;
};

}  // namespace dialogues
