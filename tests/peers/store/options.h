// The options of the store, and the one table from which getopt_long(3) and --help are made.
//
// Filled before the first thread, read only afterwards. Directories and addresses are not checked
// here. parse_options() throws UsageError with one line for the user.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace store {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What LHLO offers; --without switches one off, and its command or parameter with it.
struct Extensions {
  bool eight_bit_mime = true;
  bool enhanced_status_codes = true;
  bool pipelining = true;
  bool size = true;
  bool ignore_quota = true;
  bool trace = true;
};

struct Options {
  bool help = false;
  std::vector<std::string> listen;
  std::string directory;
  std::map<std::string, std::uint64_t> quotas;
  bool over_quota_is_permanent = false;
  std::uint64_t max_message_size = 0;  // 0: none
  Extensions extensions;
  bool dots_in_trace_ids = true;
  bool suppress_duplicates = true;
  std::chrono::milliseconds delay_final{0};
  std::chrono::seconds idle_timeout{360};
  bool log_commands = false;
  std::string log_file;  // empty: stderr
  std::string pid_file;
};

Options parse_options(int argc, char** argv);
std::string help_text();

}  // namespace store
