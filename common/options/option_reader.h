// Reads a program's options from the defaults, a configuration file and the command line.
//
// A program declares each option once, in a table (option_table.h). The same table drives the
// reading, done with Boost.Program_options, and the text of --help. The command line overrides the
// file, and the file overrides the defaults; of an option given twice in one place the last counts,
// and the Findings have a warning.
//
// Used by one thread at a time. The readers of the table write into a settings object, which must
// outlive the OptionReader. Errors are ConfigError: one line with the place (file and line, or
// option), what is wrong and what was expected.
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
#include "common/findings.h"
#include "common/options/option_places.h"

namespace lmtpq {

// Where an option may be written.
enum class OptionPlace {
  kArgumentsAndFile,
  kArgumentsOnly,
  // The command line's name for a key of a named section, such as --client for `client` of
  // [rule.NAME]. Outside of sections the file may not have it.
  kArgumentsAndSections,
};

struct Option {
  char letter = '\0';    // short form, '\0' for none
  std::string name;      // "connect-timeout", without dashes
  std::string argument;  // "TIME" in --help; empty: a switch, read as "yes" or "no"
  std::string fallback;  // the default, as text; goes through `read` too unless empty
  std::string implicit;  // the value of a bare `--name`; empty: a value is required
  std::string heading;   // the group in --help; kAdvancedHeading comes last
  std::string help;      // one sentence, no final full stop
  OptionPlace place = OptionPlace::kArgumentsAndFile;
  // Commands that share a configuration file accept each other's options there, and nowhere else.
  // Not empty: the commands that have this option ("serve").
  std::string other_command;
  bool hidden = false;  // accepted without effect: not in --help
  bool usual = false;   // --help shows these, and --help=all all options
  // Stores the value. Throws ConfigError with what was expected ("expected a time such as 30s");
  // OptionReader puts the place in front. Never empty where options are read.
  std::function<void(std::string_view)> read;
};

using OptionTable = std::vector<Option>;

inline constexpr const char* kAdvancedHeading = "Advanced (few sites need these)";

// A section of the file with a name that the admin chose, such as `[rule.NAME]`, and its lines as
// written. `place` is what an error begins with ("FILE:LINE: ").
struct FreeSection {
  struct Line {
    std::string name;
    std::string value;
    std::string place;
  };
  std::string name;  // without brackets and the prefix
  std::string place;
  std::vector<Line> lines;
  std::string prefix = {};  // "rule."
};

// A kind of free section: its prefix ("rule."), and the keys that its lines may have; others are
// errors. `header NAME` is the word header and one more word.
class SectionKind {
 public:
  using Names = std::vector<std::string>;

  SectionKind(std::string prefix, Names keys) : prefix_(std::move(prefix)), keys_(keys) {}
  // `make_keys` is called when keys are first asked for. Most files need none of them.
  SectionKind(std::string prefix, std::function<Names()> make_keys)
      : prefix_(std::move(prefix)), make_keys_(std::move(make_keys)) {}

  const std::string& prefix() const { return prefix_; }
  const Names& keys() const;
  bool has(std::string_view key) const;
  std::string form() const { return "[" + prefix_ + "NAME]"; }

 private:
  std::string prefix_;
  std::function<Names()> make_keys_;
  mutable std::optional<Names> keys_;
};

// What a command line asks for instead of what the command does. kUsual: -h or --help; kAll:
// --help=all.
enum class HelpWish { kNone, kUsual, kAll };

// Anywhere among the arguments, except as the value of an option and after `--`. `make_table` is
// called only if one of the arguments may be such a wish.
HelpWish wished_help(const std::vector<std::string>& arguments,
                     const std::function<OptionTable()>& make_table);

// What errors refer to.
struct OptionManuals {
  std::string help;  // "lmtpq deliver --help"
  std::string file;  // "lmtpq.conf(5)"
};

class OptionReader {
 public:
  // Sections of one of the `kinds` are not looked up in the table but collected.
  explicit OptionReader(OptionTable table, std::vector<SectionKind> kinds = {},
                        OptionManuals manuals = {});

  // Reads argv (without the program's name and subcommand) and returns the operands in order.
  // Accepts `-Qalways`, `-Q=always`, `--ignore-quota=always` and a bare `-Q`; `--` ends the
  // options. Values are stored by apply() only.
  std::vector<std::string> take_arguments(const std::vector<std::string>& arguments);

