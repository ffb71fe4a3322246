#include "mailer/store/store_order.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace lmtpq::mailer {
namespace {

// Sorting by these values puts stores in a random order, in which each store's chance to be the
// first is in proportion to its weight (Efraimidis and Spirakis, 2006).
double random_rank(unsigned weight) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double chance = std::uniform_real_distribution<>(1e-12, 1.0)(random);
  return -std::log(chance) / weight;
}

double load(const ConnectionPool& pool) {
  const ConnectionPool::Figures figures = pool.figures();
  return static_cast<double>(figures.leased + figures.dialling + figures.waiting) /
         pool.store().settings.pool.weight;
}

double rank(const ConnectionPool& pool, Balance balance) {
  switch (balance) {
    case Balance::kWeight:
      return random_rank(pool.store().settings.pool.weight);
    case Balance::kLeastUsed:
      return load(pool);
    case Balance::kOrder:
    case Balance::kReuse:
      break;
  }
  return 0;  // as listed: the sort is stable
}

}  // namespace

std::vector<ConnectionPool*> store_order(const SharedPools& pools, Balance balance) {
  if (pools.size() == 1) {
    return {pools.front().get()};
  }
  struct Ranked {
    bool down;
    double rank;
    ConnectionPool* pool;
  };
  std::vector<Ranked> ranked;
  ranked.reserve(pools.size());
  for (const auto& pool : pools) {
    ranked.push_back({!pool->up(), rank(*pool, balance), pool.get()});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.down != b.down ? b.down : a.rank < b.rank;
  });
  std::vector<ConnectionPool*> ordered;
  ordered.reserve(ranked.size());
  for (const Ranked& entry : ranked) {
    ordered.push_back(entry.pool);
  }
  return ordered;
}

}  // namespace lmtpq::mailer
