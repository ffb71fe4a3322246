// The socket at which libmilter accepts the MTA's connections.
//
// libmilter would make a unix socket by itself: it removes the file of another program there, as
// root leaves its own, and tells nobody why it fails. Instead it gets one of ours: a replacement of
// bind(2) puts it in the place of the one that libmilter has made. TCP is left to libmilter, after
// a check.
//
// One object for the process, made before the first thread. restore() is for one thread.
#pragma once

#include <optional>
#include <string>

#include "common/network/unix_socket.h"
#include "milter/process/socket_name.h"

namespace lmtpq::milter {

class Listener {
 public:
  // A unix socket listens from now on, and belongs to `user`; empty: to this process's.
  // ConfigError.
  Listener(SocketName name, const std::string& user);

  // The connection that libmilter gets, once. It must not remove a socket that is there.
  std::string libmilters_name() const;
  // UnixSocket::restore(): libmilter uses the new socket within five seconds.
  void restore(const Log& log);
  // Removes the file.
  void close() { socket_.reset(); }

 private:
  const SocketName name_;
  std::optional<UnixSocket> socket_;  // of AF_UNIX
};

}  // namespace lmtpq::milter
