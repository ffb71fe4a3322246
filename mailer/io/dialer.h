// Opens connections to destinations.
//
// An interface (the tests have a scripted one), and its real form over sockets: unix and TCP, every
// address of a host in turn, the name looked up under the same deadline. Failure is a
// null channel and the reason: host, address, strerror(3).
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <string>

#include "mailer/io/channel.h"
#include "mailer/io/waiting.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

struct Dialled {
  std::unique_ptr<Channel> channel;  // null: `failure` says why
  std::string peer;  // for the log: unix:PATH, inet:HOST[ADDRESS]:PORT, inet:[IPv6]:PORT
  std::string failure;
  bool unresolved = false;    // no answer from the resolver, which says nothing about the store
  sockaddr_storage source{};  // our end of the connection
  sockaddr_storage target{};  // the store's
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  // `timeout` is for each address; `patience` for all of it.
  virtual Dialled dial(const Destination& destination, std::chrono::milliseconds timeout,
                       const Patience& patience) = 0;
};

class SocketDialer : public Dialer {
 public:
  Dialled dial(const Destination& destination, std::chrono::milliseconds timeout,
               const Patience& patience) override;
};

}  // namespace lmtpq::mailer
