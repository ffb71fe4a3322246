// The stores a, b and c with the weights 1, 2 and 5, and pools for them.
#pragma once

#include "tests/unit/mailer/store/pool_fixture.h"

namespace lmtpq::mailer {

struct ThreeStores {
  ThreeStores()
      : world({.connections = 20, .backoff = std::chrono::milliseconds(5000)},
              {"unix:/a", "unix:/b", "unix:/c"},
              "[destination.b]\ndestination = unix:/b\nweight = 2\n"
              "[destination.c]\ndestination = unix:/c\nweight = 5\n") {}

  PoolList pools(Balance balance) const { return {world.shared, balance}; }
  Lease take(std::size_t store) { return world.shared[store]->take(generous(), world.failure); }
  void bring_down(std::size_t store) {
    world.dialer.down.insert(world.shared[store]->store().destination.text);
    CPPUNIT_ASSERT(!take(store));
  }

  World world;
};

}  // namespace lmtpq::mailer
