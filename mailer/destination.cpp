#include "destination.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "ascii.h"
#include "config.h"
#include "escape.h"

namespace lmtpq {
namespace {

[[noreturn]] void bad(std::string_view text, const std::string& why) {
  throw ConfigError("destination \"" + escaped(text) + "\": " + why +
                    "; expected unix:PATH, inet:HOST[:PORT] or inet:[ADDRESS][:PORT]");
}

bool name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_';
}

bool is_name(std::string_view text) {
  return !text.empty() && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), name_character);
}

// With or without a zone (RFC 4007): fe80::1%eth0.
bool is_ipv6(const std::string& text) {
  const std::size_t zone = std::min(text.find('%'), text.size());
  in6_addr ignored{};
  return inet_pton(AF_INET6, text.substr(0, zone).c_str(), &ignored) == 1 &&
         (zone == text.size() || is_name(text.substr(zone + 1)));
}

void check_port(std::string_view text, const std::string& port) {
  if (port.find_first_not_of("0123456789") != std::string::npos) {
    if (!is_name(port)) {
      bad(text, "no such port");
    }
    return;
  }
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || number == 0 || number > 65535) {
    bad(text, "a port is 1 to 65535, or a service's name");
  }
}

Destination unix_destination(std::string_view text, std::string_view path) {
  if (path.empty() || path.front() != '/') {
    bad(text, "the path of a socket begins with /");
  }
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    bad(text, "the path of a socket has at most " +
                  std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
  }
  return {Destination::Family::kUnix, std::string(path), {}, "unix:" + std::string(path)};
}

Destination inet_destination(std::string_view text, std::string_view rest) {
  Destination made;
  bool bracketed = false;
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) {
      bad(text, "no ] behind the address");
    }
    made.host = rest.substr(1, end - 1);
    // RFC 5321 section 4.1.3 writes IPv6 literals so, and Sendmail with it.
    if (made.host.size() > 5 && (made.host.compare(0, 5, "IPv6:") == 0)) {
      made.host.erase(0, 5);
    }
    bracketed = true;
    rest.remove_prefix(end + 1);
  } else {
    made.host = rest.substr(0, rest.find(':'));
    rest.remove_prefix(made.host.size());
  }
  const bool address = made.host.find(':') != std::string::npos;
  if (address ? !is_ipv6(made.host) : !is_name(made.host)) {
    bad(text, "no host");
  }
  if (!rest.empty()) {
    made.port = rest.substr(1);
    if (rest.front() != ':' || made.port.empty() || made.port.find(':') != std::string::npos) {
      bad(text, bracketed ? "only :PORT may follow ]" : "an IPv6 address stands in [ ]");
    }
    check_port(text, made.port);
  }
  made.text = "inet:" + (address ? "[" + made.host + "]" : made.host) +
              (made.port.empty() ? "" : ":" + made.port);
  return made;
}

}  // namespace

bool Destination::covers(const Destination& other) const {
  return family == other.family && (port.empty() || port == other.port) &&
         (family == Family::kUnix ? host == other.host : same_word(host, other.host));
}

Destination parse_destination(std::string_view text) {
  if (text.starts_with("unix:")) {
    return unix_destination(text, text.substr(5));
  }
  if (text.starts_with("inet:")) {
    return inet_destination(text, text.substr(5));
  }
  if (text.starts_with("/")) {
    bad(text, "did you mean unix:" + escaped(text) + "?");
  }
  return inet_destination(text, text);
}

}  // namespace lmtpq