  // Errors of the file's lines and of values go there, and what is wrong is left out. Without it
  // the first one is thrown.
  void collect_errors(Findings* findings) { findings_ = findings; }
  Findings* findings() const { return findings_; }

  // Whether argv named this option.
  bool named_in_arguments(std::string_view name) const;
  // The value that argv gave for it, or the default.
  std::string argument_or_default(std::string_view name) const;

  // Reads `name = value` lines; a line that begins with `#` or `;` is a comment. Unless
  // `must_exist`, a missing file counts as empty; a file that exists must be readable.
  void take_file(const std::string& path, bool must_exist);
  // The same for text in memory; errors call it `name`.
  void take_text(std::string_view text, const std::string& name);

  // Calls every option's reader with the value that counts, in the table's order.
  void apply();

  // The name and text of each option as applied, for a log line at start.
  using Effective = std::vector<std::pair<std::string, std::string>>;
  const Effective& effective() const { return effective_; }

  // Applies a free section to `table`, whose options are also options of this OptionReader. Order
  // of precedence: command line, section, file outside of sections, default. Lines of other names
  // are ignored. Returns what was applied, as effective() does.
  Effective apply_section(const FreeSection& section, const OptionTable& table) const;

  // Where each value comes from: in the section, or outside of sections.
  OptionPlaces places(const FreeSection& section = {}) const;

  // In the file's order; no two have the same name and prefix.
  const std::vector<FreeSection>& free_sections() const { return free_sections_; }
  std::vector<FreeSection> free_sections(std::string_view prefix) const;

  // The options part of the help, wrapped to 80 columns: the usual options, or all by heading. Of a
  // table without usual options always all.
  std::string help(HelpWish wish) const;

 private:
  struct Given {
    std::string value;
    std::string place;  // "--name" or "file:line: name"
  };
  using Givens = std::vector<std::pair<std::string, Given>>;

  static const Given* last_given(const Givens& givens, std::string_view name);
  static void keep_last(Givens& givens, const std::string& name, Given given);
  void take_line(std::string_view line, std::string& section, const std::string& place);
  void take_section(const std::string& section, const std::string& place);
  void take_free_section(const std::string& section, const std::string& prefix,
                         const std::string& place);
  [[noreturn]] void refuse_line(std::string_view line, const std::string& place) const;
  void check_blanks(const std::string& name, std::string_view line, bool free,
                    const std::string& place) const;
  // Whether an option, or a key of any kind of section, has this name.
  bool is_name(std::string_view word) const;
  void check_name(const std::string& name, const std::string& place) const;
  // Of a line whose place this is; nullptr: no earlier line has the name.
  void warn_of_repeat(const std::string& name, const std::string& place,
                      const std::string* earlier) const;
  void warn_of_repeat(const std::string& key, const FreeSection& section,
                      const std::string& place) const;
  void check_key(const std::string& key, const FreeSection& section,
                 const std::string& place) const;
  std::string unknown_argument(const std::string& written) const;
  std::string syntax_error(const std::string& written) const;
  std::string see_help() const;
  std::string see_file() const;
  const SectionKind* kind_of(std::string_view section) const;
  static Givens givens_of(const FreeSection& section);
  std::optional<Given> given(const Option& option, const Givens& section) const;
  // false: it is among the findings.
  bool read(const Option& option, const Given& given) const;

  OptionTable table_;
  std::vector<SectionKind> kinds_;
  OptionManuals manuals_;
  std::vector<FreeSection> free_sections_;
  Givens from_file_;
  Givens from_arguments_;
  Effective effective_;
  Findings* findings_ = nullptr;
};

// nullptr: the table has no option of this name.
const Option* find_option(const OptionTable& table, std::string_view name);

// Text of values. All throw ConfigError with what was expected.
std::chrono::milliseconds parse_duration(std::string_view text);  // 30 30s 5m 1h 2d 1w, 500ms
std::uint64_t parse_size(std::string_view text);  // 4096 64k 30M 2G (powers of 1024)
std::uint64_t parse_number(std::string_view text);
bool parse_switch(std::string_view text);  // yes no true false on off 1 0

}  // namespace lmtpq
