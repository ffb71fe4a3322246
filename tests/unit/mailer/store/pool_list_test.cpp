#include "mailer/store/pool_list.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cmath>
#include <map>

#include "tests/unit/mailer/store/pool_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

// The stores a, b and c, weighing 1, 2 and 5, shared by PoolList of every balance.
struct Three {
  Three()
      : world({}, {"unix:/a", "unix:/b", "unix:/c"},
              "[destination.b]\ndestination = unix:/b\nweight = 2\n"
              "[destination.c]\ndestination = unix:/c\nweight = 5\n") {
    ConnectionPool::Limits limits;
    limits.connections = 20;
    limits.rest = milliseconds(5000);
    for (const Store& store : world.settings.stores) {
      shared.push_back(std::make_shared<ConnectionPool>(
          std::make_unique<Connector>(store, world.settings, world.dialer, world.log), limits));
    }
  }
  PoolList pools(Balance balance) const { return {shared, balance}; }
  Lease take(std::size_t store) {
    return shared[store]->take(Clock::now() + milliseconds(1000), world.failure);
  }
  void sicken(std::size_t store) {
    world.dialer.sick.insert(shared[store]->store().destination.text);
    CPPUNIT_ASSERT(!take(store));
  }

  World world;
  PoolList::Shared shared;
};

// "abc"
std::string order(const PoolList& pools) {
  std::string made;
  for (const ConnectionPool* const pool : pools.order()) {
    made += pool->store().destination.text.back();
  }
  return made;
}

}  // namespace

class PoolsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PoolsTest);
  CPPUNIT_TEST(theOrderIsTheSettings);
  CPPUNIT_TEST(theSickStandBehindTheWell);
  CPPUNIT_TEST(chanceIsByWeight);
  CPPUNIT_TEST(theLeastUsedForItsWeightIsFirst);
  CPPUNIT_TEST(aSessionsOwnConnectionsCountMoreThanTheOrder);
  CPPUNIT_TEST(whatIsSharedIsNobodysOwn);
  CPPUNIT_TEST_SUITE_END();

  void theOrderIsTheSettings() {
    Three three;
    const Lease lease = three.take(0);
    for (const Balance balance : {Balance::kOrder, Balance::kKept}) {
      for (int i = 0; i < 5; ++i) {
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), order(three.pools(balance)));
      }
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, three.pools(Balance::kOrder).size());
    CPPUNIT_ASSERT_EQUAL(three.shared[1].get(), &three.pools(Balance::kOrder)[1]);
  }

  void theSickStandBehindTheWell() {
    Three three;
    three.sicken(0);
    CPPUNIT_ASSERT_EQUAL(std::string("bca"), order(three.pools(Balance::kOrder)));
    CPPUNIT_ASSERT_EQUAL(std::string("bca"), order(three.pools(Balance::kLeastUsed)));
    three.sicken(2);  // which has most of the weight
    for (int i = 0; i < 50; ++i) {
      CPPUNIT_ASSERT_EQUAL('b', order(three.pools(Balance::kWeight)).front());
    }
    CPPUNIT_ASSERT_EQUAL(std::string("bac"), order(three.pools(Balance::kOrder)));
    three.sicken(1);
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order(three.pools(Balance::kOrder)));
    const PoolList alone({three.shared[1]}, Balance::kOrder);
    CPPUNIT_ASSERT_EQUAL(std::string("b"), order(alone));
  }

  // A chance of p shows in n draws as n * p, give or take some sqrt(n * p * (1 - p)): six of them
  // do not happen.
  void chanceIsByWeight() {
    constexpr int kDraws = 4000;
    const Three three;
    const PoolList pools = three.pools(Balance::kWeight);
    std::map<std::string, int> seen;
    for (int i = 0; i < kDraws; ++i) {
      const std::string drawn = order(pools);
      CPPUNIT_ASSERT_EQUAL(std::size_t{3}, drawn.size());
      ++seen[drawn.substr(0, 1)];
      ++seen[drawn.substr(0, 2)];
    }
    const struct {
      const char* begins;
      double chance;
    } rows[] = {{"a", 1 / 8.0},       {"b", 2 / 8.0},      {"c", 5 / 8.0},      {"ca", 5 / 8.0 / 3},
                {"cb", 10 / 8.0 / 3}, {"ab", 2 / 8.0 / 7}, {"bc", 10 / 8.0 / 6}};
    for (const auto& row : rows) {
      const double sigma = std::sqrt(kDraws * row.chance * (1 - row.chance));
      CPPUNIT_ASSERT_DOUBLES_EQUAL_MESSAGE(row.begins, kDraws * row.chance, seen[row.begins],
                                           6 * sigma);
    }
  }

  void theLeastUsedForItsWeightIsFirst() {
    Three three;
    const PoolList pools = three.pools(Balance::kLeastUsed);
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order(pools));
    std::vector<Lease> leases;
    const auto use_one = [&](std::size_t store, const char* then) {
      leases.push_back(three.take(store));
      CPPUNIT_ASSERT(leases.back());
      CPPUNIT_ASSERT_EQUAL(std::string(then), order(pools));
    };
    use_one(0, "bca");      // a 1/1
    use_one(1, "cba");      // b 1/2
    use_one(2, "cba");      // c 1/5
    use_one(2, "cba");      // c 2/5
    use_one(2, "bca");      // c 3/5
    use_one(1, "cab");      // b 2/2, and a stands before it
    use_one(2, "cab");      // c 4/5
    use_one(2, "abc");      // c 5/5
    leases[0].give_back();  // what idles is not in use
    leases[1].give_back();
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order(pools));
    leases[2] = Lease();
    leases[3] = Lease();
    leases[4] = Lease();
    CPPUNIT_ASSERT_EQUAL(std::string("acb"), order(pools));  // 0, 2/5, 1/2
  }

  void aSessionsOwnConnectionsCountMoreThanTheOrder() {
    World world({.connections = 1}, {"unix:/a", "unix:/b"});
    CPPUNIT_ASSERT(!world.pools->take_kept());
    CPPUNIT_ASSERT(!world.pools->has_idle());
    Lease second = (*world.pools)[1].take(Clock::now(), world.failure);
    second.give_back();
    CPPUNIT_ASSERT(world.pools->has_idle());
    {
      const Lease lease = world.pools->take_kept();
      CPPUNIT_ASSERT(lease && lease.kept());
      CPPUNIT_ASSERT_EQUAL(std::string("unix:/b"), lease.store().destination.text);
      CPPUNIT_ASSERT(!world.pools->has_idle());
      CPPUNIT_ASSERT(!world.pools->take_kept());
    }
    second = (*world.pools)[1].take(Clock::now(), world.failure);
    second.give_back();
    world.pools->drop_idle();
    CPPUNIT_ASSERT(!world.pools->has_idle());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, (*world.pools)[1].open());
  }

  // Others count on them, and on the order.
  void whatIsSharedIsNobodysOwn() {
    Three three;
    Lease lease = three.take(2);
    lease.give_back();
    for (const Balance balance : {Balance::kOrder, Balance::kWeight, Balance::kLeastUsed}) {
      PoolList pools = three.pools(balance);
      CPPUNIT_ASSERT(!pools.has_idle());
      CPPUNIT_ASSERT(!pools.take_kept());
      pools.drop_idle();
      CPPUNIT_ASSERT(three.shared[2]->has_idle());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PoolsTest);
