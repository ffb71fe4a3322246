// Declares a program's options as a table: readers that store a value, and builders of Options.
//
// A reader writes into the variable that it was made with, which must outlive it, and throws
// ConfigError with what was expected.
#pragma once

#include <chrono>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/escape.h"
#include "common/options/option_reader.h"

namespace lmtpq {

using Reader = std::function<void(std::string_view)>;

// Throws ConfigError with the bounds.
std::uint64_t parse_number_within(std::string_view text, std::uint64_t least, std::uint64_t most);

namespace reader {

Reader text(std::string& into);
Reader duration(std::chrono::milliseconds& into);
Reader positive_duration(std::chrono::milliseconds& into);  // refuses 0, surely an error
Reader boolean(bool& into);
// Empty, or an absolute path. A relative one would depend on the working directory: Sendmail's
// queue directory, or / in a daemon.
Reader absolute_path(std::string& into);
Reader log_place(std::string& into);  // syslog, stderr or an absolute path

template <typename Number>
Reader number(Number& into, std::uint64_t least, std::uint64_t most) {
  return [&into, least, most](std::string_view value) {
    into = static_cast<Number>(parse_number_within(value, least, most));
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

// The words of a list that is separated by commas or blanks, or by other characters.
std::vector<std::string> list_of(std::string_view text, std::string_view separators = ", \t");

// Calls take(word) for each of them; an error begins with the word.
template <typename Take>
void each_named_word(std::string_view list, Take take) {
  for (const std::string& word : list_of(list)) {
    at_place('"' + escaped(word) + '"', [&] { take(word); });
  }
}

// The same for a list that the error shows already: its only word is not named again.
template <typename Take>
void each_word(std::string_view list, Take take) {
  const std::vector<std::string> words = list_of(list);
  if (words.size() == 1) {
    take(words.front());
  } else {
    each_named_word(list, take);
  }
}

Option value(const char* name, const char* argument, const char* fallback, const char* help,
             Reader read);
Option with_letter(char letter, Option option);
Option argv_only(Option option);
Option argv_or_section(Option option);
// For options that only the `command` has; this one has to accept them in the shared file.
OptionTable of_command(const char* command, OptionTable options);
Option advanced(Option option);  // listed at the end of --help
void mark_usual(OptionTable& table, const std::vector<std::string_view>& names);
Option bare_means(const char* implicit, Option option);
OptionTable under(const char* heading, OptionTable options);  // options that are advanced stay so
void append(OptionTable& table, OptionTable more);

}  // namespace lmtpq
