#include "mailer/io/dialer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/network/network.h"
#include "mailer/io/descriptor_channel.h"
#include "mailer/io/name_lookup.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr int kOpeningWrites = 16;  // more than the opening needs, from greeting to login

constexpr std::chrono::milliseconds kFullBacklog{20};  // until another try

// connect(2) with a deadline. False: errno has the reason.
bool connect_within(int socket, const sockaddr* address, socklen_t length,
                    const Patience& patience) {
  if (connect(socket, address, length) == 0) {
    return true;
  }
  // EAGAIN: a unix socket's backlog is full. poll(2) does not report when it no longer is.
  while (errno == EAGAIN && Clock::now() < patience.latest && !patience.is_given_up()) {
    sleep_until(Clock::now() + kFullBacklog);
    if (connect(socket, address, length) == 0) {
      return true;
    }
  }
  if (errno != EINPROGRESS) {
    return false;
  }
  if (!patience.wait([&](Deadline look) { return wait_for(socket, POLLOUT, look) != 0; })) {
    errno = patience.is_given_up() ? ECANCELED : ETIMEDOUT;
    return false;
  }
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

Descriptor new_socket(int family) {
  return Descriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

Dialled dial_unix(const Destination& destination, const Patience& patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(destination.host.begin(), destination.host.end(), std::begin(address.sun_path));
  Descriptor socket = new_socket(AF_UNIX);
  if (!socket.valid() || !connect_within(socket.number(), reinterpret_cast<sockaddr*>(&address),
                                         sizeof address, patience)) {
    return {nullptr, destination.text, destination.text + ": " + std::strerror(errno)};
  }
  return {std::make_unique<DescriptorChannel>(std::move(socket)), destination.text, {}};
}

std::string describe(const Destination& destination, const addrinfo& address) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  getnameinfo(address.ai_addr, address.ai_addrlen, host.data(), host.size(), port.data(),
              port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  const std::string scheme(destination.text, 0, destination.text.find(':') + 1);
  const std::string shown = bracketed(destination.host);
  const std::string numeric = std::string("[") + host.data() + "]";
  return scheme + shown + (shown == numeric ? "" : numeric) + ":" + port.data();
}

Dialled dial_address(const Destination& destination, const addrinfo& address,
                     const Patience& patience) {
  const std::string peer = describe(destination, address);
  Descriptor socket = new_socket(address.ai_family);
  if (!socket.valid() ||
      !connect_within(socket.number(), address.ai_addr, address.ai_addrlen, patience)) {
    return {nullptr, peer, peer + ": " + std::strerror(errno)};
  }
  const int on = 1;
  setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket.number(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  Dialled dialled{nullptr, peer, {}};
  socklen_t length = sizeof dialled.source;
  getsockname(socket.number(), reinterpret_cast<sockaddr*>(&dialled.source), &length);
  std::memcpy(&dialled.target, address.ai_addr, address.ai_addrlen);
  auto channel = std::make_unique<DescriptorChannel>(std::move(socket));
  channel->acknowledge_at_once(kOpeningWrites);
  dialled.channel = std::move(channel);
  return dialled;
}

}  // namespace

Dialled SocketDialer::dial(const Destination& destination, std::chrono::milliseconds timeout,
                           const Patience& patience) {
  const auto for_one = [&] {
    return Patience(std::min(Clock::now() + timeout, patience.latest), patience.given_up);
  };
  if (destination.family == Destination::Family::kUnix) {
    return dial_unix(destination, for_one());
  }
  const int number = destination.port_number();
  const Addresses found =
      look_up(destination.host, number > 0 ? std::to_string(number) : destination.port, for_one());
  Dialled dialled{nullptr, destination.text, destination.text + ": " + found.failure};
  dialled.unresolved = found.unknown;
  for (const addrinfo* address = found.list.get(); address != nullptr; address = address->ai_next) {
    dialled = dial_address(destination, *address, for_one());
    if (dialled.channel || patience.is_given_up()) {
      break;
    }
  }
  return dialled;
}

}  // namespace lmtpq::mailer
