#include <cppunit/extensions/HelperMacros.h>

#include <memory>
#include <thread>

#include "tests/unit/mailer/io/thread_scheduler.h"
#include "tests/unit/mailer/store/pool_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

// Takes a connection in another thread, and holds it until end().
class Taker {
 public:
  enum class End { kGivesBack, kCloses };

  Taker(ConnectionPool& pool, End end, milliseconds patience = kGenerous)
      : thread_([this, &pool, end, patience] {
          ThreadScheduler scheduler;
          scheduler_ = &scheduler;
          Lease lease = pool.take(Clock::now() + patience, failure_);
          served_ = static_cast<bool>(lease);
          answered_ = true;
          while (!over_) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
          }
          if (end == End::kGivesBack) {
            lease.give_back();
          }
        }) {}
  ~Taker() { end(); }
  void end() {
    over_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  bool answered() const { return answered_; }
  bool served() const { return served_; }
  int wakes() const { return scheduler_.load()->wakes; }
  const ConnectionPool::Failure& failure() const { return failure_; }

 private:
  std::atomic<ThreadScheduler*> scheduler_ = nullptr;
  ConnectionPool::Failure failure_;
  std::atomic<bool> answered_ = false;
  std::atomic<bool> served_ = false;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

using Takers = std::vector<std::unique_ptr<Taker>>;

Takers queue_up(ConnectionPool& pool, std::size_t number, Taker::End end) {
  Takers made;
  while (made.size() < number) {
    made.push_back(std::make_unique<Taker>(pool, end));
    await([&] { return pool.figures().waiting == made.size(); });
  }
  return made;
}

}  // namespace

class ConnectionPoolWaitersTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ConnectionPoolWaitersTest);
  CPPUNIT_TEST(oneWaiterIsWokenForEachFreedConnection);
  CPPUNIT_TEST(waitersAreServedInTheOrderOfAsking);
  CPPUNIT_TEST(aWaiterThatGaveUpIsSkipped);
  CPPUNIT_TEST(noWaiterIsForgottenWhenSeveralConnectionsAreFreed);
  CPPUNIT_TEST(aWaiterThatGivesUpPassesItsTurnOn);
  CPPUNIT_TEST(theWaitIsLimitedByTheWaitTimeoutAndByTheDeadline);
  CPPUNIT_TEST(aFailedDialLetsTheNextWaiterDial);
  CPPUNIT_TEST(aDialThatThrowsFreesItsPlace);
  CPPUNIT_TEST(aDeadConnectionFreesItsPlaceForAWaiter);
  CPPUNIT_TEST(theFiguresCountEveryConnection);
  CPPUNIT_TEST_SUITE_END();

  void oneWaiterIsWokenForEachFreedConnection() {
    World world({.connections = 1});
    Lease held = world.take();
    const Takers takers = queue_up(world.pool(), 3, Taker::End::kGivesBack);
    held.give_back();
    await([&] { return takers[0]->answered(); });
    CPPUNIT_ASSERT_EQUAL(1, takers[0]->wakes());
    CPPUNIT_ASSERT_EQUAL(0, takers[1]->wakes() + takers[2]->wakes());
    takers[0]->end();
    await([&] { return takers[1]->answered(); });
    CPPUNIT_ASSERT_EQUAL(1, takers[1]->wakes());
    CPPUNIT_ASSERT_EQUAL(0, takers[2]->wakes());
  }

  void waitersAreServedInTheOrderOfAsking() {
    for (const Taker::End end : {Taker::End::kGivesBack, Taker::End::kCloses}) {
      World world({.connections = 1});
      Lease held = world.take();
      const Takers takers = queue_up(world.pool(), 4, end);
      held.give_back();
      for (std::size_t i = 0; i < takers.size(); ++i) {
        await([&] { return takers[i]->answered(); });
        CPPUNIT_ASSERT(takers[i]->served());
        CPPUNIT_ASSERT_EQUAL(takers.size() - 1 - i, world.pool().figures().waiting);
        CPPUNIT_ASSERT(i + 1 == takers.size() || !takers[i + 1]->answered());
        takers[i]->end();
      }
      CPPUNIT_ASSERT_EQUAL(1, world.dialer.most_open);
    }
  }

  void aWaiterThatGaveUpIsSkipped() {
    World world({.connections = 1});
    Lease held = world.take();
    Taker impatient(world.pool(), Taker::End::kGivesBack, milliseconds(10));
    Taker patient(world.pool(), Taker::End::kGivesBack);
    await([&] { return impatient.answered(); });
    CPPUNIT_ASSERT(!impatient.served());
    CPPUNIT_ASSERT(impatient.failure().trouble == Trouble::kBusy);
    await([&] { return world.pool().figures().waiting == 1; });
    held.give_back();
    await([&] { return patient.answered(); });
    CPPUNIT_ASSERT(patient.served());
  }

  // Both wake-ups may go to the first waiter, before it has taken the first connection.
  void noWaiterIsForgottenWhenSeveralConnectionsAreFreed() {
    for (int i = 0; i < 20; ++i) {
      World world({.connections = 2});
      Lease one = world.take();
      Lease two = world.take();
      const Takers takers = queue_up(world.pool(), 2, Taker::End::kGivesBack);
      one.give_back();
      two.give_back();
      await([&] { return takers[0]->answered() && takers[1]->answered(); });
      CPPUNIT_ASSERT(takers[0]->served() && takers[1]->served());
    }
  }

  // The deadline of the first waiter comes at the moment of its turn.
  void aWaiterThatGivesUpPassesItsTurnOn() {
    for (int i = 0; i < 5; ++i) {
      World world({.connections = 1});
      Lease held = world.take();
      const Deadline deadline = Clock::now() + milliseconds(4);
      Taker first(world.pool(), Taker::End::kGivesBack, milliseconds(4));
      Taker second(world.pool(), Taker::End::kGivesBack);
      std::this_thread::sleep_until(deadline);
      held.give_back();
      await([&] { return first.answered(); });
      first.end();
      await([&] { return second.answered(); });
      CPPUNIT_ASSERT(second.served());
    }
  }

  void theWaitIsLimitedByTheWaitTimeoutAndByTheDeadline() {
    World world({.connections = 1, .wait = milliseconds(15)});
    const Lease held = world.take();
    const Clock::time_point start = Clock::now();
    CPPUNIT_ASSERT(!world.take(10 * kGenerous));
    CPPUNIT_ASSERT(Clock::now() - start >= milliseconds(15));
    CPPUNIT_ASSERT(Clock::now() - start < 5 * kGenerous);
    CPPUNIT_ASSERT(world.failure.trouble == Trouble::kBusy);
    World patient({.connections = 1, .wait = 10 * kGenerous});
    const Lease other = patient.take();
    CPPUNIT_ASSERT(!patient.take(milliseconds(5)));
    CPPUNIT_ASSERT(Clock::now() - start < 5 * kGenerous);
  }

  void aFailedDialLetsTheNextWaiterDial() {
    World world({.connections = 1});
    Lease held = world.take();
    const Takers takers = queue_up(world.pool(), 3, Taker::End::kGivesBack);
    world.dialer.refuses = true;
    held = Lease();
    for (const auto& taker : takers) {
      await([&] { return taker->answered(); });
      CPPUNIT_ASSERT(!taker->served());
      CPPUNIT_ASSERT(taker->failure().trouble == Trouble::kUnreachable);
    }
    CPPUNIT_ASSERT_EQUAL(4, world.dialer.dials.load());
  }

  void aDialThatThrowsFreesItsPlace() {
    World world({.connections = 1, .backoff = milliseconds(1)});
    world.dialer.throws = true;
    CPPUNIT_ASSERT_THROW(world.take(), std::runtime_error);
    world.dialer.throws = false;
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.take());
    world.later(milliseconds(1));
    world.dialer.throws = true;  // in a probe
    CPPUNIT_ASSERT_THROW(world.take(), std::runtime_error);
    const ConnectionPool::Figures figures = world.pool().figures();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, figures.dialling + world.pool().open());
    world.dialer.throws = false;
    world.dialer.refuses = false;
    CPPUNIT_ASSERT(world.take());
  }

  // It asked while the pool looked at the connection, when none was idle.
  void aDeadConnectionFreesItsPlaceForAWaiter() {
    World world({.connections = 1});
    world.take().give_back();
    std::unique_ptr<Taker> waiter;
    world.dialer.lives.at(0)->hangs_up = true;
    world.dialer.lives.at(0)->when_looked_at = [&] {
      if (!waiter) {
        waiter = std::make_unique<Taker>(world.pool(), Taker::End::kGivesBack);
        await([&] { return world.pool().figures().waiting == 1; });
      }
    };
    CPPUNIT_ASSERT(!world.pool().take_idle());
    const int wakes = waiter->wakes();
    if (wakes == 0) {
      world.pool().cut();  // ends its wait
    }
    CPPUNIT_ASSERT_EQUAL(1, wakes);
    await([&] { return waiter->answered(); });
    CPPUNIT_ASSERT(waiter->served());
    CPPUNIT_ASSERT_EQUAL(2, world.dialer.dials.load());
  }

  void theFiguresCountEveryConnection() {
    World world({.connections = 3});
    const auto check = [&](std::size_t leased, std::size_t idle, std::size_t dialling,
                           std::size_t waiting) {
      const ConnectionPool::Figures figures = world.pool().figures();
      CPPUNIT_ASSERT_EQUAL(leased, figures.leased);
      CPPUNIT_ASSERT_EQUAL(idle, figures.idle);
      CPPUNIT_ASSERT_EQUAL(dialling, figures.dialling);
      CPPUNIT_ASSERT_EQUAL(waiting, figures.waiting);
      CPPUNIT_ASSERT_EQUAL(std::size_t{3}, figures.limit);
      CPPUNIT_ASSERT_EQUAL(leased + idle + dialling, world.pool().open());
    };
    check(0, 0, 0, 0);
    Lease one = world.take();
    Lease two = world.take();
    check(2, 0, 0, 0);
    one.give_back();
    check(1, 1, 0, 0);
    one = world.take();
    world.dialer.hanging = StoresDialer::kAll;
    Taker dials(world.pool(), Taker::End::kCloses);
    await([&] { return world.dialer.dials == 3; });
    check(2, 0, 1, 0);
    Taker waits(world.pool(), Taker::End::kGivesBack);
    await([&] { return world.pool().figures().waiting == 1; });
    check(2, 0, 1, 1);
    world.dialer.hanging = 0;
    await([&] { return dials.answered(); });
    check(3, 0, 0, 1);
    dials.end();
    await([&] { return waits.answered(); });
    check(3, 0, 0, 0);
    waits.end();
    two = Lease();
    check(1, 1, 0, 0);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConnectionPoolWaitersTest);
