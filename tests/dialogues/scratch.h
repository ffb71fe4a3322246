// The scratch folder of one playing, with the script's files, and the arguments for lmtpq.
//
// The folder is removed at the end. std::runtime_error where it cannot be made.
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
