#include "mailer/settings/destination.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/ascii.h"
#include "common/config_error.h"
#include "common/escape.h"
#include "common/network/network.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

using Protocol = Destination::Protocol;

constexpr int kSmtpPort = 25;

// What may stand where a host is expected.
enum class HostForm { kHost, kHostOrDomain };

[[noreturn]] void bad(const std::string& why) {
  throw ConfigError(why +
                    "; expected unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT] or "
                    "smtp:HOST[:PORT]");
}

bool name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_';
}

bool is_name(std::string_view text) {
  return !text.empty() && text.front() != '-' && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), name_character);
}

// Without the dot at the end of a complete name.
std::string_view unrooted(std::string_view name) {
  return name.substr(0, name.size() - (name.size() > 1 && name.ends_with('.') ? 1 : 0));
}

bool is_ipv4(std::string_view text) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

// Labels between single dots. A last label of digits is the end of an IPv4 address, whose parts are
// four decimal numbers: getaddrinfo() would take 10.1 for 10.0.0.1, and 10.0.0.256 for a name.
bool is_host_name(std::string_view text) {
  const std::string_view name = unrooted(text);
  const std::string_view last = name.substr(name.rfind('.') + 1);
  return is_name(text) && text.find("..") == text.npos &&
         (last.find_first_not_of("0123456789") != last.npos || is_ipv4(text));
}

// `.example.org`. A last label that begins with a digit would be the end of an IPv4 address.
bool is_domain(std::string_view text) {
  if (!text.starts_with('.') || !is_host_name(text.substr(1))) {
    return false;
  }
  const std::string_view name = unrooted(text);
  const std::size_t last = name.rfind('.') + 1;
  return last < name.size() && (name[last] < '0' || name[last] > '9');
}

// The canonical form (RFC 5952), with its zone (RFC 4007) as in fe80::1%eth0. Empty: no address.
std::string ipv6(const std::string& text) {
  const std::size_t zone = std::min(text.find('%'), text.size());
  in6_addr address{};
  if (inet_pton(AF_INET6, text.substr(0, zone).c_str(), &address) != 1 ||
      (zone != text.size() && !is_name(text.substr(zone + 1)))) {
    return {};
  }
  std::array<char, INET6_ADDRSTRLEN> written{};
  inet_ntop(AF_INET6, &address, written.data(), written.size());
  return written.data() + text.substr(zone);
}

// Of services(5). 0: there is no such service.
int service_port(const std::string& name) {
  servent entry{};
  servent* found = nullptr;
  std::array<char, 4096> memory{};
  const int failed =
      getservbyname_r(name.c_str(), "tcp", &entry, memory.data(), memory.size(), &found);
  return failed == 0 && found != nullptr ? ntohs(static_cast<std::uint16_t>(found->s_port)) : 0;
}

// Without an entry in services(5). 0: there is none.
int default_port(const std::string& service, int of_lmtp) {
  return service == "lmtp" ? of_lmtp : service == "smtp" ? kSmtpPort : 0;
}

// Removes leading zeros.
void check_port(std::string& port) {
  if (port.find_first_not_of("0123456789") != std::string::npos) {
    if (!is_name(port) || port.find('.') != std::string::npos) {
      bad("invalid port");
    }
    if (default_port(port, kLmtpPort) == 0 && service_port(port) == 0) {
      throw ConfigError("no service " + port +
                        " in services(5); correct the name, or use a number");
    }
    return;
  }
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || number == 0 || number > 65535) {
    bad("a port is a number from 1 to 65535, or the name of a service");
  }
  port = std::to_string(number);
}

Destination unix_destination(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    bad("the path of a socket must begin with /");
  }
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    bad("the path of a socket can have at most " +
        std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
  }
  return {Destination::Family::kUnix, std::string(path), {}, "unix:" + std::string(path)};
}

bool is_below(const Destination& destination, std::string_view domain) {
  const std::string_view host = unrooted(destination.host);
  domain = unrooted(domain);
  return destination.family == Destination::Family::kInet &&
         host.find(':') == std::string_view::npos && host.size() > domain.size() &&
         same_word(host.substr(host.size() - domain.size()), domain);
}

bool is_host(std::string_view text, HostForm form) {
  return is_host_name(text) || (form == HostForm::kHostOrDomain && is_domain(text));
}

