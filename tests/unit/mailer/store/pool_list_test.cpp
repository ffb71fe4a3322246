#include "mailer/store/pool_list.h"

#include <cppunit/extensions/HelperMacros.h>

#include "tests/unit/mailer/store/three_stores.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class PoolListTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PoolListTest);
  CPPUNIT_TEST(poolsAreInTheOrderOfTheSettings);
  CPPUNIT_TEST(withReuseIdleConnectionsComeBeforeTheOrder);
  CPPUNIT_TEST(idleConnectionsOfSharedPoolsAreLeftAlone);
  CPPUNIT_TEST_SUITE_END();

  void poolsAreInTheOrderOfTheSettings() {
    const ThreeStores three;
    PoolList pools = three.pools(Balance::kOrder);
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, pools.size());
    CPPUNIT_ASSERT_EQUAL(three.world.shared[1].get(), &pools[1]);
    const std::vector<ConnectionPool*> order = pools.order();
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, order.size());
    CPPUNIT_ASSERT_EQUAL(&pools[0], order.front());
  }

  void withReuseIdleConnectionsComeBeforeTheOrder() {
    World world({.connections = 1}, {"unix:/a", "unix:/b"});
    CPPUNIT_ASSERT(!world.pools->take_idle());
    CPPUNIT_ASSERT(!world.pools->has_idle());
    Lease second = (*world.pools)[1].take(generous(), world.failure);
    second.give_back();
    CPPUNIT_ASSERT(world.pools->has_idle());
    {
      const Lease lease = world.pools->take_idle();
      CPPUNIT_ASSERT(lease && lease.reused());
      CPPUNIT_ASSERT_EQUAL(std::string("unix:/b"), lease.store().destination.text);
      CPPUNIT_ASSERT(!world.pools->has_idle());
      CPPUNIT_ASSERT(!world.pools->take_idle());
    }
    second = (*world.pools)[1].take(generous(), world.failure);
    second.give_back();
    world.pools->close_idle();
    CPPUNIT_ASSERT(!world.pools->has_idle());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, (*world.pools)[1].open());
  }

  // Other deliveries use them, and the order of the stores decides.
  void idleConnectionsOfSharedPoolsAreLeftAlone() {
    ThreeStores three;
    Lease lease = three.take(2);
    lease.give_back();
    for (const Balance balance : {Balance::kOrder, Balance::kWeight, Balance::kLeastUsed}) {
      PoolList pools = three.pools(balance);
      CPPUNIT_ASSERT(!pools.has_idle());
      CPPUNIT_ASSERT(!pools.take_idle());
      pools.close_idle();
      CPPUNIT_ASSERT(three.world.shared[2]->has_idle());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PoolListTest);
