#include "mailer/store/pool_list.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace lmtpq::mailer {
namespace {

// Sorted by these, stores come in a random order in which the weights are the chances of each to be
// the first (Efraimidis and Spirakis, 2006).
double lot(unsigned weight) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double chance = std::uniform_real_distribution<>(1e-12, 1.0)(random);
  return -std::log(chance) / weight;
}

double load(const ConnectionPool& pool) {
  const ConnectionPool::Figures figures = pool.figures();
  return static_cast<double>(figures.leased + figures.dialling + figures.waiting) /
         pool.store().settings.pool.weight;
}

}  // namespace

PoolList::PoolList(const Settings& settings, Dialer& dialer, const Log& log,
                   ConnectionPool::Limits limits) {
  for (const Store& store : settings.stores) {
    stores_.push_back(std::make_shared<ConnectionPool>(
        std::make_unique<Connector>(store, settings, dialer, log), limits));
  }
}

PoolList::PoolList(Shared stores, Balance balance)
    : stores_(std::move(stores)), balance_(balance) {}

std::vector<ConnectionPool*> PoolList::order() const {
  struct Ranked {
    bool sick;
    double rank;
    ConnectionPool* pool;
  };
  std::vector<Ranked> ranked;
  ranked.reserve(stores_.size());
  for (const auto& store : stores_) {
    const double rank = balance_ == Balance::kWeight      ? lot(store->store().settings.pool.weight)
                        : balance_ == Balance::kLeastUsed ? load(*store)
                                                          : 0;
    ranked.push_back({stores_.size() > 1 && !store->well(), rank, store.get()});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.sick != b.sick ? b.sick : a.rank < b.rank;
  });
  std::vector<ConnectionPool*> made;
  made.reserve(ranked.size());
  for (const Ranked& entry : ranked) {
    made.push_back(entry.pool);
  }
  return made;
}

Lease PoolList::take_kept() {
  if (balance_ == Balance::kKept) {
    for (const auto& store : stores_) {
      if (Lease lease = store->take_idle()) {
        return lease;
      }
    }
  }
  return {};
}

bool PoolList::has_idle() const {
  return balance_ == Balance::kKept &&
         std::any_of(stores_.begin(), stores_.end(),
                     [](const auto& store) { return store->has_idle(); });
}

void PoolList::drop_idle() {
  if (balance_ == Balance::kKept) {
    for (const auto& store : stores_) {
      store->drop_idle();
    }
  }
}

}  // namespace lmtpq::mailer
