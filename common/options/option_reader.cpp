#include "common/options/option_reader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/escape.h"

namespace lmtpq {

const Option* find_option(const OptionTable& table, std::string_view name) {
  for (const Option& option : table) {
    if (option.name == name) {
      return &option;
    }
  }
  return nullptr;
}

OptionReader::OptionReader(OptionTable table, std::vector<SectionKind> kinds, OptionManuals manuals)
    : table_(std::move(table)), kinds_(std::move(kinds)), manuals_(std::move(manuals)) {}

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

bool OptionReader::read(const Option& option, const Given& given) const {
  try {
    option.read(given.value);
    return true;
  } catch (const ConfigError& error) {
    const std::string text = given.place + ": \"" + escaped(given.value) + "\": " + error.what();
    if (findings_ == nullptr) {
      throw ConfigError(text);
    }
    findings_->error(text);
  }
  if (!option.fallback.empty()) {
    option.read(option.fallback);  // so that no check of several options reports more
  }
  return false;
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
    if (const auto found = !option.other_command.empty() ? std::nullopt : given(option, {})) {
      if (read(option, *found)) {
        effective_.emplace_back(option.name, found->value);
      }
    }
  }
}

std::vector<FreeSection> OptionReader::free_sections(std::string_view prefix) const {
  std::vector<FreeSection> made;
  std::copy_if(free_sections_.begin(), free_sections_.end(), std::back_inserter(made),
               [&](const FreeSection& section) { return section.prefix == prefix; });
  return made;
}

OptionReader::Givens OptionReader::givens_of(const FreeSection& section) {
  Givens lines;
  for (const FreeSection::Line& line : section.lines) {
    keep_last(lines, line.name, {line.value, line.place + line.name});
  }
  return lines;
}

OptionReader::Effective OptionReader::apply_section(const FreeSection& section,
                                                    const OptionTable& table) const {
  const Givens lines = givens_of(section);
  Effective applied;
  for (const Option& option : table) {
    if (const auto found = given(option, lines)) {
      if (read(option, *found)) {
        applied.emplace_back(option.name, found->value);
      }
    }
  }
  return applied;
}

OptionPlaces OptionReader::places(const FreeSection& section) const {
  const Givens lines = givens_of(section);
  OptionPlaces made;
  for (const Givens* givens : {&from_file_, &lines, &from_arguments_}) {
    for (const auto& [name, given] : *givens) {
      made.add(name, given.place);
    }
  }
  return made;
}

}  // namespace lmtpq
