// DEST, as the admin types it (Postfix lmtp(8) has the same forms).
//
// What it is: `unix:PATH`, `inet:HOST[:PORT]`, `inet:[ADDR][:PORT]`, or a bare `HOST[:PORT]`,
// parsed. What it does not know: addresses, sockets; no MX look-ups anywhere. Called by: settings
// (from argv and the file), the dialer. Threads and lifetimes: a value. Failure: ConfigError with
// what was expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

struct Destination {
  enum class Family { kUnix, kInet };
  Family family = Family::kInet;
  std::string host;  // or the socket's path
  std::string port;  // number or service name; empty: service lmtp, else 24
  std::string text;  // for logs: the canonical form

  // The port's number: of the service lmtp where none is named, else 24; 0: no such service.
  int port_number() const;
  bool same_host(const Destination& other) const;
  // In a file that speaks of destinations: is `other` meant by this one? Without a port it means
  // every port of its host.
  bool covers(const Destination& other) const;
};

Destination parse_destination(std::string_view text);
// Those between commas or blanks.
std::vector<Destination> parse_destinations(std::string_view list);

}  // namespace lmtpq::mailer
