#include "mailer/routes/route_file.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/config_error.h"
#include "common/escape.h"
#include "common/glob.h"
#include "common/options/lines.h"
#include "common/tag/tag_format.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kForm = "expected `PATTERN DEST[, DEST...]` or `PATTERN error:[STATUS] TEXT`";

// A pattern ends at the first blank that is not within quotes.
std::string_view take_pattern(std::string_view& line) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < line.size() && (quoted || (line[end] != ' ' && line[end] != '\t')); ++end) {
    quoted = quoted != (line[end] == '"');
    end += line[end] == '\\' && end + 1 < line.size() ? 1 : 0;
  }
  const std::string_view pattern = line.substr(0, end);
  line.remove_prefix(end);
  return pattern;
}

// "local@domain" for an address, "local@" for a user in any domain, "@domain" for a domain.
std::string make_key(std::string_view local, std::string_view domain) {
  std::string made;
  made.reserve(local.size() + 1 + domain.size());
  made += local;
  made += '@';
  made += domain;
  return made;
}

// Empty if the pattern has none of the three forms.
std::string key_of(std::string_view pattern) {
  if (pattern.starts_with('@')) {
    const auto mailbox = Mailbox::parse("x" + std::string(pattern));
    return mailbox ? make_key("", RouteAddress(*mailbox).domain) : std::string();
  }
  const bool any_domain = pattern.ends_with('@');
  const auto mailbox = Mailbox::parse(pattern.substr(0, pattern.size() - (any_domain ? 1 : 0)));
  if (!mailbox || (any_domain && !mailbox->domain().empty())) {
    return {};
  }
  const RouteAddress address(*mailbox);
  // `""@domain` has the same key as `@domain`, and is not the domain.
  return address.local.empty() ? std::string() : make_key(address.local, address.domain);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Whether three numbers with dots are anywhere in it, which are the whole of what is between other
// characters: those of an address of IPv4 are four.
bool mentions_status(std::string_view text) {
  constexpr std::string_view kOfNumbers = "0123456789.";
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find_first_of(kOfNumbers), text.size());
    text.remove_prefix(begin);
    std::string_view word = text.substr(0, text.find_first_not_of(kOfNumbers));
    text.remove_prefix(word.size());
    word = word.substr(0, word.find_last_not_of('.') + 1);
    if (EnhancedStatus::take(word)) {
      return true;
    }
  }
  return false;
}

// Without a status the recipient bounces, so the text must not be one that was meant to have
// another.
bool needs_no_status(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && !mentions_status(text);
}

Outcome parse_error_route(std::string_view text, const std::string& place) {
  text = trimmed(text);
  const auto status = EnhancedStatus::take(text);
  if (status ? status->klass != 4 && status->klass != 5 : !needs_no_status(text)) {
    throw ConfigError(
        place +
        "expected error:TEXT or error:STATUS TEXT with a STATUS of class 4 or 5, such as 5.1.1, "
        "right after the colon, and a TEXT that begins with a letter");
  }
  return outcome_of(status.value_or(EnhancedStatus{5, 1, 1}),
                    text.empty() ? "User unknown" : std::string_view(text));
}

Route parse_route(std::string_view text, const std::string& place, const RouteFile::Check& check) {
  constexpr std::string_view kError = "error:";
  if (same_word(text.substr(0, kError.size()), kError)) {
    return parse_error_route(text.substr(kError.size()), place);
  }
  std::vector<Destination> destinations;
  try {
    destinations = parse_named_destinations(text);
    if (check) {
      std::for_each(destinations.begin(), destinations.end(), check);
    }
  } catch (const ConfigError& error) {
    throw ConfigError(place + error.what());
  }
  if (destinations.empty()) {
    throw ConfigError(place + kForm);
  }
  return std::make_shared<const std::vector<Destination>>(std::move(destinations));
}

std::string shortened(std::string_view pattern) {
  constexpr std::size_t kMaxShown = 64;
  return '"' + escaped(pattern.substr(0, kMaxShown)) +
         (pattern.size() > kMaxShown ? "...\"" : "\"");
}

}  // namespace

