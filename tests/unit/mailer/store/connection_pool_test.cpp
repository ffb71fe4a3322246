#include "tests/unit/mailer/store/pool_fixture.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

class PoolTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PoolTest);
  CPPUNIT_TEST(aLeaseThatIsNotGivenBackIsClosed);
  CPPUNIT_TEST(whatIsGivenBackIsLeasedAgain);
  CPPUNIT_TEST(theLatestUsedGoesOutFirst);
  CPPUNIT_TEST(aDeadOneIsPassedOver);
  CPPUNIT_TEST(thereAreNoMoreThanTheLimit);
  CPPUNIT_TEST(aNewOneTakesAnIdleOnesPlace);
  CPPUNIT_TEST(whoWaitsGetsWhatComesFree);
  CPPUNIT_TEST(whoAskedFirstIsServedFirst);
  CPPUNIT_TEST(usesAndAgeAreLimited);
  CPPUNIT_TEST(idleOnesExpire);
  CPPUNIT_TEST(aFailedDialFreesItsPlace);
  CPPUNIT_TEST(aSickStoreIsLeftToRest);
  CPPUNIT_TEST(oneAtATimeTriesASickStore);
  CPPUNIT_TEST(dialsThatFailTogetherMakeOneRest);
  CPPUNIT_TEST(whoHasNoTimeForADialLearnsNothingOfTheStore);
  CPPUNIT_TEST(theWaitForAPlaceIsNotTheDials);
  CPPUNIT_TEST(aLeaseMovesWithItsConnection);
  CPPUNIT_TEST(manyThreadsShareAFew);
  CPPUNIT_TEST(whenItIsCutNobodyGetsAnythingMore);
  CPPUNIT_TEST_SUITE_END();

  void aLeaseThatIsNotGivenBackIsClosed() {
    World world({.connections = 2});
    { const Lease lease = world.take(); }
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
    CPPUNIT_ASSERT(!world.pool().take_idle());
  }

  void whatIsGivenBackIsLeasedAgain() {
    World world({.connections = 2});
    Lease first = world.take();
    CPPUNIT_ASSERT(first && !first.kept());
    use(first);
    first.give_back();
    CPPUNIT_ASSERT(!first);
    CPPUNIT_ASSERT(world.pool().has_idle());
    const Lease again = world.take();
    CPPUNIT_ASSERT(again && again.kept());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.dialer.lives.size());
  }

  void theLatestUsedGoesOutFirst() {
    World world({.connections = 2});
    Lease one = world.take();
    Lease two = world.take();
    Upstream* const latest = &*one;
    two.give_back();
    one.give_back();
    CPPUNIT_ASSERT_EQUAL(latest, &*world.pool().take_idle());
  }

  void aDeadOneIsPassedOver() {
    World world({.connections = 2});
    Lease one = world.take();
    Lease two = world.take();
    one.give_back();
    two.give_back();
    world.dialer.lives.at(1)->play.replies.clear();  // the store hung up
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.kept());
    CPPUNIT_ASSERT(world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT(!world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.pool().open());
  }

  void thereAreNoMoreThanTheLimit() {
    World world({.connections = 2});
    const Lease one = world.take();
    const Lease two = world.take();
    CPPUNIT_ASSERT(!world.take(milliseconds(20)));
    CPPUNIT_ASSERT_EQUAL(std::string("all 2 connections to unix:/s are in use"),
                         world.failure.words);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, world.dialer.lives.size());
  }

  void aNewOneTakesAnIdleOnesPlace() {
    World world({.connections = 2});
    Lease one = world.take();
    Lease two = world.take();
    one.give_back();
    two.give_back();
    const Lease fresh = world.pool().take(Clock::now() + milliseconds(1000), world.failure,
                                          ConnectionPool::Which::kNew);
    CPPUNIT_ASSERT(fresh && !fresh.kept());
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed && !world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, world.pool().open());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.most_open);
  }

  void whoWaitsGetsWhatComesFree() {
    for (const bool clean : {true, false}) {
      World world({.connections = 1});
      Lease held = world.take();
      std::thread holder([&] {
        std::this_thread::sleep_for(milliseconds(30));
        clean ? held.give_back() : static_cast<void>(held = Lease());
      });
      const Lease lease = world.take(milliseconds(5000));
      holder.join();
      CPPUNIT_ASSERT(lease);
      CPPUNIT_ASSERT_EQUAL(clean, lease.kept());
    }
  }

  void whoAskedFirstIsServedFirst() {
    World world({.connections = 1});
    Lease held = world.take();
    std::mutex mutex;
    std::vector<int> served;
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i) {
      threads.emplace_back([&, i] {
        ConnectionPool::Failure failure;
        Lease lease = world.pool().take(Clock::now() + milliseconds(10'000), failure);
        CPPUNIT_ASSERT(lease);
        {
          const std::lock_guard lock(mutex);
          served.push_back(i);
        }
        lease.give_back();
      });
      std::this_thread::sleep_for(milliseconds(20));
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
    lease->transact(std::move(transaction), Body("/tmp", std::nullopt), Deadline::max(),
                    Deadline::max());
    lease.give_back();
    CPPUNIT_ASSERT(!by_uses.pool().has_idle());
    World by_age({.connections = 1, .age = milliseconds(1)});
    lease = by_age.take();
    std::this_thread::sleep_for(milliseconds(2));
    lease.give_back();
    CPPUNIT_ASSERT(!by_age.pool().has_idle());
  }

  void idleOnesExpire() {
    World world({.connections = 2, .idle = milliseconds(40)});
    Lease one = world.take();
    Lease two = world.take();
    one.give_back();
    std::this_thread::sleep_for(milliseconds(45));
    two.give_back();
    world.pool().drop_expired();
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->play.heard.back() == "QUIT");
    CPPUNIT_ASSERT(!world.dialer.lives.at(1)->closed);
    world.pools->drop_idle();
    CPPUNIT_ASSERT(world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void aFailedDialFreesItsPlace() {
    World world({.connections = 1});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"), world.failure.words);
    CPPUNIT_ASSERT(world.failure.trouble == Trouble::kUnreachable);
    world.dialer.refuses = false;
    CPPUNIT_ASSERT(world.take());
  }

  void aSickStoreIsLeftToRest() {
    World world({.connections = 5, .rest = milliseconds(60)});
    world.dialer.refuses = true;
    for (int i = 0; i < 5; ++i) {
      CPPUNIT_ASSERT(!world.take());
      CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"), world.failure.words);
    }
    CPPUNIT_ASSERT_EQUAL(1, world.dialer.dials.load());
    std::this_thread::sleep_for(milliseconds(65));
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
    world.dialer.refuses = false;
    std::this_thread::sleep_for(milliseconds(65));
    CPPUNIT_ASSERT(!world.take());  // the second rest is twice as long
    std::this_thread::sleep_for(milliseconds(65));
    const Lease well = world.take();
    const Lease another = world.take();
    CPPUNIT_ASSERT(well && another);
    CPPUNIT_ASSERT_EQUAL(4, world.dialer.dials.load());
  }

  void oneAtATimeTriesASickStore() {
    World world({.connections = 5, .rest = milliseconds(1)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    std::this_thread::sleep_for(milliseconds(5));
    world.dialer.refuses = false;
    world.dialer.slowness = milliseconds(60);
    std::atomic<int> served = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        ConnectionPool::Failure failure;
        const Lease lease = world.pool().take(Clock::now() + milliseconds(5000), failure);
        served += lease ? 1 : 0;
        std::this_thread::sleep_for(milliseconds(100));
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(1, served.load());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
    CPPUNIT_ASSERT(world.take());
  }

  // Each of them made the rest twice as long: a moment's failure under load was one of 30 s.
  void dialsThatFailTogetherMakeOneRest() {
    World world({.connections = 5, .rest = milliseconds(200)});
    world.dialer.refuses = true;
    world.dialer.slowness = milliseconds(60);
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i) {
      threads.emplace_back([&] {
        ConnectionPool::Failure failure;
        world.pool().take(Clock::now() + milliseconds(5000), failure);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(5, world.dialer.dials.load());
    CPPUNIT_ASSERT(world.pool().figures().rests <= milliseconds(200));
    CPPUNIT_ASSERT(!world.pool().well());
  }

  void whoHasNoTimeForADialLearnsNothingOfTheStore() {
    World world({.connections = 2, .rest = milliseconds(10'000)});
    world.dialer.refuses = true;
    world.dialer.slowness = milliseconds(20);
    CPPUNIT_ASSERT(!world.take(milliseconds(1)));
    CPPUNIT_ASSERT(world.pool().well());
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT(!world.pool().well());
  }

  void theWaitForAPlaceIsNotTheDials() {
    class Hasty : public Dialer {
      Dialed dial(const Destination& destination, milliseconds, Deadline latest) override {
        CPPUNIT_ASSERT(latest - Clock::now() > milliseconds(5000));
        return {nullptr, destination.text, "refused"};
      }
    } dialer;
    World world({});
    PoolList pools(world.settings, dialer, world.log, {.connections = 1, .wait = milliseconds(1)});
    ConnectionPool::Failure failure;
    CPPUNIT_ASSERT(!pools[0].take(Clock::now() + milliseconds(10'000), failure));
    CPPUNIT_ASSERT_EQUAL(std::string("refused"), failure.words);
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
          Lease lease = world.pool().take(Clock::now() + milliseconds(20'000), failure);
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
    world.pools->drop_idle();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void whenItIsCutNobodyGetsAnythingMore() {
    World world({.connections = 2});
    Lease held = world.take();
    world.take().give_back();  // idle
    Lease other = world.take();
    Lease late;
    ConnectionPool::Failure failure;
    std::thread waiter(
        [&] { late = world.pool().take(Clock::now() + milliseconds(10'000), failure); });
    while (world.pool().figures().waiting == 0) {
      std::this_thread::yield();
    }
    const Clock::time_point start = Clock::now();
    world.pool().cut();
    waiter.join();
    CPPUNIT_ASSERT(!late && Clock::now() - start < milliseconds(5000));
    CPPUNIT_ASSERT(failure.trouble == Trouble::kLost);
    held.give_back();
    other = Lease();
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PoolTest);
