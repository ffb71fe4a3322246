// OptionReader's configuration file: lines and sections.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>
#include <utility>

#include "common/ascii.h"
#include "common/descriptor.h"
#include "common/escape.h"
#include "common/options/lines.h"
#include "common/options/option_reader.h"
#include "common/privileges.h"

namespace lmtpq {
namespace {

namespace options = boost::program_options;

constexpr std::size_t kMaxFile = 1 << 20;
constexpr const char* kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
// Replaces '#' while Boost reads a line: for Boost it begins a comment anywhere.
constexpr char kHash = '\x01';

std::string read_whole(int descriptor, const std::string& path) {
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t got = read(descriptor, part, sizeof part);
    if (got == 0) {
      return text;
    }
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw ConfigError(path + ": " + strerror(errno));
    }
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > kMaxFile) {
      throw ConfigError(path + ": larger than 1 MiB");
    }
  }
}

void refuse_pipe(int descriptor, const std::string& path) {
  struct stat facts {};
  if (fstat(descriptor, &facts) == 0 && (S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode))) {
    throw ConfigError(path + ": not a regular file");
  }
}

// Finds ` # words` after a value, which would silently become part of it. `ticket #42` is a value.
bool has_trailing_comment(std::string_view value) {
  const auto blank = [&](std::size_t i) {
    return i >= value.size() || value[i] == ' ' || value[i] == '\t';
  };
  for (std::size_t i = 1; i < value.size(); ++i) {
    if (value[i] == '#' && blank(i - 1) && blank(i + 1)) {
      return true;
    }
  }
  return false;
}

// The name and value of a line, as Boost reads it in its section. Nothing: it is no setting.
std::optional<std::pair<std::string, std::string>> read_line(std::string_view line,
                                                             const std::string& section) {
  std::string masked = section + '\n' + std::string(line) + '\n';
  std::replace(masked.begin(), masked.end(), '#', kHash);
  std::istringstream in(masked);
  options::parsed_options parsed(nullptr);
  try {
    parsed = options::parse_config_file(in, options::options_description(), true);
  } catch (const options::error&) {
    return std::nullopt;
  }
  if (parsed.options.size() != 1 || parsed.options[0].string_key.empty()) {
    return std::nullopt;
  }
  std::string name = parsed.options[0].string_key;
  std::string value = parsed.options[0].value.at(0);
  std::replace(name.begin(), name.end(), kHash, '#');
  std::replace(value.begin(), value.end(), kHash, '#');
  return std::pair(std::move(name), std::move(value));
}

std::string unreadable(const std::string& path, int error) {
  std::string text = path + ": " + strerror(error);
  if (error == ENOENT) {
    return text + "; create it, or name another by --config";
  }
  if (error == EACCES) {
    return path + ": " + error_as_user(error) + "; chmod 644 it, or chmod 755 its folder";
  }
  return text;
}

}  // namespace

void OptionReader::take_file(const std::string& path, bool must_exist) {
  // O_NONBLOCK: opening a named pipe must not block; refuse_pipe() reports it.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) {
    if (errno == ENOENT && !must_exist) {
      return;
    }
    throw ConfigError(unreadable(path, errno));
  }
  refuse_pipe(file.number(), path);
  take_text(read_whole(file.number(), path), path);
}

void OptionReader::take_text(std::string_view text, const std::string& name) {
  std::string section;
  bool skipped = false;  // the lines of a section whose name is an error
  each_line(without_byte_order_mark(text), name,
            [&](std::string_view line, const std::string& place) {
              line = trimmed(line);
              skipped = skipped && !line.starts_with('[');
              if (!skipped) {
                attempt(findings_, [&] {
                  skipped = line.starts_with('[');
                  take_line(line, section, place);
                  skipped = false;
                });
              }
            });
}

// nullptr: the section is not a free one.
const SectionKind* OptionReader::kind_of(std::string_view section) const {
  for (const SectionKind& kind : kinds_) {
    if (section.starts_with('[' + kind.prefix())) {
      return &kind;
    }
  }
  return nullptr;
}

