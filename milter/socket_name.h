// Where the MTA finds the milter, in Sendmail's own words.
//
// What it is: `unix:PATH`, `inet:PORT@HOST` or `inet6:PORT@HOST`, checked; and what is done about
//   the socket's file before and after libmilter, which tells nobody why it cannot listen.
// What it does not know: libmilter.
// Called by: settings checks the text, callbacks opens and closes.
// Threads and lifetimes: start-up and the end, one thread; knock() from another one.
// Failure: ConfigError with the remedy.
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

// That the milter can listen there, and nobody does. A socket's file that nobody listens on is left
// for libmilter to replace.
void check_free(const SocketName& socket);
// Whoever connects gets tags signed: whether other hosts can.
bool open_to_network(const SocketName& socket);
// The socket's file is `user`'s from now on, who may remove it. Empty: it stays.
void hand_over(const SocketName& socket, const std::string& user);
// Connects and hangs up: a listener wakes.
void knock(const SocketName& socket);

}  // namespace lmtpq::milter
