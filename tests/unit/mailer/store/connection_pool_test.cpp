#include "tests/unit/mailer/store/pool_fixture.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

class ConnectionPoolTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ConnectionPoolTest);
  CPPUNIT_TEST(aLeaseThatIsNotGivenBackIsClosed);
  CPPUNIT_TEST(aConnectionThatIsGivenBackIsLeasedAgain);
  CPPUNIT_TEST(theMostRecentlyUsedConnectionIsLeasedFirst);
  CPPUNIT_TEST(aDeadIdleConnectionIsClosedAndSkipped);
  CPPUNIT_TEST(theNumberOfConnectionsIsLimited);
  CPPUNIT_TEST(aNewConnectionReplacesTheOldestIdleOne);
  CPPUNIT_TEST(aWaitingCallerGetsAFreedPlace);
  CPPUNIT_TEST(callersAreServedInTheOrderOfAsking);
  CPPUNIT_TEST(usesAndAgeAreLimited);
  CPPUNIT_TEST(idleConnectionsExpire);
  CPPUNIT_TEST(aFailedDialFreesItsPlace);
  CPPUNIT_TEST(theWaitForAPlaceDoesNotShortenTheDial);
  CPPUNIT_TEST(aLeaseMovesWithItsConnection);
  CPPUNIT_TEST(manyThreadsShareAFew);
  CPPUNIT_TEST(lifetimesAreStaggered);
  CPPUNIT_TEST(cutBreaksLeasedConnectionsOnly);
  CPPUNIT_TEST(cutEndsDialsAndSaysNothingAboutTheStore);
  CPPUNIT_TEST(afterCutNoConnectionIsLeased);
  CPPUNIT_TEST_SUITE_END();

  void aLeaseThatIsNotGivenBackIsClosed() {
    World world({.connections = 2});
    { const Lease lease = world.take(); }
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
    CPPUNIT_ASSERT(!world.pool().take_idle());
  }

  void aConnectionThatIsGivenBackIsLeasedAgain() {
    World world({.connections = 2});
    Lease first = world.take();
    CPPUNIT_ASSERT(first && !first.reused());
    use(first);
    first.give_back();
    CPPUNIT_ASSERT(!first);
    CPPUNIT_ASSERT(world.pool().has_idle());
    const Lease again = world.take();
    CPPUNIT_ASSERT(again && again.reused());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.dialer.lives.size());
  }

  void theMostRecentlyUsedConnectionIsLeasedFirst() {
    World world({.connections = 2});
    Lease one = world.take();
    Lease two = world.take();
    Upstream* const latest = &*one;
    two.give_back();
    one.give_back();
    CPPUNIT_ASSERT_EQUAL(latest, &*world.pool().take_idle());
  }

  void aDeadIdleConnectionIsClosedAndSkipped() {
    World world({.connections = 2});
    Lease one = world.take();
    Lease two = world.take();
    one.give_back();
    two.give_back();
    world.dialer.lives.at(1)->play.replies.clear();  // the store hung up
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.reused());
    CPPUNIT_ASSERT(world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT(!world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.pool().open());
  }

  void theNumberOfConnectionsIsLimited() {
    World world({.connections = 2});
    const Lease one = world.take();
    const Lease two = world.take();
    CPPUNIT_ASSERT(!world.take(milliseconds(20)));
    CPPUNIT_ASSERT_EQUAL(std::string("all 2 connections to unix:/s are in use"),
                         world.failure.reason);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, world.dialer.lives.size());
  }

  void aNewConnectionReplacesTheOldestIdleOne() {
    World world({.connections = 2});
    Lease one = world.take();
    Lease two = world.take();
    one.give_back();
    two.give_back();
    const Lease fresh = world.pool().take(generous(), world.failure, ConnectionPool::Which::kNew);
    CPPUNIT_ASSERT(fresh && !fresh.reused());
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed && !world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, world.pool().open());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.most_open);
  }

  void aWaitingCallerGetsAFreedPlace() {
    for (const bool clean : {true, false}) {
      World world({.connections = 1});
      Lease held = world.take();
      std::thread holder([&] {
        await([&] { return world.pool().figures().waiting == 1; });
        clean ? held.give_back() : static_cast<void>(held = Lease());
      });
      const Lease lease = world.take();
      holder.join();
      CPPUNIT_ASSERT(lease);
      CPPUNIT_ASSERT_EQUAL(clean, lease.reused());
    }
  }

  void callersAreServedInTheOrderOfAsking() {
    World world({.connections = 1});
    Lease held = world.take();
    std::mutex mutex;
    std::vector<int> served;
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i) {
      threads.emplace_back([&, i] {
        ConnectionPool::Failure failure;
        Lease lease = world.pool().take(generous(), failure);
        CPPUNIT_ASSERT(lease);
        {
          const std::lock_guard lock(mutex);
          served.push_back(i);
        }
        lease.give_back();
      });
      await([&] { return world.pool().figures().waiting == threads.size(); });
    }
    held.give_back();
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT((served == std::vector<int>{0, 1, 2, 3, 4}));
  }

  void usesAndAgeAreLimited() {
    World by_uses({.connections = 1, .uses = 1});
    Lease lease = by_uses.take();
    Transaction transaction;
    transaction.recipients.push_back({Mailbox::parse("u").value(), false});
    lease->transact(std::move(transaction), MessageSpool("/tmp", std::nullopt), Deadline::max(),
                    Deadline::max());
    lease.give_back();
    CPPUNIT_ASSERT(!by_uses.pool().has_idle());
    World by_lifetime({.connections = 1, .lifetime = milliseconds(1)});
    lease = by_lifetime.take();
    by_lifetime.later(milliseconds(2));
    lease.give_back();
    CPPUNIT_ASSERT(!by_lifetime.pool().has_idle());
  }

  void idleConnectionsExpire() {
    World world({.connections = 2, .idle = milliseconds(40)});
    Lease one = world.take();
    Lease two = world.take();
    one.give_back();
    world.later(milliseconds(40));
    two.give_back();
    world.pool().close_unusable();
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->play.heard.back() == "QUIT");
    CPPUNIT_ASSERT(!world.dialer.lives.at(1)->closed);
    world.pools->close_idle();
    CPPUNIT_ASSERT(world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void aFailedDialFreesItsPlace() {
    World world({.connections = 1});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"), world.failure.reason);
    CPPUNIT_ASSERT(world.failure.trouble == Trouble::kUnreachable);
    world.dialer.refuses = false;
    CPPUNIT_ASSERT(world.take());
  }

  void theWaitForAPlaceDoesNotShortenTheDial() {
    class Hasty : public Dialer {
      Dialled dial(const Destination& destination, milliseconds,
                   const Patience& patience) override {
        CPPUNIT_ASSERT(patience.latest - Clock::now() > kGenerous / 2);
        return {nullptr, destination.text, "refused"};
      }
    } dialer;
    World world({});
    PoolList pools(world.settings, dialer, world.log, {.connections = 1, .wait = milliseconds(1)});
    ConnectionPool::Failure failure;
    CPPUNIT_ASSERT(!pools[0].take(generous(), failure));
    CPPUNIT_ASSERT_EQUAL(std::string("refused"), failure.reason);
  }

  void aLeaseMovesWithItsConnection() {
    World world({.connections = 2});
    Lease one = world.take();
    Upstream* const upstream = &*one;
    Lease other = std::move(one);
    CPPUNIT_ASSERT_EQUAL(upstream, &*other);
    other = world.take();  // closes the first
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.pool().open());
  }

  void manyThreadsShareAFew() {
    World world({.connections = 3});
    std::atomic<int> served = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 12; ++i) {
      threads.emplace_back([&, i] {
        for (int k = 0; k < 20; ++k) {
          ConnectionPool::Failure failure;
          Lease lease = world.pool().take(generous(), failure);
          served += lease ? 1 : 0;
          if ((i + k) % 5 != 0) {
            lease.give_back();
          }
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(240, served.load());
    CPPUNIT_ASSERT(world.dialer.most_open <= 3);
    world.pools->close_idle();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  // Connections that were made together are closed one after the other, give or take a tenth.
  void lifetimesAreStaggered() {
    World world({.connections = 5, .lifetime = milliseconds(1000)});
    std::vector<Lease> leases;
    for (int i = 0; i < 5; ++i) {
      leases.push_back(world.take());
    }
    for (Lease& lease : leases) {
      lease.give_back();
    }
    world.later(milliseconds(899));
    world.pool().close_unusable();
    CPPUNIT_ASSERT_EQUAL(std::size_t{5}, world.pool().open());
    std::size_t moments = 0;  // at which connections expired
    for (int i = 0; i < 201; ++i) {
      const std::size_t before = world.pool().open();
      world.later(milliseconds(1));
      world.pool().close_unusable();
      moments += world.pool().open() < before ? 1 : 0;
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
    CPPUNIT_ASSERT_EQUAL(std::size_t{5}, moments);
  }

  void cutEndsDialsAndSaysNothingAboutTheStore() {
    class Endless : public Dialer {
     public:
      std::atomic<bool> began = false;
      Dialled dial(const Destination& destination, milliseconds,
                   const Patience& patience) override {
        began = true;
        const bool over = patience.wait([](Deadline look) {
          std::this_thread::sleep_until(look);
          return false;
        });
        CPPUNIT_ASSERT(!over && Clock::now() < patience.latest);
        return {nullptr, destination.text, "given up"};
      }
    } dialer;
    World world({});
    PoolList pools(world.settings, dialer, world.log,
                   {.connections = 1, .backoff = milliseconds(1)});
    ConnectionPool::Failure failure;
    std::thread delivery([&] { CPPUNIT_ASSERT(!pools[0].take(generous(), failure)); });
    await([&] { return dialer.began.load(); });
    pools[0].cut();
    delivery.join();
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq is stopping"), failure.reason);
    CPPUNIT_ASSERT(failure.trouble == Trouble::kLost);
    CPPUNIT_ASSERT(pools[0].up());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, pools[0].open());
  }

  void cutBreaksLeasedConnectionsOnly() {
    World world({.connections = 3});
    Lease one = world.take();
    Lease two = world.take();
    Lease three = world.take();
    two.give_back();
    three = Lease();
    world.pool().cut();
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->cut);
    CPPUNIT_ASSERT(!world.dialer.lives.at(1)->cut);
    CPPUNIT_ASSERT(!world.dialer.lives.at(2)->cut);
  }

  void afterCutNoConnectionIsLeased() {
    World world({.connections = 2});
    Lease held = world.take();
    world.take().give_back();  // idle
    Lease other = world.take();
    Lease late;
    ConnectionPool::Failure failure;
    std::thread waiter([&] { late = world.pool().take(Clock::now() + 10 * kGenerous, failure); });
    await([&] { return world.pool().figures().waiting == 1; });
    const Clock::time_point start = Clock::now();
    world.pool().cut();
    waiter.join();
    CPPUNIT_ASSERT(!late && Clock::now() - start < 5 * kGenerous);
    CPPUNIT_ASSERT(failure.trouble == Trouble::kLost);
    held.give_back();
    other = Lease();
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConnectionPoolTest);
