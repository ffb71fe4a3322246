// Errors for names that are no option, or not there: what was meant, and where it belongs.

#include <algorithm>
#include <numeric>

#include "common/escape.h"
#include "common/options/option_reader.h"

namespace lmtpq {
namespace {

using Names = SectionKind::Names;

constexpr std::size_t kMaxName = 64;    // a longer name is similar to no option
constexpr std::size_t kMaxListed = 12;  // more names are in the manual

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

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(" \t"));
}

// Empty: none is near. A typo rarely changes the first letter.
std::string nearest(const Names& names, std::string_view written) {
  if (written.size() < 2 || written.size() > kMaxName) {
    return {};
  }
  std::string found;
  std::size_t least = 2 + written.size() / 6;  // a larger distance is hardly a typo
  for (const std::string& name : names) {
    const std::size_t apart =
        name.starts_with(written)
            ? 1
            : distance(first_word(written), first_word(name)) + (written[0] == name[0] ? 0 : 1);
    if (apart < least) {
      least = apart;
      found = name;
    }
  }
  return found;
}

// "[a.NAME] or [b.NAME]": the sections that may have the key; empty: none.
std::string homes_of(const std::vector<SectionKind>& kinds, std::string_view key) {
  std::string homes;
  for (const SectionKind& kind : kinds) {
    if (kind.has(key)) {
      homes += (homes.empty() ? "" : " or ") + kind.form();
    }
  }
  return homes;
}

Names in_file(const OptionTable& table) {
  Names names;
  for (const Option& option : table) {
    if (option.place == OptionPlace::kArgumentsAndFile) {
      names.push_back(option.name);
    }
  }
  return names;
}

std::string did_you_mean(const std::string& name) { return "; did you mean " + name + "?"; }

// An unknown name may be a secret, if a file of keys was named by mistake: it is shown only if it
// looks like the name of an option.
std::string shown(std::string_view name, const std::string& meant) {
  if (!meant.empty()) {
    const std::string_view word = first_word(name);
    return " " + escaped(word) + (word.size() < name.size() ? " ..." : "");
  }
  const bool plain =
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
  return plain ? " " + escaped(name) : "";
}

std::string listed(const Names& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return text;
}

}  // namespace

const SectionKind::Names& SectionKind::keys() const {
  if (!keys_) {
    keys_ = make_keys_();
  }
  return *keys_;
}

bool SectionKind::has(std::string_view key) const {
  const std::string_view word = first_word(key);
  return std::any_of(keys().begin(), keys().end(), [&](const std::string& known) {
    return known == key || (word == first_word(known) && word.size() < known.size());
  });
}

std::string OptionReader::see_help() const {
  return manuals_.help.empty() ? "" : "; see " + manuals_.help;
}

std::string OptionReader::see_file() const {
  return manuals_.file.empty() ? "" : "; see " + manuals_.file;
}

std::string OptionReader::unknown_argument(const std::string& written) const {
  const bool is_long = written.starts_with("--");
  const std::string name =
      is_long ? written.substr(2, written.find('=') - 2) : written.substr(1, 1);
  const std::string shown = (is_long ? "--" : "-") + escaped(name);
  Names names;
  for (const Option& option : table_) {
    const bool same = is_long ? option.name == name : name == std::string(1, option.letter);
    if (same && !option.other_command.empty()) {
      return shown + " is an option of " + option.other_command + " only";
    }
    if (option.other_command.empty() && !option.hidden) {
      names.push_back(option.name);
    }
  }
  const std::string meant = nearest(names, name);
  return "unknown option " + shown + (meant.empty() ? see_help() : did_you_mean("--" + meant));
}

bool OptionReader::is_name(std::string_view word) const {
  return find_option(table_, word) != nullptr || !homes_of(kinds_, word).empty();
}

void OptionReader::check_name(const std::string& name, const std::string& place) const {
  const Option* const option = find_option(table_, name);
  if (option != nullptr && option->place == OptionPlace::kArgumentsAndFile) {
    return;
  }
  if (option != nullptr && option->place == OptionPlace::kArgumentsOnly) {
    throw ConfigError(place + name + ": allowed on the command line only");
  }
  const std::string homes = homes_of(kinds_, name);
  if (option != nullptr || !homes.empty()) {
    throw ConfigError(place + escaped(name) + ": allowed " +
                      (option == nullptr ? "" : "on the command line or ") + "in a section " +
                      homes + " only");
  }
  Names names = in_file(table_);
  for (const SectionKind& kind : kinds_) {
    names.insert(names.end(), kind.keys().begin(), kind.keys().end());
  }
  const std::string meant = nearest(names, name);
  const bool in_section = !meant.empty() && find_option(table_, meant) == nullptr;
  throw ConfigError(
      place + "unknown option" + shown(name, meant) +
      (meant.empty()
           ? see_file()
           : did_you_mean(meant + (in_section ? " in a section " + homes_of(kinds_, meant) : ""))));
}

void OptionReader::check_key(const std::string& key, const FreeSection& section,
                             const std::string& place) const {
  const SectionKind& kind = *kind_of("[" + section.prefix);
  if (kind.has(key)) {
    return;
  }
  const Option* const option = find_option(table_, key);
  if (option != nullptr && option->place == OptionPlace::kArgumentsOnly) {
    throw ConfigError(place + key + ": allowed on the command line only");
  }
  const bool above = option != nullptr && option->place == OptionPlace::kArgumentsAndFile;
  const std::string homes = homes_of(kinds_, key);
  if (above || !homes.empty()) {
    throw ConfigError(place + escaped(key) + ": not allowed in a section " + kind.form() +
                      "; move it " + (above ? "above the sections" : "") +
                      (above && !homes.empty() ? ", or " : "") +
                      (homes.empty() ? "" : "into " + homes));
  }
  const std::string meant = nearest(kind.keys(), key);
  throw ConfigError(place + '[' + section.prefix + section.name + "]: unknown key" +
                    shown(key, meant) +
                    (!meant.empty()                     ? did_you_mean(meant)
                     : kind.keys().size() <= kMaxListed ? "; expected " + listed(kind.keys())
                                                        : see_file()));
}

}  // namespace lmtpq
