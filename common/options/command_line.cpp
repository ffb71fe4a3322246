// OptionReader's command line, by Boost.Program_options.

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <optional>
#include <utility>

#include "common/escape.h"
#include "common/options/option_reader.h"

namespace lmtpq {
namespace {

namespace options = boost::program_options;
namespace style = boost::program_options::command_line_style;
using Arguments = std::vector<std::string>;

// Abbreviated names are not allowed: a new option could change what an old command line means.
constexpr int kStyle = style::allow_long | style::long_allow_adjacent | style::long_allow_next |
                       style::allow_short | style::allow_dash_for_short |
                       style::short_allow_adjacent | style::short_allow_next;

// What a bare `--name` means; empty where a value must follow.
std::string bare_value(const Option& option) {
  return option.argument.empty() && option.implicit.empty() ? "yes" : option.implicit;
}

options::options_description describe(const OptionTable& table) {
  options::options_description described;
  for (const Option& option : table) {
    if (!option.other_command.empty()) {
      continue;
    }
    const std::string names =
        option.letter == '\0' ? option.name : option.name + ',' + option.letter;
    auto* value = options::value<std::string>();
    const std::string bare = bare_value(option);
    if (!bare.empty()) {
      value->implicit_value(bare, bare);
    }
    described.add_options()(names.c_str(), value);
  }
  return described;
}

// Replaces the empty value of `--name=`, which Boost refuses. Scripts write `--sender="$from"`, and
// for a bounce that is empty.
constexpr const char* kEmpty = "\x01";

Arguments with_empty_values(Arguments arguments) {
  for (std::string& argument : arguments) {
    if (argument == "--") {
      break;
    }
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      argument += kEmpty;
    }
  }
  return arguments;
}

template <typename SyntaxError>
std::vector<options::option> split(const Arguments& arguments, const OptionTable& table,
                                   SyntaxError syntax_error) {
  const options::options_description described = describe(table);
  try {
    return options::command_line_parser(with_empty_values(arguments))
        .options(described)
        .style(kStyle)
        .allow_unregistered()
        .run()
        .options;
  } catch (const options::invalid_command_line_syntax& error) {
    throw ConfigError(syntax_error(error.get_option_name()));
  } catch (const options::error& error) {
    throw ConfigError(escaped(error.what()));
  }
}

// Whether the option's reader accepts this text. Asked only where an error follows, so what the
// reader stores does not matter.
bool accepts(const Option& option, const std::string& text) {
  try {
    option.read(text);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

// `-Q never` must not become a bare -Q and an operand `never`.
void refuse_value_as_operand(const Option& option, const std::string& word) {
  if (accepts(option, word)) {
    const std::string name = "--" + option.name;
    throw ConfigError(name + ' ' + escaped(word) + ": write " + name + '=' + escaped(word));
  }
}

struct Taken {
  std::string value;
  std::optional<std::string> operand;  // Boost took it for the option's value
};

Taken take_option(const Option& option, const options::option& word) {
  const std::string bare = bare_value(option);
  std::string value = word.value.empty() ? bare : word.value[0];
  if (value == kEmpty) {
    value.clear();
  }
  // Boost gives the word after a bare `-Q` to it as a value.
  const bool next_word_taken = word.original_tokens.size() > 1;
  if (next_word_taken && !bare.empty()) {
    refuse_value_as_operand(option, value);
    return {bare, std::move(value)};
  }
  // Boost takes the `=` of `-Q=always` for a part of the value.
  const std::string& written = word.original_tokens.at(0);
  if (!written.starts_with("--") && written.size() > 2 && written[2] == '=') {
    value.erase(0, 1);
  }
  return {std::move(value), std::nullopt};
}

}  // namespace

std::string OptionReader::syntax_error(const std::string& written) const {
  const std::string name = written.substr(std::min(written.find_first_not_of('-'), written.size()));
  const Option* const option = find_option(table_, name);
  return option == nullptr || !option->other_command.empty()
             ? unknown_argument("--" + name)
             : written + ": a value is missing" + see_help();
}

std::vector<std::string> OptionReader::take_arguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> operands;
  const auto words = split(arguments, table_,
                           [this](const std::string& written) { return syntax_error(written); });
  for (const options::option& word : words) {
    const std::string& written = word.original_tokens.at(0);
    if (word.unregistered) {
      throw ConfigError(unknown_argument(written));
    }
    if (word.string_key.empty()) {
      if (word.value.at(0) != written) {
        throw ConfigError("unknown option " + escaped(written) + see_help());
      }
      operands.push_back(written);
      continue;
    }
    const Option& option = *find_option(table_, word.string_key);
    Taken taken = take_option(option, word);
    if (taken.operand) {
      operands.push_back(std::move(*taken.operand));
    }
    keep_last(from_arguments_, option.name, Given{std::move(taken.value), "--" + option.name});
  }
  return operands;
}

}  // namespace lmtpq
