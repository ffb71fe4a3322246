#include "mailer/io/waiting.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/common/no_threads.h"
#include "tests/unit/mailer/io/socket_pair.h"
#include "tests/unit/mailer/io/thread_scheduler.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Waits in a separate thread, with a Scheduler or without one.
class Waiting {
 public:
  explicit Waiting(bool with_scheduler)
      : thread_([this, with_scheduler] {
          const auto scheduler = with_scheduler ? std::make_unique<ThreadScheduler>() : nullptr;
          std::unique_lock lock(mutex_);
          began_ = true;
          came_ = turn_.wait_until(lock, Clock::now() + seconds(60), [&] { return due_; });
        }) {}
  // Under the lock, as every caller does: so the wait has begun.
  bool call() {
    for (;;) {
      const std::lock_guard lock(mutex_);
      if (began_) {
        due_ = true;
        turn_.call();
        break;
      }
    }
    thread_.join();
    return came_;
  }

 private:
  std::mutex mutex_;
  Waiter turn_;
  bool began_ = false;
  bool due_ = false;
  bool came_ = false;
  std::thread thread_;
};

}  // namespace

class WaitingTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(WaitingTest);
  CPPUNIT_TEST(aConditionThatHoldsIsNotWaitedFor);
  CPPUNIT_TEST(aWaitEndsAtItsDeadline);
  CPPUNIT_TEST(aWaitThatIsGivenUpEndsBeforeItsDeadline);
  CPPUNIT_TEST(aCallEndsTheWait);
  CPPUNIT_TEST(aSpuriousWakeUpDoesNotEndTheWait);
  CPPUNIT_TEST(aCallWithoutAWaitHasNoEffect);
  CPPUNIT_TEST(onAThreadTheWorkRunsInTheSameThread);
  CPPUNIT_TEST(onAFiberTheWorkRunsInAnotherThread);
  CPPUNIT_TEST(anExceptionOfTheWorkIsRethrown);
  CPPUNIT_TEST(aDescriptorIsWaitedForUntilTheDeadline);
  CPPUNIT_TEST(anInterruptedFiberGoesOnWaiting);
  CPPUNIT_TEST(theRemainingTimeIsRoundedUp);
  CPPUNIT_TEST(withoutAThreadAFiberWaitsForItsOwnWork);
  CPPUNIT_TEST(workSideBySideIsDoneOnceByAsManyAsMay);
  CPPUNIT_TEST(workSideBySideNeedsNoOtherThread);
  CPPUNIT_TEST(aFiberSleepsUntilItsDeadline);
  CPPUNIT_TEST(onlyAFiberIsPaced);
  CPPUNIT_TEST_SUITE_END();

  void aConditionThatHoldsIsNotWaitedFor() {
    for (const bool with_scheduler : {false, true}) {
      const auto scheduler = with_scheduler ? std::make_unique<ThreadScheduler>() : nullptr;
      std::mutex mutex;
      std::unique_lock lock(mutex);
      Waiter turn;
      CPPUNIT_ASSERT(turn.wait_until(lock, Clock::now() - milliseconds(1), [] { return true; }));
      CPPUNIT_ASSERT(!scheduler || scheduler->sleeps == 0);
      CPPUNIT_ASSERT(lock.owns_lock());
    }
  }

  void aWaitEndsAtItsDeadline() {
    for (const bool with_scheduler : {false, true}) {
      const auto scheduler = with_scheduler ? std::make_unique<ThreadScheduler>() : nullptr;
      std::mutex mutex;
      std::unique_lock lock(mutex);
      Waiter turn;
      const Deadline deadline = Clock::now() + milliseconds(10);
      CPPUNIT_ASSERT(!turn.wait_until(lock, deadline, [] { return false; }));
      CPPUNIT_ASSERT(Clock::now() >= deadline);
      CPPUNIT_ASSERT(lock.owns_lock());
    }
  }

  void aWaitThatIsGivenUpEndsBeforeItsDeadline() {
    for (const bool with_scheduler : {false, true}) {
      const auto scheduler = with_scheduler ? std::make_unique<ThreadScheduler>() : nullptr;
      std::mutex mutex;
      std::unique_lock lock(mutex);
      Waiter turn;
      int asked = 0;
      bool due = false;
      const auto given_up = [&] {
        CPPUNIT_ASSERT(mutex.try_lock());  // others may take their turn in the meantime
        mutex.unlock();
        return ++asked == 2;
      };
      const Clock::time_point start = Clock::now();
      CPPUNIT_ASSERT(!turn.wait_until(lock, {start + seconds(60), given_up}, [&] { return due; }));
      CPPUNIT_ASSERT_EQUAL(2, asked);
      CPPUNIT_ASSERT(Clock::now() < start + seconds(60));
      CPPUNIT_ASSERT(lock.owns_lock());
      CPPUNIT_ASSERT(
          !turn.wait_until(lock, {Clock::now() + milliseconds(10), given_up}, [&] { return due; }));
      due = true;
      CPPUNIT_ASSERT(
          turn.wait_until(lock, {Clock::now() + seconds(60), given_up}, [&] { return due; }));
      CPPUNIT_ASSERT_EQUAL(2, asked);
    }
  }

  void aCallEndsTheWait() {
    for (const bool with_scheduler : {false, true}) {
      for (int i = 0; i < 20; ++i) {
        const Clock::time_point start = Clock::now();
        Waiting waiting(with_scheduler);
        CPPUNIT_ASSERT(waiting.call());
        CPPUNIT_ASSERT(Clock::now() - start < seconds(30));
      }
    }
  }

  void aSpuriousWakeUpDoesNotEndTheWait() {
    ThreadScheduler scheduler;
    scheduler.restless = 5;
    std::mutex mutex;
    std::unique_lock lock(mutex);
    Waiter turn;
    const Deadline deadline = Clock::now() + milliseconds(10);
    CPPUNIT_ASSERT(!turn.wait_until(lock, deadline, [] { return false; }));
    CPPUNIT_ASSERT(Clock::now() >= deadline);
    scheduler.restless = 5;
    scheduler.sleeps = 0;
    int asked = 0;
    CPPUNIT_ASSERT(
        turn.wait_until(lock, Clock::now() + seconds(60), [&asked] { return ++asked > 5; }));
    CPPUNIT_ASSERT_EQUAL(5, scheduler.sleeps.load());
  }

  // There is no sleeping fiber to wake.
  void aCallWithoutAWaitHasNoEffect() {
    ThreadScheduler scheduler;
    std::mutex mutex;
    std::unique_lock lock(mutex);
    Waiter turn;
    turn.call();
    CPPUNIT_ASSERT(!turn.wait_until(lock, Clock::now() + milliseconds(1), [] { return false; }));
    turn.call();
    CPPUNIT_ASSERT_EQUAL(0, scheduler.wakes.load());
  }

  void onAThreadTheWorkRunsInTheSameThread() {
    std::thread::id where;
    run_blocking([&] { where = std::this_thread::get_id(); });
    CPPUNIT_ASSERT(where == std::this_thread::get_id());
    CPPUNIT_ASSERT_THROW(run_blocking([] { throw std::runtime_error("x"); }), std::runtime_error);
  }

  void onAFiberTheWorkRunsInAnotherThread() {
    ThreadScheduler scheduler;
    scheduler.restless = 3;  // a fiber that wakes must not end the wait for its work
    std::thread::id where;
    bool blocks_there = false;
    bool done = false;
    run_blocking([&] {
      where = std::this_thread::get_id();
      blocks_there = Scheduler::current() == nullptr;
      for (const Deadline latest = Clock::now() + seconds(60);
           scheduler.sleeps <= 3 && Clock::now() < latest;) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      done = true;
    });
    CPPUNIT_ASSERT(done);
    CPPUNIT_ASSERT(where != std::this_thread::get_id());
    CPPUNIT_ASSERT(blocks_there);
    CPPUNIT_ASSERT(scheduler.sleeps > 3);
  }

  void anExceptionOfTheWorkIsRethrown() {
    ThreadScheduler scheduler;
    try {
      run_blocking([] { throw std::runtime_error("there is no such host"); });
      CPPUNIT_FAIL("nothing was thrown");
    } catch (const std::runtime_error& error) {
      CPPUNIT_ASSERT_EQUAL(std::string("there is no such host"), std::string(error.what()));
    }
  }

  void aDescriptorIsWaitedForUntilTheDeadline() {
    const Pair pair;
    const Deadline deadline = Clock::now() + milliseconds(10);
    CPPUNIT_ASSERT_EQUAL(short{0}, wait_for(pair.near.number(), POLLIN, deadline));
    CPPUNIT_ASSERT(Clock::now() >= deadline);
    CPPUNIT_ASSERT_EQUAL(short{POLLOUT}, wait_for(pair.near.number(), POLLOUT, Deadline::max()));
    pair.say();
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, wait_for(pair.near.number(), POLLIN, Deadline::max()));
    // Even when no time is left.
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, wait_for(pair.near.number(), POLLIN, Deadline::min()));
    ThreadScheduler scheduler;
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, wait_for(pair.near.number(), POLLIN, Clock::now()));
    CPPUNIT_ASSERT_EQUAL(-1, scheduler.asked_for);
  }

  void anInterruptedFiberGoesOnWaiting() {
    ThreadScheduler scheduler;
    scheduler.answers = {POLLIN | POLLHUP, Scheduler::kInterrupted, Scheduler::kInterrupted};
    const Deadline deadline = Clock::now() + seconds(60);
    CPPUNIT_ASSERT_EQUAL(short{POLLIN | POLLHUP}, wait_for(5, POLLIN, deadline));
    CPPUNIT_ASSERT(scheduler.answers.empty());
    CPPUNIT_ASSERT_EQUAL(5, scheduler.asked_for);
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, scheduler.asked_events);
    CPPUNIT_ASSERT(scheduler.asked_deadline == deadline);
  }

  // Otherwise the last part of a millisecond would be spent in a busy loop.
  void theRemainingTimeIsRoundedUp() {
    CPPUNIT_ASSERT_EQUAL(0, milliseconds_until(Clock::now()));
    CPPUNIT_ASSERT_EQUAL(0, milliseconds_until(Clock::now() - milliseconds(100)));
    CPPUNIT_ASSERT_EQUAL(INT_MAX, milliseconds_until(Deadline::max()));
    const Deadline deadline = Clock::now() + std::chrono::microseconds(2500);
    const int left = milliseconds_until(deadline);
    CPPUNIT_ASSERT(left <= 3 && (left == 3 || Clock::now() > deadline - milliseconds(2)));
    const Clock::time_point now = Clock::now();
    CPPUNIT_ASSERT_EQUAL(0, milliseconds_between(now, now));
    CPPUNIT_ASSERT_EQUAL(1, milliseconds_between(now, now + std::chrono::nanoseconds(1)));
    CPPUNIT_ASSERT_EQUAL(1, milliseconds_between(now, now + milliseconds(1)));
  }

  void withoutAThreadAFiberWaitsForItsOwnWork() {
    const ThreadScheduler scheduler;
    const NoThreads no_threads;
    int times = 0;
    std::thread::id where;
    run_blocking([&] {
      ++times;
      where = std::this_thread::get_id();
    });
    CPPUNIT_ASSERT_EQUAL(1, times);
    CPPUNIT_ASSERT(where == std::this_thread::get_id());
  }

  void workSideBySideIsDoneOnceByAsManyAsMay() {
    for (const std::size_t count : {0U, 1U, 2U, 3U, 4U, 20U}) {
      const std::size_t at_once = std::min<std::size_t>(count, 3);
      std::mutex mutex;
      std::vector<int> times(count);
      std::set<std::thread::id> threads;
      run_side_by_side(count, 3, [&](std::size_t number) {
        std::unique_lock lock(mutex);
        ++times.at(number);
        threads.insert(std::this_thread::get_id());
        // Until each thread has some.
        for (const Deadline latest = Clock::now() + seconds(60);
             threads.size() < at_once && Clock::now() < latest;) {
          lock.unlock();
          std::this_thread::yield();
          lock.lock();
        }
      });
      CPPUNIT_ASSERT(times == std::vector<int>(count, 1));
      CPPUNIT_ASSERT_EQUAL(at_once, threads.size());
    }
  }

  void workSideBySideNeedsNoOtherThread() {
    for (const bool with_scheduler : {false, true}) {  // which starts no fiber
      const auto scheduler = with_scheduler ? std::make_unique<ThreadScheduler>() : nullptr;
      const NoThreads no_threads;
      std::vector<std::size_t> numbers;
      run_side_by_side(4, 3, [&](std::size_t number) { numbers.push_back(number); });
      CPPUNIT_ASSERT((numbers == std::vector<std::size_t>{0, 1, 2, 3}));
    }
  }

  void aFiberSleepsUntilItsDeadline() {
    ThreadScheduler scheduler;
    scheduler.restless = 2;
    const Deadline deadline = Clock::now() + milliseconds(10);
    sleep_until(deadline);
    CPPUNIT_ASSERT(Clock::now() >= deadline);
    CPPUNIT_ASSERT(scheduler.sleeps >= 3);
  }

  void onlyAFiberIsPaced() {
    pace();
    ThreadScheduler scheduler;
    pace();
    CPPUNIT_ASSERT_EQUAL(1, scheduler.paces);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WaitingTest);
