// What one playing of a dialogue needs of the machine: a folder of its own, and its arguments.
//
// What it is: the folder with the script's files in it, removed afterwards; the options that every
//   playing gives lmtpq, with the script's own behind them.
// What it does not know: how the dialogue is played.
// Called by: both players.
// Threads and lifetimes: one playing.
// Failure: std::runtime_error when the folder cannot be made.
#pragma once

#include <string>
#include <vector>

#include "tests/dialogues/script.h"

namespace dialogues {

class Scratch {
 public:
  explicit Scratch(const Script& script);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const { return path_; }
  std::string log_file() const { return path_ + "/log"; }
  static std::string read(const std::string& file);

 private:
  std::string path_;
};

// Options for lmtpq: a fixed name, the folder's log, no file of this machine; then the script's.
std::vector<std::string> options_of(const Script& script, const std::string& scratch);

}  // namespace dialogues
