// The sockets that clients connect to. A listener gets the one that systemd passed for it
// (PassedSockets), otherwise a new one: unix (with mode and owner; a stale socket file is replaced)
// or TCP.
//
// Made in the main thread; accept() is for one thread. The destructor removes a unix socket's file,
// unless the socket was passed. ConfigError has the address and the remedy.
#pragma once

#include <string>

#include "common/descriptor.h"
#include "mailer/settings/client_list.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

class ListeningSocket {
 public:
  ListeningSocket(const Destination& address, const ListenerOptions& settings);
  ListeningSocket(const Destination& address, Descriptor passed);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  int number() const { return socket_.number(); }
  const Destination& address() const { return address_; }
  // Without waiting. Invalid: no client was there, or no descriptor is free (errno).
  Descriptor accept(Client& client) const;
  // The names of the file's options that differ from those with which it was made. None for a
  // passed socket and for TCP, which have no such options.
  std::vector<const char*> changed(const ListenerOptions& settings) const;
  // Accepts no more clients, and frees the address.
  void close();

 private:
  explicit ListeningSocket(const Destination& address) : address_(address) {}
  void listen_unix(const ListenerOptions& settings);
  void listen_inet();

  Destination address_;
  Descriptor socket_;
  std::string path_;  // the file that we have to remove; empty: none
  mode_t mode_ = 0;
  std::string owner_;
};

}  // namespace lmtpq::mailer
