// The sockets that clients connect to. A listener gets the one that systemd passed for it
// (PassedSockets), otherwise a new one: unix (common/network/unix_socket.h) or TCP.
//
// In an upgrade the next process takes them over (HandedSocket), and both have them for a moment.
//
// Made in the main thread; accept() is for one thread. A passed socket is neither locked, removed
// nor opened again. ConfigError has the address and the remedy.
#pragma once

#include <netdb.h>

#include <functional>
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
using GivenUp = std::function<bool()>;  // a look-up is to end: asked once a second

// A socket of the process that this one takes the place of.
struct HandedSocket {
  std::string address;
  mode_t mode = 0;  // with these it was made
  std::string owner;
  // The one that listens; of a unix socket also its lock and its file (UnixSocket::Descriptors).
  std::vector<Descriptor> descriptors;
};

class ListeningSocket {
 public:
  ListeningSocket(const Destination& address, const ListenerOptions& settings,
                  const GivenUp& given_up = nullptr);
  ListeningSocket(const Destination& address, PassedSocket passed);
  // Shared until share(false). ConfigError where descriptors are missing.
  ListeningSocket(const Destination& address, HandedSocket handed);

  int number() const;
  // What the next process gets as HandedSocket::descriptors.
  std::vector<int> numbers() const;
  mode_t mode() const { return mode_; }
  const std::string& owner() const { return owner_; }
  // UnixSocket::share().
  void share(bool shared);
  const Destination& address() const { return address_; }
  const PassedSocket& passed() const { return passed_; }  // nullptr: it is our own
  // Without waiting. Invalid: no client was there, or no descriptor is free (errno).
  Descriptor accept(Client& client) const;
  // The names of the file's options that differ from those with which it was made. None for a
  // passed socket and for TCP, which have no such options.
  std::vector<const char*> changed(const ListenerOptions& settings) const;
  // UnixSocket::restore(). true: what polls the descriptor has to begin again. That the file of a
  // passed socket was removed or replaced is logged, once.
  bool restore(const Log& log);

 private:
  // By which clients find a passed socket; empty: they need none, or it cannot be seen from here.
  struct PassedFile {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
  };

  void listen_inet(const GivenUp& given_up);
  void watch_passed_file();
  void report_lost_file(const Log& log);

  Destination address_;
  PassedSocket passed_;
  PassedFile passed_file_;
  std::optional<UnixSocket> unix_;
  Descriptor inet_;
  mode_t mode_ = 0;
  std::string owner_;
};

// Makes a socket with this address, or takes over the one that was handed to this process.
using OpenSocket =
    std::function<std::shared_ptr<ListeningSocket>(const Destination&, const ListenerOptions&)>;

// Mode and owner of a unix socket. ConfigError where there is no such user or group.
UnixSocket::Access access_of(const ListenerOptions& settings);

// The addresses of an inet listener; it listens on the first. ConfigError.
std::shared_ptr<const addrinfo> look_up(const Destination& address,
                                        const GivenUp& given_up = nullptr);

}  // namespace lmtpq::mailer
