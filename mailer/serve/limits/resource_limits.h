// The daemon's limits of memory and descriptors: how many clients there are descriptors for, and
// the log lines when there is too little of either.
//
// Used by the main thread. The parts of the daemon must outlive it.
#pragma once

#include "common/log/log.h"
#include "mailer/memory/memory_budget.h"
#include "mailer/serve/listeners/clients.h"
#include "mailer/serve/pools/pool_registry.h"

namespace lmtpq::mailer {

// What `memory-limit` is, or what takes its place: half of what the cgroup may have, since the
// kernel counts socket buffers too, or 512 MiB.
std::uint64_t memory_limit(const ServeSettings& settings);

// For the sockets of listeners, status and metrics.
std::size_t socket_descriptors(const DaemonSettings& settings);
// ConfigError with the figure that is missing where the process may not have enough descriptors to
// serve a single client.
void require_descriptors(const DaemonSettings& settings);

struct DescriptorNeeds {
  // For each client its socket and the file of its message.
  static constexpr std::size_t kEachClient = 2;
  // What does not depend on clients: connections to stores and their dials, listeners, threads; and
  // the reserve for the log, key files, LDAP, control and metrics clients.
  static constexpr std::size_t kReserve = 64;
  std::size_t others = kReserve;
  std::size_t clients = 0;

  std::size_t all() const { return others + kEachClient * clients; }
  // For how many clients `limit` descriptors are enough; one at least.
  std::size_t affordable(std::size_t limit) const;
};

class ResourceLimits {
 public:
  ResourceLimits(const CurrentConfiguration& current, const PoolRegistry& pools, Clients& clients,
                 MemoryBudget& memory, const Log& log);

  // At start and after each reload: takes over the settings, and warns if descriptors are missing.
  void take_over();
  // Each second: routes may have brought more stores, and messages may have been refused.
  void look(Clock::time_point now = Clock::now());

 private:
  DescriptorNeeds needs() const;

  const CurrentConfiguration& current_;
  const PoolRegistry& pools_;
  Clients& clients_;
  MemoryBudget& memory_;
  const Log& log_;
  std::uint64_t reported_ = 0;  // refused messages that the log has
  Clock::time_point next_report_;
};

}  // namespace lmtpq::mailer
