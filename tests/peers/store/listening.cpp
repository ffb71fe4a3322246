#include "listening.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace store {
namespace {

constexpr int kBacklog = 128;

[[noreturn]] void fail(const std::string& address, int error) {
  throw std::runtime_error(address + ": " + std::generic_category().message(error));
}

bool somebody_listens(const sockaddr_un& name) {
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* address = reinterpret_cast<const sockaddr*>(&name);
  const bool connected = connect(descriptor, address, sizeof name) == 0;
  close(descriptor);
  return connected;
}

Listener open_unix(const std::string& address, const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path) fail(address, ENAMETOOLONG);
  std::memcpy(name.sun_path, path.data(), path.size());

  struct stat status;
  if (lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode) || somebody_listens(name)) fail(address, EADDRINUSE);
    unlink(path.c_str());
  }
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) fail(address, errno);
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      chmod(path.c_str(), 0777) != 0 || listen(descriptor, kBacklog) != 0) {
    fail(address, errno);
  }
  return {descriptor, address, path};
}

std::string host_and_port(const sockaddr_storage& name, socklen_t length) {
  char host[NI_MAXHOST] = "?";
  char port[NI_MAXSERV] = "?";
  getnameinfo(reinterpret_cast<const sockaddr*>(&name), length, host, sizeof host, port,
              sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
  const std::string shown = name.ss_family == AF_INET6 ? "[" + std::string(host) + "]" : host;
  return "inet:" + shown + ":" + port;
}

Listener open_inet(const std::string& address, const std::string& rest) {
  const auto colon = rest.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error(address + ": no port");
  std::string host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                rest.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) throw std::runtime_error(address + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);

  const int descriptor = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) fail(address, errno);
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(descriptor, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(descriptor, kBacklog) != 0) {
    fail(address, errno);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &length);
  return {descriptor, host_and_port(bound, length), ""};
}

}  // namespace

Listener open_listener(const std::string& address) {
  if (address.starts_with("unix:")) return open_unix(address, address.substr(5));
  if (address.starts_with("inet:")) return open_inet(address, address.substr(5));
  throw std::runtime_error(address + ": neither unix:PATH nor inet:HOST:PORT");
}

std::string peer_name(int descriptor) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&name), &length) != 0) return "gone";
  if (name.ss_family != AF_UNIX) return host_and_port(name, length);
  ucred who{};
  socklen_t who_length = sizeof who;
  getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &who_length);
  return "unix:uid=" + std::to_string(who.uid) + ",pid=" + std::to_string(who.pid);
}

}  // namespace store
