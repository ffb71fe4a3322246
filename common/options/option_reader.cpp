#include "common/options/option_reader.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "common/escape.h"

namespace lmtpq {
namespace {

constexpr std::size_t kMaxName = 64;  // a longer name is similar to no option

// Levenshtein distance, computed row by row.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

const Option* find_option(const OptionTable& table, std::string_view name) {
  for (const Option& option : table) {
    if (option.name == name) {
      return &option;
    }
  }
  return nullptr;
}

std::string unknown_option(const OptionTable& table, const std::string& dashes,
                           std::string_view name) {
  std::string text = "unknown option " + dashes + escaped(name);
  if (name.size() < 2 || name.size() > kMaxName) {
    return text;
  }
  const bool in_file = dashes.empty();
  const Option* nearest = nullptr;
  std::size_t least = 2 + name.size() / 6;  // a larger distance is hardly a typo
  for (const Option& option : table) {
    const bool possible = in_file ? option.place == OptionPlace::kArgumentsAndFile
                                  : option.owner == OptionOwner::kThisCommand;
    const std::size_t apart = option.name.starts_with(name) ? 1 : distance(name, option.name);
    if (possible && apart < least) {
      least = apart;
      nearest = &option;
    }
  }
  return nearest == nullptr ? text : text + "; did you mean " + dashes + nearest->name + "?";
}

OptionReader::OptionReader(OptionTable table, std::vector<std::string> free_prefixes)
    : table_(std::move(table)), free_prefixes_(std::move(free_prefixes)) {}

const OptionReader::Given* OptionReader::last_given(const Givens& givens, std::string_view name) {
  for (const auto& [given_name, given] : givens) {
    if (given_name == name) {
      return &given;
    }
  }
  return nullptr;
}

void OptionReader::keep_last(Givens& givens, const std::string& name, Given given) {
  for (auto& [given_name, kept] : givens) {
    if (given_name == name) {
      kept = std::move(given);
      return;
    }
  }
  givens.emplace_back(name, std::move(given));
}

bool OptionReader::named_in_arguments(std::string_view name) const {
  return last_given(from_arguments_, name) != nullptr;
}

std::string OptionReader::argument_or_default(std::string_view name) const {
  if (const Given* given = last_given(from_arguments_, name)) {
    return given->value;
  }
  const Option* option = find_option(table_, name);
  return option == nullptr ? "" : option->fallback;
}

void OptionReader::read(const Option& option, const Given& given) {
  try {
    if (option.read) {
      option.read(given.value);
    }
  } catch (const ConfigError& error) {
    throw ConfigError(given.place + ": \"" + escaped(given.value) + "\": " + error.what());
  }
}

std::optional<OptionReader::Given> OptionReader::given(const Option& option,
                                                       const Givens& section) const {
  for (const Givens* givens : {&from_arguments_, &section, &from_file_}) {
    if (const Given* found = last_given(*givens, option.name)) {
      return *found;
    }
  }
  return option.fallback.empty()
             ? std::nullopt
             : std::optional(Given{option.fallback, "the default of --" + option.name});
}

void OptionReader::apply() {
  effective_.clear();
  for (const Option& option : table_) {
    if (const auto found =
            option.owner == OptionOwner::kOtherCommand ? std::nullopt : given(option, {})) {
      read(option, *found);
      effective_.emplace_back(option.name, found->value);
    }
  }
}

std::vector<FreeSection> OptionReader::free_sections(std::string_view prefix) const {
  std::vector<FreeSection> made;
  std::copy_if(free_sections_.begin(), free_sections_.end(), std::back_inserter(made),
               [&](const FreeSection& section) { return section.prefix == prefix; });
  return made;
}

OptionReader::Effective OptionReader::apply_section(const FreeSection& section,
                                                    const OptionTable& table) const {
  Givens lines;
  for (const FreeSection::Line& line : section.lines) {
    if (find_option(table, line.name) == nullptr) {
      const bool elsewhere = find_option(table_, line.name) != nullptr;
      throw ConfigError(line.place + (elsewhere ? line.name + ": not allowed in a section [" +
                                                      section.prefix + "NAME]"
                                                : unknown_option(table, "", line.name)));
    }
    keep_last(lines, line.name, {line.value, line.place + line.name});
  }
  Effective applied;
  for (const Option& option : table) {
    if (const auto found = given(option, lines)) {
      read(option, *found);
      applied.emplace_back(option.name, found->value);
    }
  }
  return applied;
}

}  // namespace lmtpq
