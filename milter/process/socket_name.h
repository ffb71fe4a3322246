// The milter's socket as Sendmail names it: `unix:PATH`, `inet:PORT@HOST` or `inet6:PORT@HOST`.
//
// Also the checks around the socket that libmilter lacks: it does not report why it cannot listen.
// Used by one thread at start and end; knock() may run in another. Errors are ConfigError with the
// remedy.
#pragma once

#include <sys/types.h>

#include <string>

namespace lmtpq::milter {

struct SocketName {
  int family = 0;    // AF_UNIX, AF_INET, AF_INET6
  std::string path;  // of AF_UNIX
  std::string port, host;

  static SocketName parse(const std::string& text);
  std::string text() const;  // as libmilter reads it
};

// Throws if the port of a TCP socket is in use, or only root may use it.
void check_port(const SocketName& socket);
// The same for a check: throws if the address is not this host's, or only root may use the port.
// Listens nowhere; a port in use passes, since the milter may run.
void check_address(const SocketName& socket);
// Whether other hosts can connect. Anyone who connects gets tags signed.
bool open_to_network(const SocketName& socket);
// Connects and closes at once, which wakes the listener.
void knock(const SocketName& socket);

}  // namespace lmtpq::milter
