// DEST, the address of a store, as the admin writes it (Postfix lmtp(8) has the same forms).
//
// `unix:PATH`, `inet:HOST[:PORT]`, `inet:[ADDRESS][:PORT]`, or a bare `HOST[:PORT]` speak LMTP;
// `smtp:HOST[:PORT]` speaks ESMTP. There are no MX look-ups. The functions throw ConfigError with
// what was expected; the caller names the text. A port that is the name of no service is an error:
// all mail to it would wait.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

inline constexpr int kLmtpPort = 24;

struct Destination {
  enum class Family { kUnix, kInet };
  enum class Protocol { kLmtp, kSmtp };
  Family family = Family::kInet;
  std::string host;  // of a unix socket: its path
  std::string port;  // number or service name; empty: the port of the service lmtp or smtp
  std::string text;  // the canonical form, for logs
  Protocol protocol = Protocol::kLmtp;
  int lmtp_port = kLmtpPort;  // of a system without the service lmtp (--tcp-port)

  // 0: services(5) has lost its name since it was parsed.
  int port_number() const { return port_number(lmtp_port); }
  // Whether lmtp_port can be that port.
  bool follows_lmtp_port() const {
    return family == Family::kInet &&
           (port == "lmtp" || (port.empty() && protocol == Protocol::kLmtp));
  }
  bool same_host(const Destination& other) const;
  // Whether a section or line for this destination holds for `other`. Without a port it holds for
  // every port of the host; one for another protocol never holds.
  bool covers(const Destination& other) const;
  // Made by parse_destination_or_domain(): it covers every host below the domain.
  bool is_domain() const { return family == Family::kInet && host.starts_with('.'); }

 private:
  int port_number(int of_lmtp) const;
};

Destination parse_destination(std::string_view text);
// The same, and `.DOMAIN[:PORT]` where a host may stand.
Destination parse_destination_or_domain(std::string_view text);
// An address to listen on: no protocol can be chosen there.
Destination parse_listen_address(std::string_view text);
// Several, separated by commas or blanks.
std::vector<Destination> parse_destinations(std::string_view list);
std::vector<Destination> parse_listen_addresses(std::string_view list);
// The same where nobody names the text: an error begins with the word at fault.
std::vector<Destination> parse_named_destinations(std::string_view list);

}  // namespace lmtpq::mailer
