#include "mailer/serve/status/snapshot.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "common/escape.h"
#include "common/version.h"

namespace lmtpq::mailer {
namespace {

using Stores = std::map<std::string, StoreStatus>;

std::vector<ListenerStatus> listeners_of(const DaemonParts& daemon,
                                         const Configuration& configuration) {
  std::vector<ListenerStatus> made;
  std::map<std::string, std::size_t> clients = daemon.clients.count_by_listener();
  for (const ListenerSettings& listener : configuration.settings().listeners) {
    const std::string& address = listener.address.text;
    made.push_back({escaped(listener.name), escaped(address), clients[address]});
    clients.erase(address);
  }
  for (const auto& [address, number] : clients) {
    made.push_back({"", escaped(address), number});
  }
  return made;
}

void add_pool(const ConnectionPool& pool, StoreStatus& store) {
  const ConnectionPool::Figures figures = pool.figures();
  store.leased += figures.leased;
  store.idle += figures.idle;
  store.dialling += figures.dialling;
  store.limit += figures.limit;
  store.waiting += figures.waiting;
  store.security = escaped(pool.security());
  if (!figures.up) {
    store.up = false;
    store.retry_in =
        std::max(store.retry_in, std::chrono::duration<double>(figures.retry_in).count());
    store.failure = escaped(figures.failure);
  }
}

void add_counters(const Counters& counters, Clock::time_point now, StoreStatus& store) {
  const RecentRates::Sample sample = counters.sample(now);
  store.sent = counters.decided(Fate::kDelivered);
  store.deferred = counters.decided(Fate::kTemporary);
  store.refused = counters.decided(Fate::kPermanent);
  store.possible_duplicates = counters.possible_duplicates;
  store.per_second = counters.recent.per_second(sample);
  store.answer = counters.recent.mean_answer(sample);
}

void report_stores(const DaemonParts& daemon, const SharedPools& pools, Clock::time_point now) {
  std::vector<std::string> destinations;
  for (const auto& pool : pools) {
    destinations.push_back(pool->store().destination.text);
  }
  daemon.counters.present(destinations, now);
}

// Stores that have a pool, and those that had one lately: their counters are still of interest.
Stores stores_of(const DaemonParts& daemon, Clock::time_point now) {
  Stores made;
  const auto pools = daemon.pools.all();
  report_stores(daemon, pools, now);
  for (const auto& pool : pools) {
    add_pool(*pool, made[daemon.counters.label(pool->store().destination.text)]);
  }
  daemon.counters.each([&](const std::string& destination, const Counters& counters) {
    if (made.contains(destination) || counters.any_decided()) {
      add_counters(counters, now, made[destination]);
    }
  });
  return made;
}

void add_daemon(const DaemonCounters& own, Snapshot& made) {
  made.reloads = own.reloads;
  made.failed_reloads = own.failed_reloads;
  made.messages = own.messages;
  made.bytes = own.bytes;
  made.spooled = own.spooled;
  made.replies_lost = own.reply_lost;
}

}  // namespace

void sample_rates(const DaemonParts& daemon) {
  const Clock::time_point now = Clock::now();
  report_stores(daemon, daemon.pools.all(), now);
  daemon.counters.sample(now);
}

Snapshot take_snapshot(const DaemonParts& daemon) {
  Snapshot made;
  const std::shared_ptr<const Configuration> configuration = daemon.current.get();
  made.version = kVersion;
  made.pid = static_cast<std::uint64_t>(getpid());
  made.uptime = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - daemon.began).count());
  made.clients = daemon.clients.count();
  made.most_clients = configuration->settings().process.serve.max_clients;
  made.mailbox_waiters = daemon.mailboxes.waiting();
  add_daemon(daemon.counters.own(), made);
  made.log_lines_dropped = daemon.log.dropped();
  made.listeners = listeners_of(daemon, *configuration);
  for (auto& [destination, store] : stores_of(daemon, Clock::now())) {
    store.destination = escaped(destination);
    made.stores.push_back(std::move(store));
  }
  return made;
}

}  // namespace lmtpq::mailer
