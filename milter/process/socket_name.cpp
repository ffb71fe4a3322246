#include "milter/process/socket_name.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "common/network/listening_address.h"
#include "common/network/unix_socket.h"
#include "common/shortage.h"

namespace lmtpq::milter {
namespace {

constexpr const char* kExpected = "expected unix:PATH, inet:PORT@HOST or inet6:PORT@HOST";

struct FreeList {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeList>;

Addresses look_up(const SocketName& socket) {
  addrinfo hints{};
  hints.ai_family = socket.family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int trouble = getaddrinfo(socket.host.c_str(), socket.port.c_str(), &hints, &list);
  if (trouble == EAI_AGAIN || trouble == EAI_SYSTEM || trouble == EAI_MEMORY) {
    throw Shortage('"' + socket.text() + "\": " + gai_strerror(trouble) +
                   "; see whether the DNS answers, or name an address in place of the host");
  }
  if (trouble != 0) {
    throw ConfigError('"' + socket.text() + "\": " + gai_strerror(trouble));
  }
  return Addresses(list);
}

[[noreturn]] void refuse(const SocketName& socket, const std::string& why) {
  throw ConfigError('"' + socket.text() + "\": " + why);
}

// Of bind(2) and listen(2).
[[noreturn]] void refuse(const SocketName& socket, int error) {
  refuse(socket, std::string(std::strerror(error)) +
                     (error == EACCES       ? "; ports below 1024 need root"
                      : error == EADDRINUSE ? "; stop the program that listens there"
                                            : "; name a free port of this host"));
}

bool is_loopback(const addrinfo& entry) {
  if (entry.ai_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(entry.ai_addr)->sin6_addr);
  }
  const auto* address = reinterpret_cast<const sockaddr_in*>(entry.ai_addr);
  return ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

}  // namespace

SocketName SocketName::parse(const std::string& text) {
  SocketName made;
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (kind == "unix" || kind == "local") {
    if (!rest.starts_with('/') || rest.ends_with('/')) {
      throw ConfigError("expected unix: and a path that begins with /");
    }
    if (rest.size() >= sizeof(sockaddr_un::sun_path)) {
      throw ConfigError("expected a path of 107 bytes at most");
    }
    made.family = AF_UNIX;
    made.path = rest;
    return made;
  }
  if (kind != "inet" && kind != "inet6") {
    throw ConfigError(kExpected);
  }
  made.family = kind == "inet" ? AF_INET : AF_INET6;
  const std::size_t at = rest.find('@');
  made.port = rest.substr(0, at);
  made.host = at == std::string::npos ? "" : rest.substr(at + 1);
  if (made.host.starts_with('[') && made.host.ends_with(']')) {
    made.host = made.host.substr(1, made.host.size() - 2);
  }
  if (made.host.empty()) {
    throw ConfigError(std::string(kExpected) +
                      "; use inet:PORT@127.0.0.1 for clients on this host only");
  }
  const bool digits = made.port.find_first_not_of("0123456789") == std::string::npos;
  if (made.port.empty() || made.port.size() > 5 || !digits || std::stoul(made.port) == 0 ||
      std::stoul(made.port) > 65535) {
    throw ConfigError("expected a port from 1 to 65535 before the @");
  }
  return made;
}

std::string SocketName::text() const {
  if (family == AF_UNIX) {
    return "unix:" + path;
  }
  return (family == AF_INET ? "inet:" + port + '@' + host : "inet6:" + port + "@[" + host + ']');
}

void check_port(const SocketName& socket) {
  const Addresses list = look_up(socket);
  const Descriptor tried(::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(tried.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(tried.number(), list->ai_addr, list->ai_addrlen) != 0 ||
      listen(tried.number(), 1) != 0) {
    refuse(socket, errno);
  }
}

void check_address(const SocketName& socket) {
  const int error = try_bind(*look_up(socket));
  if (error != 0) {
    refuse(socket, error);
  }
}

bool open_to_network(const SocketName& socket) {
  if (socket.family == AF_UNIX) {
    return false;
  }
  const Addresses list = look_up(socket);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    if (!is_loopback(*entry)) {
      return true;
    }
  }
  return false;
}

void knock(const SocketName& socket) {
  if (socket.family == AF_UNIX) {
    knock_at(socket.path);
    return;
  }
  const Addresses list = look_up(socket);
  const Descriptor dialled(
      ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  [[maybe_unused]] const int trouble = connect(dialled.number(), list->ai_addr, list->ai_addrlen);
}

}  // namespace lmtpq::milter
