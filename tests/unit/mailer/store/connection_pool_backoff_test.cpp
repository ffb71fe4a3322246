// A store that cannot be dialled: who may try it again, and when.

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/unit/mailer/store/pool_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

milliseconds backoff_after_failure(World& world) {
  CPPUNIT_ASSERT(!world.take());
  return world.pool().figures().retry_in;
}

}  // namespace

class ConnectionPoolBackoffTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ConnectionPoolBackoffTest);
  CPPUNIT_TEST(aStoreThatIsDownIsNotDialledDuringBackoff);
  CPPUNIT_TEST(theBackoffIsOverAtItsEndAndNotBefore);
  CPPUNIT_TEST(oneCallerAtATimeDialsAStoreThatIsDown);
  CPPUNIT_TEST(aProbeNeedsNoMessage);
  CPPUNIT_TEST(aProbeDoesNothingWhileTheStoreIsUp);
  CPPUNIT_TEST(aProbeDoesNothingDuringBackoff);
  CPPUNIT_TEST(aProbeDoesNothingWhileAnotherRuns);
  CPPUNIT_TEST(aProbeThatFailsDoublesTheBackoff);
  CPPUNIT_TEST(theBackoffGrowsToItsLimit);
  CPPUNIT_TEST(aLimitBelowTheFirstBackoffDoesNoHarm);
  CPPUNIT_TEST(dialsThatFailTogetherCountAsOneFailure);
  CPPUNIT_TEST(anEarlierDialDoesNotEndTheProbe);
  CPPUNIT_TEST(aSuccessfulDialEndsTheBackoff);
  CPPUNIT_TEST(withoutABackoffAStoreIsAlwaysUp);
  CPPUNIT_TEST(aDialWithoutTimeSaysNothingAboutTheStore);
  CPPUNIT_TEST(aResolverThatIsDownSaysNothingAboutTheStore);
  CPPUNIT_TEST(aStoreThatIsBackIsNotDialledByAllAtOnce);
  CPPUNIT_TEST(idleConnectionsAreLeasedWhileTheStoreIsDown);
  CPPUNIT_TEST_SUITE_END();

  void aStoreThatIsDownIsNotDialledDuringBackoff() {
    World world({.connections = 5, .backoff = milliseconds(60)});
    world.dialer.refuses = true;
    for (int i = 0; i < 5; ++i) {
      CPPUNIT_ASSERT(!world.take());
      CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"), world.failure.reason);
    }
    CPPUNIT_ASSERT_EQUAL(1, world.dialer.dials.load());
    world.later(milliseconds(60));
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
    world.dialer.refuses = false;
    world.later(milliseconds(60));
    CPPUNIT_ASSERT(!world.take());  // the second backoff is twice as long
    world.later(milliseconds(60));
    const Lease one = world.take();
    const Lease another = world.take();
    CPPUNIT_ASSERT(one && another);
    CPPUNIT_ASSERT_EQUAL(4, world.dialer.dials.load());
  }

  void theBackoffIsOverAtItsEndAndNotBefore() {
    World world({.connections = 1, .backoff = milliseconds(1000)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.later(milliseconds(999));
    CPPUNIT_ASSERT(milliseconds(1) == world.pool().figures().retry_in);
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(1, world.dialer.dials.load());
    world.later(milliseconds(1));
    CPPUNIT_ASSERT(milliseconds(0) == world.pool().figures().retry_in);
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
  }

  void oneCallerAtATimeDialsAStoreThatIsDown() {
    World world({.connections = 5, .backoff = milliseconds(1)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.later(milliseconds(1));
    world.dialer.refuses = false;
    world.dialer.hanging = StoresDialer::kAll;
    std::atomic<bool> served = false;
    std::jthread dials([&] {
      ConnectionPool::Failure failure;
      served = static_cast<bool>(world.pool().take(generous(), failure));
    });
    await([&] { return world.dialer.dials == 2; });
    for (int i = 0; i < 3; ++i) {
      CPPUNIT_ASSERT(!world.take());
      CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"), world.failure.reason);
    }
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
    world.dialer.hanging = 0;
    dials.join();
    CPPUNIT_ASSERT(served);
    CPPUNIT_ASSERT(world.take());
  }

  void aProbeNeedsNoMessage() {
    World world({.connections = 2, .backoff = milliseconds(1)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT(!world.pool().up());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"),
                         world.pool().figures().failure);
    world.later(milliseconds(1));
    world.dialer.refuses = false;
    world.pool().probe(generous());
    CPPUNIT_ASSERT(world.pool().up());
    CPPUNIT_ASSERT_EQUAL(std::string(), world.pool().figures().failure);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.pool().figures().idle);
    CPPUNIT_ASSERT_EQUAL(std::string("tls=none auth=none"), world.pool().security());
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.reused());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
  }

  void aProbeDoesNothingWhileTheStoreIsUp() {
    World world({.connections = 1, .backoff = milliseconds(5000)});
    world.pool().probe(generous());
    CPPUNIT_ASSERT_EQUAL(0, world.dialer.dials.load());
  }

  void aProbeDoesNothingDuringBackoff() {
    World world({.connections = 1, .backoff = milliseconds(5000)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.pool().probe(generous());
    CPPUNIT_ASSERT_EQUAL(1, world.dialer.dials.load());
  }

  void aProbeDoesNothingWhileAnotherRuns() {
    World world({.connections = 2, .backoff = milliseconds(1)});
    const Lease one = world.take();
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.later(milliseconds(1));
    world.dialer.refuses = false;
    world.dialer.hanging = StoresDialer::kAll;
    std::jthread other([&] { world.pool().probe(generous()); });
    await([&] { return world.dialer.dials == 3; });
    world.pool().probe(generous());
    CPPUNIT_ASSERT_EQUAL(3, world.dialer.dials.load());
    world.dialer.hanging = 0;
    other.join();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, world.pool().open());
  }

  void aProbeThatFailsDoublesTheBackoff() {
    World world({.connections = 1, .backoff = milliseconds(20)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(milliseconds(20) == backoff_after_failure(world));
    world.later(milliseconds(20));
    world.pool().probe(generous());
    CPPUNIT_ASSERT(milliseconds(40) == world.pool().figures().retry_in);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void theBackoffGrowsToItsLimit() {
    World world(
        {.connections = 1, .backoff = milliseconds(1000), .max_backoff = milliseconds(3000)});
    world.dialer.refuses = true;
    for (const int expected : {1000, 2000, 3000, 3000, 3000}) {
      CPPUNIT_ASSERT(milliseconds(expected) == backoff_after_failure(world));
      world.later(milliseconds(expected));
    }
  }

  // dial-backoff = 1m, while the limit has its default of 30s.
  void aLimitBelowTheFirstBackoffDoesNoHarm() {
    World world({.connections = 1, .backoff = milliseconds(20), .max_backoff = milliseconds(1)});
    world.dialer.refuses = true;
    for (int i = 0; i < 2; ++i) {
      CPPUNIT_ASSERT(milliseconds(20) == backoff_after_failure(world));
      world.later(milliseconds(20));
    }
  }

  // If each of them doubled the backoff, a store that restarts under load would get the longest one
  // at once.
  void dialsThatFailTogetherCountAsOneFailure() {
    World world({.connections = 8, .backoff = milliseconds(1000)});
    world.dialer.refuses = true;
    world.dialer.hanging = StoresDialer::kAll;
    std::atomic<int> refused = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        ConnectionPool::Failure failure;
        const Lease lease = world.pool().take(generous(), failure);
        refused += !lease && failure.reason == "unix:/s: Connection refused" ? 1 : 0;
      });
    }
    await([&] { return world.dialer.dials == 8; });
    world.dialer.hanging = 0;
    threads.clear();
    CPPUNIT_ASSERT_EQUAL(8, refused.load());
    CPPUNIT_ASSERT(milliseconds(1000) == world.pool().figures().retry_in);
    CPPUNIT_ASSERT(!world.pool().up());
  }

  // A dial that began while the store was up ends during a probe. The probe stays the only one.
  void anEarlierDialDoesNotEndTheProbe() {
    World world({.connections = 8, .backoff = milliseconds(1)});
    std::atomic<int> served = 0;
    const auto take = [&] {
      ConnectionPool::Failure failure;
      const Lease lease = world.pool().take(generous(), failure);
      served += lease ? 1 : 0;
    };
    world.dialer.hanging = 1U << 1 | 1U << 3;
    std::jthread early(take);
    await([&] { return world.dialer.dials == 1; });
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.later(milliseconds(1));
    std::jthread probes(take);
    await([&] { return world.dialer.dials == 3; });
    world.dialer.hanging = 1U << 3;
    early.join();
    world.later(milliseconds(1000));
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(3, world.dialer.dials.load());
    world.dialer.refuses = false;
    world.dialer.hanging = 0;
    probes.join();
    CPPUNIT_ASSERT_EQUAL(1, served.load());
    CPPUNIT_ASSERT(world.pool().up());
  }

  void aSuccessfulDialEndsTheBackoff() {
    World world({.connections = 2, .backoff = milliseconds(1), .max_backoff = milliseconds(1000)});
    world.dialer.refuses = true;
    for (int i = 0; i < 4; ++i) {
      world.later(backoff_after_failure(world));
    }
    world.dialer.refuses = false;
    CPPUNIT_ASSERT(world.take());
    CPPUNIT_ASSERT(world.pool().up());
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(milliseconds(1) == backoff_after_failure(world));  // the first one again
  }

  void withoutABackoffAStoreIsAlwaysUp() {
    World world({.connections = 1});
    world.dialer.refuses = true;
    for (int i = 1; i < 4; ++i) {
      CPPUNIT_ASSERT(!world.take());
      CPPUNIT_ASSERT_EQUAL(i, world.dialer.dials.load());
      CPPUNIT_ASSERT(world.pool().up());
    }
  }

  void aDialWithoutTimeSaysNothingAboutTheStore() {
    World world({.connections = 2, .backoff = milliseconds(10'000)});
    world.dialer.refuses = true;
    world.dialer.slowness = milliseconds(20);
    CPPUNIT_ASSERT(!world.take(milliseconds(1)));
    CPPUNIT_ASSERT(world.pool().up());
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT(!world.pool().up());
  }

  void aResolverThatIsDownSaysNothingAboutTheStore() {  // trap: silent-resolver
    World world({.connections = 1, .backoff = milliseconds(60'000)});
    world.dialer.unresolved = true;
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: look-up timed out"), world.failure.reason);
    CPPUNIT_ASSERT(world.pool().up());
    world.dialer.unresolved = false;
    CPPUNIT_ASSERT(world.take());
  }

  void aStoreThatIsBackIsNotDialledByAllAtOnce() {
    World world({.connections = 20, .backoff = milliseconds(1)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.dialer.refuses = false;
    world.later(milliseconds(1));
    const Lease first = world.take();  // the probe
    CPPUNIT_ASSERT(first);
    world.dialer.hanging = StoresDialer::kAll;
    std::atomic<int> served = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 10; ++i) {
      threads.emplace_back([&] {
        ConnectionPool::Failure failure;
        const Lease lease = world.pool().take(generous(), failure);
        served += lease ? 1 : 0;
        await([&] { return served == 10; });
      });
    }
    await([&] { return world.pool().figures().waiting == 8; });
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, world.pool().figures().dialling);
    world.dialer.hanging = ~(1U << 3);  // the third dial succeeds, counting the one that failed
    await([&] { return world.pool().figures().waiting == 5; });
    CPPUNIT_ASSERT_EQUAL(std::size_t{4}, world.pool().figures().dialling);
    world.dialer.hanging = 0;
    threads.clear();
    CPPUNIT_ASSERT_EQUAL(10, served.load());
  }

  void idleConnectionsAreLeasedWhileTheStoreIsDown() {
    World world({.connections = 2, .backoff = milliseconds(5000)});
    Lease first = world.take();
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    first.give_back();
    CPPUNIT_ASSERT(!world.pool().up());
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.reused());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConnectionPoolBackoffTest);
