// The words in which a program writes its option table.
//
// What it is: readers that store a value (text, time, number, one of several words), and builders
//   of Options that leave the table readable as a table.
// What it does not know: any particular option; parsing (config).
// Called by: a program's settings.cpp.
// Threads and lifetimes: a reader writes into what it was made with, which must outlive it.
// Failure: readers throw ConfigError with what was expected.
#pragma once

#include <chrono>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/config/config.h"

namespace lmtpq {

using Reader = std::function<void(std::string_view)>;
using Table = std::vector<Option>;

namespace reader {

Reader text(std::string& into);
Reader duration(std::chrono::milliseconds& into);
Reader positive_duration(std::chrono::milliseconds& into);  // no time at all is a slip, not a wish
Reader boolean(bool& into);
// Empty, or an absolute one: what is relative would be looked for in Sendmail's queue directory,
// and elsewhere again once a daemon has done its chdir("/").
Reader absolute_path(std::string& into);
Reader log_place(std::string& into);  // syslog, stderr or an absolute path

template <typename Number>
Reader number(Number& into, std::uint64_t least, std::uint64_t most) {
  return [&into, least, most](std::string_view value) {
    const std::uint64_t read = parse_size(value);
    if (read < least || read > most) {
      throw ConfigError("expected " + std::to_string(least) + " to " + std::to_string(most));
    }
    into = static_cast<Number>(read);
  };
}

template <typename Choice>
using Words = std::vector<std::pair<std::string_view, Choice>>;

template <typename Choice>
Reader choice(Choice& into, std::type_identity_t<Words<Choice>> known) {
  return [&into, known](std::string_view value) {
    std::string expected;
    for (const auto& [word, meaning] : known) {
      if (word == value) {
        into = meaning;
        return;
      }
      expected += (expected.empty() ? "" : ", ") + std::string(word);
    }
    throw ConfigError("expected one of " + expected);
  };
}

}  // namespace reader

// What stands between commas or blanks.
std::vector<std::string> list_of(std::string_view text);

Option value(const char* name, const char* argument, const char* fallback, const char* help,
             Reader read);
Option with_letter(char letter, Option option);
Option argv_only(Option option);
Option advanced(Option option);  // listed at the end of --help
Option argv_or_section(Option option);
Table foreign(Table options);  // for a command that only shares the file with another
Option bare_means(const char* implicit, Option option);
Table under(const char* heading, Table options);  // options that are advanced stay so
void append(Table& table, Table more);

}  // namespace lmtpq
