#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <utility>

#include "common/config/config.h"
#include "common/escape.h"

namespace lmtpq {
namespace {

namespace options = boost::program_options;
namespace style = boost::program_options::command_line_style;

// No guessing, or a new option could change what an old command line means.
constexpr int kStyle = style::allow_long | style::long_allow_adjacent | style::long_allow_next |
                       style::allow_short | style::allow_dash_for_short |
                       style::short_allow_adjacent | style::short_allow_next;

// What a bare `--name` means; empty where a value must follow.
std::string bare_value(const Option& option) {
  return option.argument.empty() && option.implicit.empty() ? "yes" : option.implicit;
}

options::options_description describe(const std::vector<Option>& table) {
  options::options_description described;
  for (const Option& option : table) {
    if (option.foreign) {
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

// Would the option read this word? `-Q never` must not become -Q and an operand `never`. Asked only
// to complain, so what the reader stores does not matter.
bool takes(const Option& option, const std::string& word) {
  if (!option.read) {
    return false;
  }
  try {
    option.read(word);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

// Stands for the empty value of `--name=`, which Boost takes for a mistake. Scripts write
// `--sender="$from"`, and for a bounce that is empty.
constexpr const char* kEmpty = "\x01";

std::vector<std::string> with_empty_values(std::vector<std::string> arguments) {
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

}  // namespace

std::vector<std::string> Config::take_arguments(const std::vector<std::string>& arguments) {
  const options::options_description described = describe(table_);
  options::parsed_options parsed(&described);
  try {
    parsed = options::command_line_parser(with_empty_values(arguments))
                 .options(described)
                 .style(kStyle)
                 .allow_unregistered()
                 .run();
  } catch (const options::invalid_command_line_syntax& error) {
    const std::string name = error.get_option_name();
    const std::string bare_name = name.substr(std::min(name.find_first_not_of('-'), name.size()));
    throw ConfigError(find(table_, bare_name) == nullptr
                          ? unknown(table_, "", "--", bare_name, false)
                          : name + ": a value is missing");
  } catch (const options::error& error) {
    throw ConfigError(escaped(error.what()));
  }
  std::vector<std::string> operands;
  for (const auto& word : parsed.options) {
    const std::string& written = word.original_tokens.at(0);
    if (word.unregistered) {
      const bool is_long = written.starts_with("--");
      const std::string name = written.substr(0, is_long ? written.find('=') : 2);
      throw ConfigError(
          unknown(table_, "", is_long ? "--" : "-", name.substr(is_long ? 2 : 1), false));
    }
    if (word.string_key.empty()) {
      if (word.value.at(0) != written) {
        throw ConfigError("unknown option " + escaped(written));
      }
      operands.push_back(word.value.at(0));
      continue;
    }
    const Option& option = *find(table_, word.string_key);
    const std::string bare = bare_value(option);
    std::string value = word.value.empty() ? bare : word.value[0];
    if (value == kEmpty) {
      value.clear();
    }
    // Boost gives the operand behind a bare `-Q` to it as a value.
    if (!bare.empty() && word.original_tokens.size() > 1) {
      if (takes(option, value)) {
        std::string mistake = "--" + option.name;
        mistake.append(" ").append(escaped(value)).append(": write --").append(option.name);
        throw ConfigError(mistake.append("=").append(escaped(value)));
      }
      operands.push_back(std::exchange(value, bare));
    }
    // Boost takes the `=` of `-Q=always` for a part of the value.
    if (!written.starts_with("--") && written.size() > 2 && written[2] == '=') {
      value.erase(0, 1);
    }
    keep_last(from_arguments_, option.name, Given{std::move(value), "--" + option.name});
  }
  return operands;
}

}  // namespace lmtpq
