// One table of options per program, read from text in three places.
//
// What it is: the option table type, its reading (defaults, then the file, then argv; the last
//   word wins) through Boost.Program_options, and `--help` printed from the same table.
// What it does not know: any particular option, the Settings they end up in, subcommands' work.
// Called by: a program's settings.cpp, once, at start.
// Threads and lifetimes: single-threaded start-up code. The readers in the table write into a
//   Settings object that must outlive the Config.
// Failure: ConfigError, whose text is one line for the admin: the place (file and line, or the
//   option), what is wrong, what was expected.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config_error.h"

namespace lmtpq {

// One option. `read` gets the text of the value and stores it; it throws ConfigError with what was
// expected ("expected a time such as 30s, 5m or 1h"); Config puts the place in front.
struct Option {
  char letter = '\0';       // short form, '\0' for none
  std::string name;         // "connect-timeout", without dashes
  std::string argument;     // "TIME" in the help; empty: a switch, read as "yes" or "no"
  std::string fallback;     // the default, as text; goes through `read` too unless empty
  std::string implicit;     // the value of a bare `--name`; empty: a value is required
  std::string heading;      // the group in --help
  std::string help;         // one sentence, no final full stop
  bool in_file = true;      // may it stand in the configuration file?
  bool in_section = false;  // argv's name for what a free section may say
  bool foreign = false;     // another command's: the file that all share may have it, no more
  std::function<void(std::string_view)> read;
};

inline constexpr const char* kAdvancedHeading = "Advanced (few sites need these)";

// A section of the file that no table knows beforehand, such as `[rule.NAME]`: its lines as they
// stand there. `place` is what an error begins with ("FILE:LINE: ").
struct FreeSection {
  struct Line {
    std::string name;
    std::string value;
    std::string place;
  };
  std::string name;  // without brackets and the prefix
  std::string place;
  std::vector<Line> lines;
  std::string prefix = {};
};

class Config {
 public:
  // Sections whose name begins with one of `free_prefixes` ("rule.") are not looked up in the table
  // but collected.
  explicit Config(std::vector<Option> table, std::vector<std::string> free_prefixes = {});

  // Reads argv (without the program's name and subcommand). An option given twice: the last one
  // counts. `-Qalways`, `-Q=always`, `--ignore-quota=always` and a bare `-Q` are all understood,
  // `--` ends the options. Returns the operands in order. Nothing is stored yet.
  std::vector<std::string> take_arguments(const std::vector<std::string>& arguments);

  // True when argv named this option.
  bool named_in_arguments(std::string_view name) const;
  // The value argv gave for it, or the default.
  std::string argument_or_default(std::string_view name) const;

  // Reads `name = value` lines; `#` or `;` in front makes a comment. An unknown key or section is
  // an error with file and line. `must_exist` false: a missing file is no error (an unreadable
  // one is).
  void take_file(const std::string& path, bool must_exist);
  // The same for text that is at hand; `name` is what errors call it.
  void take_text(std::string_view text, const std::string& name);

  // Calls every option's reader: default, file or argv, in the table's order.
  void apply();

  // name and text of each option as applied, for one log line at start.
  using Effective = std::vector<std::pair<std::string, std::string>>;
  const Effective& effective() const { return effective_; }

  // The same for a table that a free section may fill in part: what argv says of an option counts
  // most, then the section, then the file outside of it, then the default. The table's names are
  // among those of this Config's; any other name in the section is an error with its place.
  // Returns what was applied, as effective() does.
  Effective apply_section(const FreeSection& section, const std::vector<Option>& table) const;

  // In the file's order; no two of one name and prefix.
  const std::vector<FreeSection>& free_sections() const { return free_sections_; }
  std::vector<FreeSection> free_sections(std::string_view prefix) const;

  // The options part of --help, by heading, wrapped to 80 columns.
  std::string help() const;

 private:
  struct Given {
    std::string value;
    std::string place;  // "--name" or "file:line: name"
  };
  using Givens = std::vector<std::pair<std::string, Given>>;

  static const Given* last_given(const Givens& givens, std::string_view name);
  static void keep_last(Givens& givens, const std::string& name, Given given);
  static const Option* find(const std::vector<Option>& table, std::string_view name);
  static std::string unknown(const std::vector<Option>& table, const std::string& place,
                             const std::string& dashes, std::string_view name, bool in_file);
  void take_line(std::string_view line, std::string& section, const std::string& place);
  void take_section(const std::string& section, const std::string& place);
  std::string free_prefix(std::string_view section) const;
  std::string free_forms() const;
  std::optional<Given> given(const Option& option, const Givens& section) const;
  static void read(const Option& option, const Given& given);

  std::vector<Option> table_;
  std::vector<std::string> free_prefixes_;
  std::vector<FreeSection> free_sections_;
  Givens from_file_;
  Givens from_arguments_;
  Effective effective_;
};

// Text of values. All throw ConfigError with what was expected.
std::chrono::milliseconds parse_duration(std::string_view text);  // 30 30s 5m 1h 2d 1w, 500ms
std::uint64_t parse_size(std::string_view text);  // 4096 64k 30M 2G (powers of 1024)
std::uint64_t parse_number(std::string_view text);
bool parse_switch(std::string_view text);  // yes no true false on off 1 0

}  // namespace lmtpq
