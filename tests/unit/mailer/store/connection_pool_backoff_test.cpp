#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/unit/mailer/store/pool_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

Deadline soon() { return Clock::now() + milliseconds(1000); }

void rest_over(const ConnectionPool& pool) {
  await([&] { return pool.figures().rests.count() == 0; });
}

milliseconds rest_after_failure(World& world) {
  CPPUNIT_ASSERT(!world.take());
  return world.pool().figures().rests;
}

}  // namespace

class PoolSicknessTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PoolSicknessTest);
  CPPUNIT_TEST(whatIsSickIsTriedWithoutAMessage);
  CPPUNIT_TEST(whatIsWellOrRestsOrIsFullIsNotTried);
  CPPUNIT_TEST(aTryThatFailsMakesTheRestLonger);
  CPPUNIT_TEST(theRestGrowsToItsLimit);
  CPPUNIT_TEST(aLimitBelowTheFirstRestDoesNoHarm);
  CPPUNIT_TEST(dialsThatFailTogetherMakeOneFailure);
  CPPUNIT_TEST(onlyWhoTriesItEndsTheTrial);
  CPPUNIT_TEST(aGoodDialEndsTheSickness);
  CPPUNIT_TEST(withoutARestNobodyIsSick);
  CPPUNIT_TEST(whatIsKeptGoesOutAlsoWhileTheStoreIsSick);
  CPPUNIT_TEST(lifetimesAreStaggered);
  CPPUNIT_TEST(whatIsLeasedIsCut);
  CPPUNIT_TEST_SUITE_END();

  void whatIsSickIsTriedWithoutAMessage() {
    World world({.connections = 2, .rest = milliseconds(1)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT(!world.pool().well());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"),
                         world.pool().figures().sickness);
    rest_over(world.pool());
    world.dialer.refuses = false;
    world.pool().try_sick(soon());
    CPPUNIT_ASSERT(world.pool().well());
    CPPUNIT_ASSERT_EQUAL(std::string(), world.pool().figures().sickness);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, world.pool().figures().idle);
    CPPUNIT_ASSERT_EQUAL(std::string("tls=none auth=none"), world.pool().security());
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.kept());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
  }

  void whatIsWellOrRestsOrIsFullIsNotTried() {
    World world({.connections = 1, .rest = milliseconds(5000)});
    world.pool().try_sick(soon());
    CPPUNIT_ASSERT_EQUAL(0, world.dialer.dials.load());
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.pool().try_sick(soon());
    CPPUNIT_ASSERT_EQUAL(1, world.dialer.dials.load());

    World full({.connections = 2, .rest = milliseconds(1)});
    Lease one = full.take();
    full.dialer.refuses = true;
    CPPUNIT_ASSERT(!full.take());
    rest_over(full.pool());
    full.dialer.refuses = false;
    full.dialer.hanging = StoresDialer::kAll;
    std::jthread other([&] { full.pool().try_sick(soon()); });
    await([&] { return full.dialer.dials == 3; });
    full.pool().try_sick(soon());
    CPPUNIT_ASSERT_EQUAL(3, full.dialer.dials.load());
    full.dialer.hanging = 0;
    other.join();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, full.pool().open());
  }

  void aTryThatFailsMakesTheRestLonger() {
    World world({.connections = 1, .rest = milliseconds(20)});
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(rest_after_failure(world) <= milliseconds(20));
    rest_over(world.pool());
    const Clock::time_point before = Clock::now();
    world.pool().try_sick(soon());
    const milliseconds rests = world.pool().figures().rests;
    CPPUNIT_ASSERT(rests <= milliseconds(40));
    CPPUNIT_ASSERT(before + milliseconds(40) <= Clock::now() + rests);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void theRestGrowsToItsLimit() {
    World world({.connections = 1, .rest = milliseconds(1), .most_rest = milliseconds(3)});
    world.dialer.refuses = true;
    for (const int most : {1, 2, 3, 3, 3}) {
      const Clock::time_point before = Clock::now();
      const milliseconds rests = rest_after_failure(world);
      CPPUNIT_ASSERT(rests <= milliseconds(most));
      CPPUNIT_ASSERT(before + milliseconds(most) <= Clock::now() + rests);
      rest_over(world.pool());
    }
  }

  // dial-backoff = 1m alone has the limit's default of 30s.
  void aLimitBelowTheFirstRestDoesNoHarm() {
    World world({.connections = 1, .rest = milliseconds(20), .most_rest = milliseconds(1)});
    world.dialer.refuses = true;
    for (int i = 0; i < 2; ++i) {
      const Clock::time_point before = Clock::now();
      const milliseconds rests = rest_after_failure(world);
      CPPUNIT_ASSERT(rests <= milliseconds(20));
      CPPUNIT_ASSERT(before + milliseconds(20) <= Clock::now() + rests);
      rest_over(world.pool());
    }
  }

  // A store that restarts while many dial it is not left alone for the longest time at once.
  void dialsThatFailTogetherMakeOneFailure() {
    World world({.connections = 8, .rest = milliseconds(1000)});
    world.dialer.refuses = true;
    world.dialer.hanging = StoresDialer::kAll;
    std::atomic<int> refused = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        ConnectionPool::Failure failure;
        const Lease lease = world.pool().take(soon(), failure);
        refused += !lease && failure.words == "unix:/s: Connection refused" ? 1 : 0;
      });
    }
    await([&] { return world.dialer.dials == 8; });
    world.dialer.hanging = 0;
    threads.clear();
    CPPUNIT_ASSERT_EQUAL(8, refused.load());
    CPPUNIT_ASSERT(world.pool().figures().rests <= milliseconds(1000));
    CPPUNIT_ASSERT(!world.pool().well());
  }

  // One that began when the store was well ends while another tries it: that is still the only one.
  void onlyWhoTriesItEndsTheTrial() {
    World world({.connections = 8, .rest = milliseconds(1)});
    std::atomic<int> served = 0;
    const auto take = [&] {
      ConnectionPool::Failure failure;
      const Lease lease = world.pool().take(soon(), failure);
      served += lease ? 1 : 0;
    };
    world.dialer.hanging = 1U << 1 | 1U << 3;
    std::jthread early(take);
    await([&] { return world.dialer.dials == 1; });
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    rest_over(world.pool());
    std::jthread tries(take);
    await([&] { return world.dialer.dials == 3; });
    world.dialer.hanging = 1U << 3;
    early.join();
    rest_over(world.pool());
    CPPUNIT_ASSERT(!world.take());
    CPPUNIT_ASSERT_EQUAL(3, world.dialer.dials.load());
    world.dialer.refuses = false;
    world.dialer.hanging = 0;
    tries.join();
    CPPUNIT_ASSERT_EQUAL(1, served.load());
    CPPUNIT_ASSERT(world.pool().well());
  }

  void aGoodDialEndsTheSickness() {
    World world({.connections = 2, .rest = milliseconds(1), .most_rest = milliseconds(1000)});
    world.dialer.refuses = true;
    for (int i = 0; i < 4; ++i) {
      CPPUNIT_ASSERT(!world.take());
      rest_over(world.pool());
    }
    world.dialer.refuses = false;
    CPPUNIT_ASSERT(world.take());
    CPPUNIT_ASSERT(world.pool().well());
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(rest_after_failure(world) <= milliseconds(1));  // it begins anew
  }

  void withoutARestNobodyIsSick() {
    World world({.connections = 1});
    world.dialer.refuses = true;
    for (int i = 1; i < 4; ++i) {
      CPPUNIT_ASSERT(!world.take());
      CPPUNIT_ASSERT_EQUAL(i, world.dialer.dials.load());
      CPPUNIT_ASSERT(world.pool().well());
    }
  }

  void whatIsKeptGoesOutAlsoWhileTheStoreIsSick() {
    World world({.connections = 2, .rest = milliseconds(5000)});
    Lease kept = world.take();
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    kept.give_back();
    CPPUNIT_ASSERT(!world.pool().well());
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.kept());
  }

  // Made at once, they die one after the other, give or take a tenth.
  void lifetimesAreStaggered() {
    milliseconds spread{0};
    for (int attempt = 0; attempt < 5 && spread < milliseconds(2); ++attempt) {
      World world({.connections = 5, .age = milliseconds(30)});
      const Clock::time_point made = Clock::now();
      std::vector<Lease> leases;
      for (int i = 0; i < 5; ++i) {
        leases.push_back(world.take());
      }
      const Clock::time_point all_made = Clock::now();
      for (Lease& lease : leases) {
        lease.give_back();
      }
      std::vector<Clock::time_point> deaths;
      std::this_thread::sleep_until(made + milliseconds(25));
      await([&] {
        world.pool().drop_expired();
        while (deaths.size() + world.pool().open() < 5) {
          deaths.push_back(Clock::now());
        }
        return deaths.size() == 5;
      });
      CPPUNIT_ASSERT(deaths.front() >= made + milliseconds(27));
      CPPUNIT_ASSERT(deaths.back() <= all_made + milliseconds(33 + 500));
      spread = std::chrono::duration_cast<milliseconds>(deaths.back() - deaths.front());
    }
    CPPUNIT_ASSERT(spread >= milliseconds(2));
  }

  void whatIsLeasedIsCut() {
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
};

CPPUNIT_TEST_SUITE_REGISTRATION(PoolSicknessTest);
