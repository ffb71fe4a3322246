#include "mailer/serve/listeners/passed_sockets.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>

#include "common/network/network.h"
#include "mailer/serve/configuration/own_listeners.h"

namespace lmtpq::mailer {
namespace {

const sockaddr* raw(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::uint16_t port_of(const sockaddr* address) {
  return ntohs(address->sa_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(address)->sin_port);
}

// Which interface a link-local address is of.
std::uint32_t zone_of(const sockaddr* address) {
  return address->sa_family == AF_INET6
             ? reinterpret_cast<const sockaddr_in6*>(address)->sin6_scope_id
             : 0;
}

// An abstract one begins with @, as ss(8) shows it.
std::string path_of(const sockaddr_storage& address) {
  const auto* const local = reinterpret_cast<const sockaddr_un*>(&address);
  return local->sun_path[0] == '\0' && local->sun_path[1] != '\0'
             ? '@' + std::string(local->sun_path + 1)
             : std::string(local->sun_path);
}

int option(const Descriptor& socket, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(socket.number(), SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool contains(const std::vector<PassedSocket>& list, const PassedSocket& socket) {
  return std::find(list.begin(), list.end(), socket) != list.end();
}

}  // namespace

PassedSockets PassedSockets::take(std::vector<PassedDescriptor> descriptors) {
  PassedSockets made;
  for (PassedDescriptor& passed : descriptors) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    getsockname(passed.socket.number(), reinterpret_cast<sockaddr*>(&address), &size);
    made.sockets_.push_back({std::move(passed.name), address,
                             std::make_shared<const Descriptor>(std::move(passed.socket))});
    const Passed& last = made.sockets_.back();
    if (const char* const fault = last.fault()) {
      throw ConfigError("LISTEN_FDS: systemd passed " + last.text() + ", which is " + fault +
                        "; use ListenStream= and Accept=no in its unit");
    }
  }
  return made;
}

const char* PassedSockets::Passed::fault() const {
  switch (option(*socket, SO_TYPE)) {
    case SOCK_STREAM:
      break;
    case SOCK_DGRAM:
      return "a datagram socket";
    case SOCK_SEQPACKET:
      return "a socket of sequential packets";
    case -1:
      return "no socket";
    default:
      return "no stream socket";
  }
  const int domain = option(*socket, SO_DOMAIN);
  if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6) {
    return "no unix or inet socket";
  }
  if (option(*socket, SO_ACCEPTCONN) == 1) {
    return nullptr;
  }
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return getpeername(socket->number(), reinterpret_cast<sockaddr*>(&peer), &size) == 0
             ? "the connection of one client"
             : "a socket that does not listen";
}

std::string PassedSockets::Passed::text() const {
  if (address.ss_family == AF_UNIX) {
    return name + " (unix:" + path_of(address) + ')';
  }
  const auto known = Address::of(raw(address));
  return name +
         (known ? " (inet:" + known->shown() + ':' + std::to_string(port_of(raw(address))) + ')'
                : " (no unix or inet socket)");
}

bool PassedSockets::Passed::is_at(const Destination& listener, const GivenUp& given_up) const {
  if (listener.family == Destination::Family::kUnix) {
    return address.ss_family == AF_UNIX && path_of(address).starts_with('/') &&
           same_file(path_of(address), listener.host);
  }
  const auto own = Address::of(raw(address));
  if (!own || port_of(raw(address)) != listener.port_number()) {
    return false;
  }
  const auto list = look_up(listener, given_up);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    if (Address::of(entry->ai_addr) == own && zone_of(entry->ai_addr) == zone_of(raw(address))) {
      return true;
    }
  }
  return false;
}

template <typename Fits>
PassedSocket PassedSockets::only(const ListenerSettings& listener,
                                 const std::vector<PassedSocket>& used, Fits fits) const {
  const Passed* found = nullptr;
  for (const Passed& passed : sockets_) {
    if (contains(used, passed.socket) || !fits(passed)) {
      continue;
    }
    if (found != nullptr) {
      throw ConfigError(listener.place + ": systemd passed two sockets for this listener, " +
                        found->text() + " and " + passed.text() + "; remove one of them");
    }
    found = &passed;
  }
  return found == nullptr ? nullptr : found->socket;
}

std::vector<PassedSocket> PassedSockets::assign(
    const std::vector<const ListenerSettings*>& listeners, std::vector<PassedSocket> used,
    const GivenUp& given_up) const {
  std::vector<PassedSocket> made;
  for (const ListenerSettings* listener : listeners) {
    made.push_back(only(*listener, used, [&](const Passed& passed) {
      return passed.is_at(listener->address, given_up);
    }));
    const auto earlier = std::find(made.begin(), made.end() - 1, made.back());
    if (made.back() && earlier != made.end() - 1) {
      const std::size_t other = static_cast<std::size_t>(earlier - made.begin());
      throw ConfigError(listener->place + ": its address is the same as that of " +
                        name_of(*listeners[other]) + "; remove one of them");
    }
  }
  used.insert(used.end(), made.begin(), made.end());
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const std::string& name = listeners[i]->name;
    if (!made[i] && !name.empty()) {
      made[i] =
          only(*listeners[i], used, [&](const Passed& passed) { return passed.name == name; });
    }
  }
  return made;
}

std::vector<std::string> PassedSockets::left(const std::vector<PassedSocket>& used) const {
  std::vector<std::string> texts;
  for (const Passed& passed : sockets_) {
    if (!contains(used, passed.socket)) {
      texts.push_back(passed.text());
    }
  }
  return texts;
}

}  // namespace lmtpq::mailer
