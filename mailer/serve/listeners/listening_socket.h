// The sockets that clients connect to. A listener gets the one that systemd passed for it
// (PassedSockets), otherwise a new one: unix (common/network/unix_socket.h) or TCP.
//
// Made in the main thread; accept() is for one thread. A passed socket is neither locked nor
// removed. ConfigError has the address and the remedy.
#pragma once

#include <netdb.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "common/network/unix_socket.h"
#include "mailer/settings/client_list.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

using PassedSocket = std::shared_ptr<const Descriptor>;

class ListeningSocket {
 public:
  ListeningSocket(const Destination& address, const ListenerOptions& settings);
  ListeningSocket(const Destination& address, PassedSocket passed);

  int number() const;
  const Destination& address() const { return address_; }
  const PassedSocket& passed() const { return passed_; }  // nullptr: it is our own
  // Without waiting. Invalid: no client was there, or no descriptor is free (errno).
  Descriptor accept(Client& client) const;
  // The names of the file's options that differ from those with which it was made. None for a
  // passed socket and for TCP, which have no such options.
  std::vector<const char*> changed(const ListenerOptions& settings) const;
  // UnixSocket::restore(). true: what polls the descriptor has to begin again.
  bool restore(const Log& log);

 private:
  void listen_inet();

  Destination address_;
  PassedSocket passed_;
  std::optional<UnixSocket> unix_;
  Descriptor inet_;
  mode_t mode_ = 0;
  std::string owner_;
};

// Mode and owner of a unix socket. ConfigError where there is no such user or group.
UnixSocket::Access access_of(const ListenerOptions& settings);

// The addresses of an inet listener; it listens on the first. ConfigError.
std::unique_ptr<addrinfo, void (*)(addrinfo*)> look_up(const Destination& address);

}  // namespace lmtpq::mailer
