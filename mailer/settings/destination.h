// DEST, the address of a store, as the admin writes it (Postfix lmtp(8) has the same forms).
//
// `unix:PATH`, `inet:HOST[:PORT]`, `inet:[ADDRESS][:PORT]`, or a bare `HOST[:PORT]`. There are no
// MX look-ups. The functions throw ConfigError with what was expected;
// the caller names the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

struct Destination {
  enum class Family { kUnix, kInet };
  Family family = Family::kInet;
  std::string host;  // of a unix socket: its path
  std::string port;  // number or service name; empty: the port of the service lmtp, or 24
  std::string text;  // the canonical form, for logs

  // 0: there is no such service.
  int port_number() const;
  bool same_host(const Destination& other) const;
  // Whether a section or line for this destination holds for `other`. Without a port it holds for
  // every port of the host.
  bool covers(const Destination& other) const;
};

Destination parse_destination(std::string_view text);
// Several, separated by commas or blanks.
std::vector<Destination> parse_destinations(std::string_view list);
// The same where nobody names the text: an error begins with the word at fault.
std::vector<Destination> parse_named_destinations(std::string_view list);

}  // namespace lmtpq::mailer
