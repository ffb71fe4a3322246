// The HTTP endpoint from which Prometheus scrapes the daemon's metrics.
//
// libmicrohttpd serves it, on one thread, which waits for no client. There are at most sixteen
// clients: a new one takes the place of the oldest. ConfigError for an address that cannot be used.
// The daemon's parts must outlive it. The destructor ends the thread and removes a unix socket.
#pragma once

#include <memory>
#include <string>

#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/status/snapshot.h"

namespace lmtpq::mailer {

class MetricsEndpoint {
 public:
  // `address` is ADDRESS:PORT or unix:PATH; it listens on that address only.
  MetricsEndpoint(const std::string& address, const OpenSocket& open, const DaemonParts& daemon);
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  ListeningSocket& socket() const;
  // ListeningSocket::restore(): the endpoint begins again.
  void restore(const Log& log);

 private:
  struct Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace lmtpq::mailer
