// Sockets on this machine for the tests of listeners: dialled, bound, or as systemd would pass
// them.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "common/descriptor.h"

namespace lmtpq::mailer {

inline Descriptor dial_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  return connect(made.number(), raw, sizeof address) == 0 ? std::move(made) : Descriptor();
}

// `last`: of 127.0.0.last.
inline sockaddr_in inet_address(std::uint16_t port, unsigned last = 1) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  made.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffU) + last);
  return made;
}

// On loopback; port 0 becomes one that was free.
inline Descriptor bound_inet(std::uint16_t& port, unsigned last = 1) {
  sockaddr_in address = inet_address(port, last);
  socklen_t size = sizeof address;
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  CPPUNIT_ASSERT_EQUAL(0, bind(made.number(), raw, size));
  CPPUNIT_ASSERT_EQUAL(0, getsockname(made.number(), raw, &size));
  port = ntohs(address.sin_port);
  return made;
}

// A socket that listens at `path`, as another process has made it.
inline Descriptor passed_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  CPPUNIT_ASSERT_EQUAL(0, bind(made.number(), raw, sizeof address));
  CPPUNIT_ASSERT_EQUAL(0, listen(made.number(), 16));
  return Descriptor(fcntl(made.number(), F_DUPFD_CLOEXEC, 100));
}

}  // namespace lmtpq::mailer