class RouteFile::Parser {
 public:
  Parser(RouteFile& file, const Check& check) : file_(file), check_(check) {}

  void take(std::string_view line, const std::string& place) {
    ++number_;
    line = trimmed(line);
    if (line.empty() || line.starts_with('#')) {
      return;
    }
    if (line.size() > kMaxLine) {
      throw ConfigError(place + "the line is longer than " + std::to_string(kMaxLine) + " bytes");
    }
    if (std::any_of(line.begin(), line.end(),
                    [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; })) {
      throw ConfigError(place + "control character in the line; " + kForm);
    }
    const std::string_view pattern = take_pattern(line);
    line = trimmed(line);
    if (line.empty()) {
      throw ConfigError(place + "no DEST after " + shortened(pattern) + "; " + kForm);
    }
    add(pattern, route(line, place), place);
  }

 private:
  // Thousands of patterns have the same few destinations.
  std::uint32_t route(std::string_view text, const std::string& place) {
    const auto known = known_.find(text);
    if (known != known_.end()) {
      return known->second;
    }
    file_.routes_.push_back(parse_route(text, place, check_));
    return known_[text] = static_cast<std::uint32_t>(file_.routes_.size() - 1);
  }

  void add(std::string_view pattern, std::uint32_t route, const std::string& place) {
    if (pattern.find_first_of("*?") != std::string_view::npos) {
      if (file_.globs_.size() == kMaxGlobs) {
        throw ConfigError(place + "more than " + std::to_string(kMaxGlobs) +
                          " patterns with * or ?; use addresses, user@ or @domain instead");
      }
      file_.globs_.push_back({comparable_address(pattern), route});
      return;
    }
    const std::string key = key_of(pattern);
    if (key.empty()) {
      throw ConfigError(
          place + shortened(pattern) +
          " is not an address; expected user@domain, user@, @domain, or a pattern with "
          "* or ?");
    }
    const auto [entry, is_new] = file_.keys_.try_emplace(key, Entry{route, number_});
    if (!is_new) {
      throw ConfigError(place + shortened(pattern) + " has a route already, in line " +
                        std::to_string(entry->second.line) + "; remove one of the two");
    }
  }

  RouteFile& file_;
  const Check& check_;
  std::uint32_t number_ = 0;
  std::unordered_map<std::string_view, std::uint32_t> known_;
};

RouteFile RouteFile::parse(std::string_view text, const std::string& name, const Check& check) {
  RouteFile file;
  Parser parser(file, check);
  each_line(without_byte_order_mark(text), name,
            [&](std::string_view line, const std::string& place) { parser.take(line, place); });
  return file;
}

Route RouteFile::find(const Mailbox& recipient) const {
  const RouteAddress address(recipient);
  const Route* found = find_exact(address);
  if (found == nullptr) {
    found = find_glob(address);
  }
  return found != nullptr ? *found : DefaultRoute();
}

const Route* RouteFile::find_key(const std::string& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &routes_[found->second.route];
}

const Route* RouteFile::find_exact(const RouteAddress& address) const {
  const Route* found = nullptr;
  for (const std::string& domain : {address.domain, std::string()}) {
    for (const std::string& local : {address.local, address.user}) {
      found = found != nullptr ? found : find_key(make_key(local, domain));
    }
  }
  return found != nullptr || address.domain.empty() ? found
                                                    : find_key(make_key("", address.domain));
}

const Route* RouteFile::find_glob(const RouteAddress& address) const {
  if (globs_.empty()) {
    return nullptr;
  }
  const std::string whole = address_text(address.local, address.domain);
  const std::string bare = address_text(address.user, address.domain);
  const auto found = std::find_if(globs_.begin(), globs_.end(), [&](const Glob& glob) {
    pace();
    return glob_matches(glob.pattern, whole) ||
           (address.has_detail() && glob_matches(glob.pattern, bare));
  });
  return found == globs_.end() ? nullptr : &routes_[found->route];
}

}  // namespace lmtpq::mailer