void OptionReader::take_section(const std::string& section, const std::string& place) {
  if (section.size() < 3 || section.back() != ']') {
    throw ConfigError(place + "expected [name], not " + escaped(section));
  }
  const std::string prefix = section.substr(1, section.size() - 2) + '.';
  if (const SectionKind* const free = kind_of(section)) {
    take_free_section(section, free->prefix(), place);
  } else if (std::none_of(table_.begin(), table_.end(),
                          [&](const Option& o) { return o.name.starts_with(prefix); })) {
    std::string forms;
    for (const SectionKind& kind : kinds_) {
      forms += (forms.empty() ? "; expected " : " or ") + kind.form();
    }
    throw ConfigError(place + "unknown section " + escaped(section) + forms);
  }
}

void OptionReader::take_free_section(const std::string& section, const std::string& prefix,
                                     const std::string& place) {
  const std::size_t begin = 1 + prefix.size();
  const std::string name = section.substr(begin, section.size() - 1 - begin);
  if (name.empty() || name.find_first_not_of(kNameCharacters) != std::string::npos) {
    throw ConfigError(place + "expected [" + prefix + "NAME] of letters, digits and . _ -");
  }
  for (const FreeSection& other : free_sections_) {
    if (other.prefix == prefix && other.name == name) {
      throw ConfigError(place + section + " appears twice; it is also at " +
                        other.place.substr(0, other.place.size() - 2) + "; rename one");
    }
  }
  free_sections_.push_back({name, place, {}, prefix});
}

// The text of a line that is no setting may be a secret, if a file of passwords or keys was named
// or pasted by mistake: no more of it is shown than the name of an option.
void OptionReader::refuse_line(std::string_view line, const std::string& place) const {
  const std::string_view word = line.substr(0, line.find_first_of(" \t="));
  throw ConfigError(place + (is_name(word) ? std::string(word) + ": " : "") +
                    "expected name = value");
}

// A name with a blank is no option's; in a free section check_key() has the last word.
void OptionReader::check_blanks(const std::string& name, std::string_view line, bool free,
                                const std::string& place) const {
  if (name.find_first_of(" \t") == std::string::npos || is_name(name)) {
    return;
  }
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), ' ', '-');
  if (is_name(dashed)) {
    throw ConfigError(place + "unknown option " + name + "; did you mean " + dashed + "?");
  }
  if (!free) {
    refuse_line(line, place);
  }
}

void OptionReader::warn_of_repeat(const std::string& name, const std::string& place,
                                  const std::string* earlier) const {
  if (findings_ != nullptr && earlier != nullptr) {
    findings_->warning(place + name + ": given twice, and this line counts; remove that at " +
                       earlier->substr(0, earlier->rfind(": ")));
  }
}

// Keys that are no options add up, and so does the key for which a kind of sections has its name.
void OptionReader::warn_of_repeat(const std::string& key, const FreeSection& section,
                                  const std::string& place) const {
  const Option* const option = find_option(table_, key);
  const auto earlier = std::find_if(section.lines.rbegin(), section.lines.rend(),
                                    [&](const auto& line) { return line.name == key; });
  if (option != nullptr && option->place == OptionPlace::kArgumentsAndFile &&
      section.prefix != key + '.' && earlier != section.lines.rend()) {
    warn_of_repeat(key, place, &earlier->place);
  }
}

void OptionReader::take_line(std::string_view line, std::string& section,
                             const std::string& place) {
  if (line.empty() || line[0] == '#' || line[0] == ';') {
    return;
  }
  if (std::any_of(line.begin(), line.end(),
                  [](char c) { return c >= 0 && c < ' ' && c != '\t'; })) {
    throw ConfigError(place + "a control character; remove it");
  }
  if (line[0] == '[') {
    section = line;
    take_section(section, place);
    return;
  }
  const bool free = kind_of(section) != nullptr;
  auto setting = read_line(line, free ? "" : section);
  if (!setting) {
    refuse_line(line, place);
  }
  auto& [name, value] = *setting;
  check_blanks(name, line, free, place);
  if (has_trailing_comment(value)) {
    throw ConfigError(place + escaped(name) + ": put the comment on a separate line");
  }
  if (free) {
    check_key(name, free_sections_.back(), place);
    warn_of_repeat(name, free_sections_.back(), place);
    free_sections_.back().lines.push_back({std::move(name), std::move(value), place});
    return;
  }
  check_name(name, place);
  const Given* const earlier = last_given(from_file_, name);
  warn_of_repeat(name, place, earlier == nullptr ? nullptr : &earlier->place);
  keep_last(from_file_, name, Given{std::move(value), place + name});
}

}  // namespace lmtpq
