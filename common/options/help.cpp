// The wish for help on a command line, and OptionReader's text for it.

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

HelpWish wish_of(std::string_view word) {
  return word == "-h" || word == "--help" ? HelpWish::kUsual
         : word == "--help=all"           ? HelpWish::kAll
                                          : HelpWish::kNone;
}

// Whether the word after this one is the value of the option that this one names.
bool takes_next_word(const OptionTable& table, std::string_view word) {
  return std::any_of(table.begin(), table.end(), [&](const Option& option) {
    const bool named = word == "--" + option.name ||
                       (option.letter != '\0' && word == std::string("-") + option.letter);
    return named && option.other_command.empty() && !option.argument.empty() &&
           option.implicit.empty();
  });
}

std::string usual_help(const OptionTable& table, const std::string& see_all) {
  std::string text = "The usual options:\n";
  for (const Option& option : table) {
    if (option.usual && shown(option)) {
      text += wrapped(synopsis(option), sentence(option));
    }
  }
  const auto all = std::count_if(table.begin(), table.end(), shown);
  return text + "\nAll " + std::to_string(all) + " options: " + see_all + "\n";
}

std::string full_help(const OptionTable& table) {
  std::string text;
  for (const std::string& heading : headings_of(table)) {
    if (!text.empty()) {
      text += '\n';
    }
    if (!heading.empty()) {
      text += heading + ":\n";
    }
    for (const Option& option : table) {
      if (shown(option) && option.heading == heading) {
        text += wrapped(synopsis(option), sentence(option));
      }
    }
  }
  return text;
}

}  // namespace

HelpWish wished_help(const std::vector<std::string>& arguments,
                     const std::function<OptionTable()>& make_table) {
  if (std::all_of(arguments.begin(), arguments.end(),
                  [](const std::string& word) { return wish_of(word) == HelpWish::kNone; })) {
    return HelpWish::kNone;
  }
  const OptionTable table = make_table();
  for (auto word = arguments.begin(); word != arguments.end() && *word != "--"; ++word) {
    if (const HelpWish wish = wish_of(*word); wish != HelpWish::kNone) {
      return wish;
    }
    if (takes_next_word(table, *word) && word + 1 != arguments.end()) {
      ++word;
    }
  }
  return HelpWish::kNone;
}

std::string OptionReader::help(HelpWish wish) const {
  const bool some_are_usual =
      std::any_of(table_.begin(), table_.end(), [](const Option& option) { return option.usual; });
  return wish == HelpWish::kUsual && some_are_usual ? usual_help(table_, manuals_.help + "=all")
                                                    : full_help(table_);
}

}  // namespace lmtpq
