// Opens connections to destinations.
//
// What it is: the seam through which delivery reaches the world, and its real form over sockets:
//   unix and TCP, every address of a host in turn, the name looked up under the same deadline.
// What it does not know: LMTP; what a failed dial means for the mail.
// Called by: delivery, probe. The tests have a scripted one.
// Threads and lifetimes: stateless.
// Failure: a null channel, and the reason in words (host, address, strerror).
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <string>

#include "mailer/io/channel.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

struct Dialed {
  std::unique_ptr<Channel> channel;  // null: `failure` says why
  std::string peer;                  // for the log: unix:PATH or inet:HOST[ADDRESS]:PORT
  std::string failure;
  sockaddr_storage source{};  // our end of the connection, and the store's
  sockaddr_storage target{};
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  // `timeout` is for each address; `latest` for all of it.
  virtual Dialed dial(const Destination& destination, std::chrono::milliseconds timeout,
                      Deadline latest) = 0;
};

class SocketDialer : public Dialer {
 public:
  Dialed dial(const Destination& destination, std::chrono::milliseconds timeout,
              Deadline latest) override;
};

}  // namespace lmtpq::mailer
