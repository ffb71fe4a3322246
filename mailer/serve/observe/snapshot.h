// What a running daemon does at this moment.
//
// What it is: the figures of listeners, stores and waiters, taken at once; as JSON, and read from
//   it.
// What it does not know: who shows them, and how.
// Called by: the watch takes one for whoever asks, metrics at each scrape; status reads and shows.
// Threads and lifetimes: a value; what it is taken from may change meanwhile.
// Failure: none when it is taken. What is no snapshot: std::runtime_error.
// Rules: text from outside is in escaped form (common/escape). PoolList of one destination that
// differ
//   in their settings are one store here.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "mailer/serve/listeners/clients.h"
#include "mailer/serve/observe/counter_registry.h"

namespace lmtpq::mailer {

// Where the figures are found.
struct DaemonParts {
  const CurrentConfiguration& present;
  const Clients& clients;
  const PoolRegistry& pools;
  const MailboxLimiter& mailboxes;
  CounterRegistry& tallies;
  std::chrono::system_clock::time_point started;
};

struct Snapshot {
  struct Listener {
    std::string name;  // of its section; empty: --listen's, or no longer configured
    std::string address;
    std::uint64_t clients = 0;
  };
  struct Store {
    std::string destination;
    std::uint64_t leased = 0;
    std::uint64_t idle = 0;
    std::uint64_t dialling = 0;
    std::uint64_t limit = 0;
    std::uint64_t waiting = 0;
    bool well = true;
    double rests = 0;      // seconds
    std::string sickness;  // the reason
    std::string security;
    std::uint64_t sent = 0;
    std::uint64_t deferred = 0;
    std::uint64_t refused = 0;
    std::uint64_t possible_duplicates = 0;
    double per_second = 0;  // recipients lately
    double answer = -1;     // seconds from the dot to the answer, lately; below zero: none came
  };

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
  std::uint64_t reply_lost = 0;
  std::vector<Listener> listeners;
  std::vector<Store> stores;
};

Snapshot take_snapshot(const DaemonParts& daemon);
// A second has passed: the tallies learn it, and which stores there are.
void tick(const DaemonParts& daemon);
std::string json_of(const Snapshot& snapshot);
Snapshot parse_snapshot(const std::string& json);

}  // namespace lmtpq::mailer
