#include "mailer/settings/credentials.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/config_error.h"
#include "common/options/lines.h"

namespace lmtpq::mailer {
namespace {

constexpr std::string_view kBlank = " \t";

bool is_control(char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }

// Without the error of parse_destination(): it may quote the text, which may be a password.
std::optional<Destination> destination_of(std::string_view word) {
  try {
    return parse_destination_or_domain(word);
  } catch (const ConfigError&) {
    return std::nullopt;
  }
}

std::string_view without_leading_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text;
}

Login parse_login(std::string_view text, const std::string& place) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    throw ConfigError(place + "expected `DEST user:password`");
  }
  if (colon == 0) {
    throw ConfigError(place + "no user before the colon; expected `DEST user:password`");
  }
  if (colon + 1 == text.size()) {
    throw ConfigError(place + "no password after the colon; expected `DEST user:password`");
  }
  if (std::any_of(text.begin(), text.end(), is_control)) {
    throw ConfigError(place + "control character in user or password");
  }
  return {std::string(text.substr(0, colon)), Secret(text.substr(colon + 1))};
}

}  // namespace

Credentials Credentials::read(const std::string& path, uid_t reader) {
  return parse(read_secret_file(path, reader, "the passwords").text(), path);
}

Credentials Credentials::parse(std::string_view text, const std::string& name) {
  Credentials made;
  each_line(without_byte_order_mark(text), name,
            [&](std::string_view line, const std::string& place) {
              if (auto parsed = parse_line(line, place)) {
                made.lines_.push_back(std::move(*parsed));
              }
            });
  return made;
}

std::optional<Credentials::Line> Credentials::parse_line(std::string_view line,
                                                         const std::string& place) {
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  line = without_leading_blanks(line);
  if (line.empty() || line.starts_with('#')) {
    return std::nullopt;
  }
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  auto destination = destination_of(word);
  if (!destination) {
    throw ConfigError(
        place +
        "no DEST at the beginning (unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT], "
        "smtp:HOST[:PORT] or .DOMAIN[:PORT]); "
        "expected `DEST user:password`");
  }
  return Line{std::move(*destination),
              parse_login(without_leading_blanks(line.substr(word.size())), place)};
}

// What is said of one host counts more than what is said of a domain, a longer domain more than a
// shorter one, and with a port more than without.
std::tuple<bool, std::size_t, bool> Credentials::Line::rank() const {
  const std::string& domain = destination.host;
  const std::size_t labels =
      destination.is_domain()
          ? static_cast<std::size_t>(std::count(domain.begin(), domain.end(), '.')) -
                (domain.ends_with('.') ? 1 : 0)
          : 0;
  return {!destination.is_domain(), labels, !destination.port.empty()};
}

const Login* Credentials::find(const Destination& destination, std::string_view user) const {
  const Line* found = nullptr;
  for (const Line& line : lines_) {
    const bool fits =
        line.destination.covers(destination) && (user.empty() || user == line.login.user);
    if (fits && (found == nullptr || line.rank() > found->rank())) {
      found = &line;
    }
  }
  return found == nullptr ? nullptr : &found->login;
}

}  // namespace lmtpq::mailer
