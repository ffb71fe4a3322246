// Those who are connected to us.
//
// What it is: a fiber for each client, with a Session; how many there are, and may be; their end
//   when the daemon is told to stop.
// What it does not know: listening, configuration files, stores.
// Called by: the acceptor admits, the daemon drains.
// Threads and lifetimes: admit() and the rest may be called from several threads; outlives the
//   sessions, for whose end wait() waits.
// Failure: who cannot be served is told 421 and closed; a session's exception ends that session.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "mailer/delivery/delivery.h"
#include "mailer/serve/configuration/configuration.h"
#include "mailer/serve/fibers/reactor.h"
#include "mailer/settings/client_list.h"

namespace lmtpq::mailer {

class Clients {
 public:
  Clients(const CurrentConfiguration& present, const Log& log, Shared shared, std::size_t threads);

  // A client who dialled the listener of this address.
  void admit(Descriptor socket, const Client& client, const std::string& address);

  std::size_t count() const;
  std::map<std::string, std::size_t> count_by_listener() const;

  // Sessions end between messages from now on; nobody is admitted.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }
  // Has those who wait for their client look up, so that they see it; returns when none is left, or
  // false at the deadline.
  bool wait(Deadline deadline);
  // Reads no more from any client: who was in the middle of a message still has it.
  void cut();

 private:
  struct Entry {
    int socket = -1;
    Client client;
    std::string address;  // the listener's
  };
  using Entries = std::list<Entry>;

  struct Objection {
    Dismissal kind;
    std::string reply;
  };

  std::optional<Objection> objection(const Client& client, const Door& door) const;
  void refuse(const Descriptor& socket, const Client& client, const std::string& address,
              const Objection& objection);
  void start(Descriptor socket, Entries::iterator entry, std::shared_ptr<const Configuration> site);
  void serve(Descriptor socket, Entries::iterator entry, std::shared_ptr<const Configuration> site);
  void leave(Entries::iterator entry);

  const CurrentConfiguration& present_;
  const Log& log_;
  const Shared shared_;
  std::atomic<bool> draining_ = false;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  Entries entries_;
  std::map<std::string, std::size_t> by_client_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::atomic<std::size_t> next_ = 0;  // of them, for the next client
};

}  // namespace lmtpq::mailer
