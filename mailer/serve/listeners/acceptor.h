// The thread that accepts.
//
// What it is: poll(2) on all listening sockets, and accept(2) on those that have somebody.
// What it does not know: who may come in, and what is done with him (Clients).
// Called by: the daemon.
// Threads and lifetimes: one thread of its own from start() to stop(); use() may be called from
//   another.
// Failure: without a free descriptor it waits a moment, and says so once.
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

  // Listens on these from now on. Returns when none of the former others is in use any more.
  void use(std::vector<std::shared_ptr<ListeningSocket>> sockets);
  void stop();

 private:
  using Sockets = std::vector<std::shared_ptr<ListeningSocket>>;
  void run();
  void wake() const;
  void accept_all(const ListeningSocket& socket);

  Clients& clients_;
  const Log& log_;
  Descriptor wakeup_fd_;  // eventfd(2): look at sockets_ again
  std::mutex mutex_;
  std::condition_variable seen_;
  Sockets sockets_;
  unsigned version_ = 0;
  unsigned seen_version_ = 0;
  bool stopping_ = false;
  bool starved_ = false;  // the last accept had no descriptor
  std::thread thread_;
};

}  // namespace lmtpq::mailer
