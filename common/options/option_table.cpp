#include "common/options/option_table.h"

#include <algorithm>
#include <iterator>

namespace lmtpq {

std::uint64_t parse_number_within(std::string_view text, std::uint64_t least, std::uint64_t most) {
  try {
    const std::uint64_t number = parse_size(text);
    if (number >= least && number <= most) {
      return number;
    }
  } catch (const ConfigError&) {
    // Its text is about sizes.
  }
  throw ConfigError("expected a number from " + std::to_string(least) + " to " +
                    std::to_string(most));
}

namespace reader {

Reader text(std::string& into) {
  return [&into](std::string_view value) { into = value; };
}

Reader duration(std::chrono::milliseconds& into) {
  return [&into](std::string_view value) { into = parse_duration(value); };
}

Reader positive_duration(std::chrono::milliseconds& into) {
  return [&into](std::string_view value) {
    into = parse_duration(value);
    if (into == into.zero()) {
      throw ConfigError("expected more than 0s");
    }
  };
}

Reader boolean(bool& into) {
  return [&into](std::string_view value) { into = parse_switch(value); };
}

Reader absolute_path(std::string& into) {
  return [&into](std::string_view path) {
    if (!path.empty() && !path.starts_with('/')) {
      throw ConfigError("expected a path that begins with /");
    }
    into = path;
  };
}

Reader log_place(std::string& into) {
  return [&into](std::string_view place) {
    if (place != "syslog" && place != "stderr" && !place.starts_with('/')) {
      throw ConfigError("expected syslog, stderr or a path that begins with /");
    }
    into = place;
  };
}

}  // namespace reader

std::vector<std::string> list_of(std::string_view text, std::string_view separators) {
  std::vector<std::string> made;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) {
      made.emplace_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return made;
}

Option value(const char* name, const char* argument, const char* fallback, const char* help,
             Reader read) {
  Option made;
  made.name = name;
  made.argument = argument;
  made.fallback = fallback;
  made.help = help;
  made.read = std::move(read);
  return made;
}

Option with_letter(char letter, Option option) {
  option.letter = letter;
  return option;
}

Option argv_only(Option option) {
  option.place = OptionPlace::kArgumentsOnly;
  return option;
}

Option argv_or_section(Option option) {
  option.place = OptionPlace::kArgumentsAndSections;
  return option;
}

OptionTable of_command(const char* command, OptionTable options) {
  for (Option& option : options) {
    option.other_command = command;
  }
  return options;
}

Option advanced(Option option) {
  option.heading = kAdvancedHeading;
  return option;
}

void mark_usual(OptionTable& table, const std::vector<std::string_view>& names) {
  for (Option& option : table) {
    option.usual = std::find(names.begin(), names.end(), option.name) != names.end();
  }
}

Option bare_means(const char* implicit, Option option) {
  option.implicit = implicit;
  return option;
}

OptionTable under(const char* heading, OptionTable options) {
  for (Option& option : options) {
    if (option.heading.empty()) {
      option.heading = heading;
    }
  }
  return options;
}

void append(OptionTable& table, OptionTable more) {
  table.insert(table.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

}  // namespace lmtpq
