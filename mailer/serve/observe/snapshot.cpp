#include "mailer/serve/observe/snapshot.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "common/escape.h"

namespace lmtpq::mailer {
namespace {

using Stores = std::map<std::string, Snapshot::Store>;

std::vector<Snapshot::Listener> listeners_of(const DaemonParts& daemon, const Configuration& site) {
  std::vector<Snapshot::Listener> made;
  std::map<std::string, std::size_t> clients = daemon.clients.count_by_listener();
  for (const Listener& listener : site.settings().listeners) {
    const std::string& address = listener.address.text;
    made.push_back({escaped(listener.name), escaped(address), clients[address]});
    clients.erase(address);
  }
  for (const auto& [address, number] : clients) {
    made.push_back({"", escaped(address), number});
  }
  return made;
}

void add_pool(const ConnectionPool& pool, Snapshot::Store& store) {
  const ConnectionPool::Figures figures = pool.figures();
  store.leased += figures.leased;
  store.idle += figures.idle;
  store.dialling += figures.dialling;
  store.limit += figures.limit;
  store.waiting += figures.waiting;
  store.security = escaped(pool.security());
  if (!figures.up) {
    store.well = false;
    store.rests = std::max(store.rests, std::chrono::duration<double>(figures.retry_in).count());
    store.sickness = escaped(figures.failure);
  }
}

void add_tally(const Counters& tally, Clock::time_point now, Snapshot::Store& store) {
  const Recent::Sample sample = tally.sample(now);
  store.sent = tally.decided(Fate::kDelivered);
  store.deferred = tally.decided(Fate::kTemporary);
  store.refused = tally.decided(Fate::kPermanent);
  store.possible_duplicates = tally.possible_duplicates;
  store.per_second = tally.recent.per_second(sample);
  store.answer = tally.recent.mean_answer(sample);
}

void note_stores(const DaemonParts& daemon, const SharedPools& pools, Clock::time_point now) {
  std::vector<std::string> destinations;
  for (const auto& pool : pools) {
    destinations.push_back(pool->store().destination.text);
  }
  daemon.tallies.present(destinations, now);
}

// Those of a pool, and what else was counted: one that has gone is of interest for a while.
Stores stores_of(const DaemonParts& daemon, Clock::time_point now) {
  Stores made;
  const auto pools = daemon.pools.all();
  note_stores(daemon, pools, now);
  for (const auto& pool : pools) {
    add_pool(*pool, made[daemon.tallies.label(pool->store().destination.text)]);
  }
  daemon.tallies.each([&](const std::string& destination, const Counters& tally) {
    if (made.contains(destination) || tally.any_decided()) {
      add_tally(tally, now, made[destination]);
    }
  });
  return made;
}

void add_own(const DaemonCounters& own, Snapshot& made) {
  made.reloads = own.reloads;
  made.failed_reloads = own.failed_reloads;
  made.messages = own.messages;
  made.bytes = own.bytes;
  made.spooled = own.spooled;
  made.reply_lost = own.reply_lost;
}

}  // namespace

void tick(const DaemonParts& daemon) {
  const Clock::time_point now = Clock::now();
  note_stores(daemon, daemon.pools.all(), now);
  daemon.tallies.sample(now);
}

Snapshot take_snapshot(const DaemonParts& daemon) {
  Snapshot made;
  const std::shared_ptr<const Configuration> site = daemon.present.get();
  made.version = LMTPQ_VERSION;
  made.pid = static_cast<std::uint64_t>(getpid());
  made.uptime = static_cast<std::uint64_t>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() -
                                                          daemon.started)
             .count()));
  made.clients = daemon.clients.count();
  made.most_clients = site->settings().process.serve.max_clients;
  made.mailbox_waiters = daemon.mailboxes.waiting();
  add_own(daemon.tallies.own(), made);
  made.listeners = listeners_of(daemon, *site);
  for (auto& [destination, store] : stores_of(daemon, Clock::now())) {
    store.destination = escaped(destination);
    made.stores.push_back(std::move(store));
  }
  return made;
}

}  // namespace lmtpq::mailer
