// The figures of a running daemon at one moment: listeners, stores, waiting deliveries.
//
// take_snapshot() reads them for the control socket and the metrics; json_of() and parse_snapshot()
// are the form in which the control socket sends them to `serve --status`. The figures may change
// while they are read, so sums need not agree exactly. Text from outside is escaped
// (common/escape). Pools of one destination with different settings are one store here.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "mailer/serve/counters/counter_registry.h"
#include "mailer/serve/listeners/clients.h"

namespace lmtpq::mailer {

// The parts of the daemon that have the figures.
struct DaemonParts {
  const CurrentConfiguration& current;
  const Clients& clients;
  const PoolRegistry& pools;
  const MailboxLimiter& mailboxes;
  const MemoryBudget& memory;
  CounterRegistry& counters;
  const Log& log;
  std::chrono::system_clock::time_point started;
  Clock::time_point began;  // the same moment, for what must not follow the wall clock
};

struct ListenerStatus {
  std::string name;  // of its section; empty: --listen's, or no longer configured
  std::string address;
  std::uint64_t clients = 0;
};

struct StoreStatus {
  std::string destination;
  std::uint64_t leased = 0;
  std::uint64_t idle = 0;
  std::uint64_t dialling = 0;
  std::uint64_t limit = 0;  // 0: it has no pool; it is no longer configured
  std::uint64_t waiting = 0;
  bool up = true;        // the last dial succeeded
  double retry_in = 0;   // seconds until a store that is down is dialled again
  std::string failure;   // of the last dial, if the store is down
  std::string security;  // "tls=... auth=..." of the latest connection
  std::uint64_t sent = 0;
  std::uint64_t deferred = 0;
  std::uint64_t refused = 0;
  std::uint64_t possible_duplicates = 0;
  double per_second = 0;  // recipients, over the last ten seconds
  double answer = -1;     // mean seconds from end of data to the reply, likewise; below 0: no reply
};

struct Snapshot {
  std::string version;
  std::uint64_t pid = 0;
  std::uint64_t uptime = 0;  // seconds
  std::uint64_t reloads = 0;
  std::uint64_t failed_reloads = 0;
  std::uint64_t clients = 0;
  std::uint64_t most_clients = 0;
  std::uint64_t mailbox_waiters = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t spooled = 0;
  std::uint64_t replies_lost = 0;
  std::uint64_t log_lines_dropped = 0;
  std::vector<ListenerStatus> listeners;
  std::vector<StoreStatus> stores;
};

Snapshot take_snapshot(const DaemonParts& daemon);
// Called each second: tells the counters which stores there are, and lets them sample the rates.
void sample_rates(const DaemonParts& daemon);
// One line.
std::string json_of(const Snapshot& snapshot);
// std::runtime_error for text that is not a snapshot.
Snapshot parse_snapshot(const std::string& json);

}  // namespace lmtpq::mailer
