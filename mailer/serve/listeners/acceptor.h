// The thread that accepts connections: poll(2) on all listening sockets, accept(2) on those that
// are ready. Clients decides whether a client is served.
//
// Without a descriptor for another client it waits for a moment and logs that once. use() may be
// called from another thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mailer/serve/listeners/clients.h"
#include "mailer/serve/listeners/listening_socket.h"

namespace lmtpq::mailer {

class Acceptor {
 public:
  Acceptor(Clients& clients, const Log& log);
  ~Acceptor();

  // Accepts on these sockets from now on. Returns when the thread has stopped using all others.
  void use(std::vector<std::shared_ptr<ListeningSocket>> sockets);
  void stop();

 private:
  using Sockets = std::vector<std::shared_ptr<ListeningSocket>>;
  void run();
  void wake() const;
  void accept_all(const ListeningSocket& socket);
  void wait_for_descriptors(const ListeningSocket& socket, const char* error);

  Clients& clients_;
  const Log& log_;
  Descriptor wakeup_fd_;  // eventfd(2): look at sockets_ again
  std::mutex mutex_;
  std::condition_variable seen_;
  Sockets sockets_;
  unsigned version_ = 0;
  unsigned seen_version_ = 0;
  bool stopping_ = false;
  bool starved_ = false;  // the last accept(2) had no free descriptor
  std::thread thread_;
};

}  // namespace lmtpq::mailer
