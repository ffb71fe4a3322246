// The connected clients: a fiber with an LmtpSession for each, how many there are and may be, and
// their end when the daemon drains.
//
// What a client may do is judged when it connects and again before each of its messages: a reload
// may have changed it. An idle client holds no Configuration.
//
// admit() and the others may be called from several threads; outlives the sessions, for whose end
// wait() waits. A client that cannot be served is sent 421 and closed; an exception in a session
// ends that session.
#pragma once

#include <atomic>
#include <condition_variable>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "mailer/delivery/delivery.h"
#include "mailer/lmtp/lmtp_server.h"
#include "mailer/serve/configuration/listener_delivery.h"
#include "mailer/serve/fibers/reactor.h"
#include "mailer/settings/client_list.h"

namespace lmtpq::mailer {

class Clients {
 public:
  Clients(const CurrentConfiguration& current, const Log& log, DeliveryServices services,
          std::size_t threads);

  // There are descriptors for this many, whatever `max-clients` says. full(): none should be
  // admitted until one leaves.
  void limit_to(std::size_t most) { most_ = most; }
  bool full() const { return count() >= most_; }
  // Serves a client that connected to the listener of this address, or refuses it.
  void admit(Descriptor socket, const Client& client, const std::string& address);

  std::size_t count() const;
  std::map<std::string, std::size_t> count_by_listener() const;

  // From now on sessions end between messages, and no client is admitted. A client that is about to
  // send MAIL after LHLO or RSET has 3 seconds.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }
  // Wakes the sessions that wait for their client, so that they notice draining(). True: none is
  // left; false: some are left at the deadline.
  bool wait(Deadline deadline);
  // Reads no more from any client. One in the middle of a message still has it.
  void cut();
  // Writes no more either: sessions whose clients do not read their replies log those and end.
  void disconnect();

 private:
  struct Entry {
    int socket = -1;
    Client client;
    std::string address;  // of the listener
  };
  using Entries = std::list<Entry>;

  struct Refusal {
    ClientRefusal reason;
    Objection objection;
  };

  std::optional<Refusal> enter(const Client& client, const Listener& listener, int socket,
                               const std::string& address, Entries::iterator& entry);
  std::optional<Refusal> refusal(const Client& client, const Listener& listener) const;
  std::optional<Refusal> refusal_now(const Entry& entry, const Listener* listener,
                                     bool trusted) const;
  std::optional<Objection> judge(const Entry& entry, bool trusted, ListenerDelivery& agent);
  void report(const Refusal& refusal, const Client& client, const std::string& address);
  void refuse(const Descriptor& socket, const Client& client, const std::string& address,
              const Refusal& refusal);
  void start(Descriptor socket, Entries::iterator entry,
             std::shared_ptr<const Configuration> configuration);
  void serve(Descriptor socket, Entries::iterator entry,
             std::shared_ptr<const Configuration> configuration);
  void leave(Entries::iterator entry);
  void shut_down(int how);

  const CurrentConfiguration& current_;
  const Log& log_;
  const DeliveryServices services_;
  std::atomic<bool> draining_ = false;
  std::atomic<std::size_t> most_ = std::numeric_limits<std::size_t>::max();
  mutable std::mutex mutex_;
  std::condition_variable left_;
  Entries entries_;
  std::map<std::string, std::size_t> by_client_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::atomic<std::size_t> next_ = 0;  // index of the reactor for the next client
};

}  // namespace lmtpq::mailer