Destination inet_destination(std::string_view rest, Protocol protocol, HostForm form) {
  Destination made;
  made.protocol = protocol;
  bool in_brackets = false;
  bool address = false;
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) {
      bad("no ] after the address");
    }
    made.host = rest.substr(1, end - 1);
    // The form of RFC 5321 section 4.1.3, which Sendmail uses.
    address = made.host.starts_with("IPv6:");
    made.host.erase(0, address ? 5 : 0);
    form = HostForm::kHost;
    in_brackets = true;
    rest.remove_prefix(end + 1);
  } else {
    made.host = rest.substr(0, rest.find(':'));
    rest.remove_prefix(made.host.size());
  }
  address = address || made.host.find(':') != std::string::npos;
  if (address) {
    made.host = ipv6(made.host);
  }
  if (!rest.empty()) {
    made.port = rest.substr(1);
    if (rest.front() != ':' || made.port.empty() || made.port.find(':') != std::string::npos) {
      bad(in_brackets ? "only :PORT may follow ]" : "an IPv6 address must be in [ ]");
    }
    check_port(made.port);
  }
  if (made.host.empty() || (!address && !is_host(made.host, form))) {
    bad("no valid host");
  }
  made.text = (protocol == Protocol::kSmtp ? "smtp:" : "inet:") + bracketed(made.host) +
              (made.port.empty() ? "" : ":" + made.port);
  return made;
}

// `smtp:25` was a host named smtp before there was a protocol of that name.
Destination smtp_destination(std::string_view rest, HostForm form) {
  if (!rest.empty() && rest.find_first_not_of("0123456789") == std::string_view::npos) {
    throw ConfigError("did you mean inet:smtp:" + std::string(rest) +
                      " or smtp:HOST:" + std::string(rest) + "?");
  }
  return inet_destination(rest, Protocol::kSmtp, form);
}

Destination parse(std::string_view text, HostForm form) {
  if (text.starts_with("unix:")) {
    return unix_destination(text.substr(5));
  }
  if (text.starts_with("inet:")) {
    return inet_destination(text.substr(5), Protocol::kLmtp, form);
  }
  if (text.starts_with("smtp:")) {
    return smtp_destination(text.substr(5), form);
  }
  if (text.starts_with("/")) {
    throw ConfigError("did you mean unix:" + escaped(text) + "?");
  }
  return inet_destination(text, Protocol::kLmtp, form);
}

}  // namespace

int Destination::port_number(int of_lmtp) const {
  const bool smtp = protocol == Protocol::kSmtp;
  const std::string name = !port.empty() ? port : smtp ? "smtp" : "lmtp";
  if (name.find_first_not_of("0123456789") == std::string::npos) {
    return std::stoi(name);
  }
  const int known = service_port(name);
  return known != 0 ? known : default_port(name, of_lmtp);
}

bool Destination::same_host(const Destination& other) const {
  return family == other.family &&
         (family == Family::kUnix ? host == other.host
                                  : same_word(unrooted(host), unrooted(other.host)));
}

bool Destination::covers(const Destination& other) const {
  const bool host_fits = is_domain() ? is_below(other, host) : same_host(other);
  return host_fits && protocol == other.protocol &&
         (port.empty() || family == Family::kUnix ||
          port_number(other.lmtp_port) == other.port_number());
}

Destination parse_destination(std::string_view text) { return parse(text, HostForm::kHost); }

Destination parse_destination_or_domain(std::string_view text) {
  return parse(text, HostForm::kHostOrDomain);
}

Destination parse_listen_address(std::string_view text) {
  Destination made = parse(text, HostForm::kHost);
  if (made.protocol != Protocol::kLmtp) {
    throw ConfigError("a listener speaks LMTP; expected unix:PATH or inet:HOST[:PORT]");
  }
  return made;
}

std::vector<Destination> parse_destinations(std::string_view list) {
  std::vector<Destination> made;
  each_word(list, [&](const std::string& word) { made.push_back(parse_destination(word)); });
  return made;
}

std::vector<Destination> parse_listen_addresses(std::string_view list) {
  std::vector<Destination> made;
  each_word(list, [&](const std::string& word) { made.push_back(parse_listen_address(word)); });
  return made;
}

std::vector<Destination> parse_named_destinations(std::string_view list) {
  std::vector<Destination> made;
  each_named_word(list, [&](const std::string& word) { made.push_back(parse_destination(word)); });
  return made;
}

}  // namespace lmtpq::mailer
