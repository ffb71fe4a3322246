// OptionReader's text for --help.

#include <algorithm>

#include "common/options/option_reader.h"

namespace lmtpq {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kTextColumn = 30;

std::string synopsis(const Option& option) {
  std::string text = "  ";
  text += option.letter == '\0' ? "    " : std::string("-") + option.letter + ", ";
  text += "--" + option.name;
  if (option.argument.empty()) {
    return text;
  }
  return text + (option.implicit.empty() ? " " + option.argument : "[=" + option.argument + "]");
}

std::string sentence(const Option& option) {
  if (option.argument.empty() || option.fallback.empty()) {
    return option.help;
  }
  return option.help + " (default: " + option.fallback + ")";
}

// `text` word by word after `head`; further lines are indented to the text's column.
std::string wrapped(const std::string& head, std::string_view text) {
  const bool beside = head.size() + 2 <= kTextColumn;
  std::string lines = beside ? "" : head + '\n';
  std::string line = beside ? head : "";
  line.resize(kTextColumn, ' ');
  bool first = true;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (!first && line.size() + 1 + word.size() > kWidth) {
      lines += line + '\n';
      line.assign(kTextColumn, ' ');
      first = true;
    }
    if (!first) {
      line += ' ';
    }
    line += word;
    first = false;
  }
  return lines + line + '\n';
}

bool shown(const Option& option) { return option.other_command.empty() && !option.hidden; }

// In the table's order; the advanced options come last.
std::vector<std::string> headings_of(const OptionTable& table) {
  std::vector<std::string> headings;
  for (const Option& option : table) {
    if (shown(option) &&
        std::find(headings.begin(), headings.end(), option.heading) == headings.end()) {
      headings.push_back(option.heading);
    }
  }
  const auto advanced = std::find(headings.begin(), headings.end(), kAdvancedHeading);
  if (advanced != headings.end()) {
    std::rotate(advanced, advanced + 1, headings.end());
  }
  return headings;
}

}  // namespace

std::string OptionReader::help() const {
  std::string text;
  for (const std::string& heading : headings_of(table_)) {
    if (!text.empty()) {
      text += '\n';
    }
    if (!heading.empty()) {
      text += heading + ":\n";
    }
    for (const Option& option : table_) {
      if (shown(option) && option.heading == heading) {
        text += wrapped(synopsis(option), sentence(option));
      }
    }
  }
  return text;
}

}  // namespace lmtpq
