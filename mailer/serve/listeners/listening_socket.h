// The sockets that clients dial.
//
// What it is: a listening socket for each listener: one that systemd passed, else a new one, unix
//   (mode, owner; a stale socket file is replaced) or TCP; and who has dialled.
// What it does not know: what is done with a client.
// Called by: the daemon at start and at each SIGHUP; the acceptor accepts.
// Threads and lifetimes: made in the main thread. A unix socket's file goes with the object, unless
//   it was passed.
// Failure: ConfigError with the address and the remedy.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "mailer/settings/client_list.h"
#include "mailer/settings/load.h"

namespace lmtpq::mailer {

class ListeningSocket {
 public:
  ListeningSocket(const Destination& address, const ListenerSettings& settings);
  ListeningSocket(const Destination& address, Descriptor passed);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  int number() const { return socket_.number(); }
  const Destination& address() const { return address_; }
  // Without waiting; invalid: nobody was there, or no descriptor is free (errno).
  Descriptor accept(Client& client) const;
  // Takes no more clients, and gives the address back.
  void close();

 private:
  explicit ListeningSocket(const Destination& address) : address_(address) {}
  void listen_unix(const ListenerSettings& settings);
  void listen_inet();

  Destination address_;
  Descriptor socket_;
  std::string path_;  // of the file that is ours to remove
};

// What systemd passed (sd_listen_fds(3)), by its address, or by its FileDescriptorName=, for a
// listener of that name. The address counts more: a unit has one name for all its sockets.
class PassedSockets {
 public:
  static PassedSockets take();
  Descriptor find(const Listener& listener);
  // Names of those that no listener took.
  std::vector<std::string> left() const;

 private:
  struct Passed {
    std::string name;
    std::string address;
    Descriptor socket;
  };
  std::vector<Passed> sockets_;
};

}  // namespace lmtpq::mailer
