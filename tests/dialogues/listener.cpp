#include "tests/dialogues/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace dialogues {
namespace {

void must(bool good, const char* what) {
  if (!good) {
    throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
  }
}

void bind_unix(int socket, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  must(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
}

// Binds a free port and returns it. Buffers are small, so that two peers that only write block
// soon.
int bind_loopback(int socket) {
  const int small = 4096;
  setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  must(bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  must(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
  return ntohs(address.sin_port);
}

}  // namespace

Listener::Listener(bool inet, const std::string& path, bool listens)
    : path_(inet ? "" : path), listens_(listens) {
  socket_ = lmtpq::Descriptor(socket(inet ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  must(socket_.valid(), "socket");
  if (inet) {
    destination_ = "inet:127.0.0.1:" + std::to_string(bind_loopback(socket_.number()));
  } else {
    bind_unix(socket_.number(), path_);
    destination_ = "unix:" + path_;
  }
  if (listens) {
    must(listen(socket_.number(), 10) == 0, "listen");
  } else {
    stop();
  }
}

lmtpq::Descriptor Listener::accept() const {
  return lmtpq::Descriptor(
      accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

// Without close(2), after which another program could listen on the port, and which does nothing
// while a process that another dialogue starts has a copy of the socket.
void Listener::stop() {
  listens_ = false;
  shutdown(socket_.number(), SHUT_RDWR);
  if (!path_.empty()) {
    unlink(path_.c_str());
  }
}

}  // namespace dialogues
