#include <cppunit/extensions/HelperMacros.h>

#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/common/no_threads.h"
#include "tests/unit/mailer/serve/fibers/fibers.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

class ReactorFibersTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ReactorFibersTest);
  CPPUNIT_TEST(manyFibersPlayPingPongOverTwoReactors);
  CPPUNIT_TEST(fibersOfTwoReactorsTakeTurns);
  CPPUNIT_TEST(exceptionsStayWithTheirFibers);
  CPPUNIT_TEST(aFiberThatNeverWaitsLetsOthersRun);
  CPPUNIT_TEST(blockingCallsRunOnAnotherThread);
  CPPUNIT_TEST(blockingCallsRunOnTheFiberIfThereIsNoThread);
  CPPUNIT_TEST(workThatIsStartedTooLateIsDropped);
  CPPUNIT_TEST_SUITE_END();

  void manyFibersPlayPingPongOverTwoReactors() {
    constexpr int kPairs = 60;
    constexpr int kRounds = 50;
    Reactor reactors[2];
    std::vector<Pair> pairs(kPairs);
    std::atomic<int> exchanged = 0;
    Fibers fibers;
    const auto play = [&exchanged](int descriptor, bool begins) {
      char byte = 'x';
      for (int i = 0; i < kRounds; ++i) {
        if ((i > 0 || begins) && write(descriptor, &byte, 1) != 1) {
          return;
        }
        if (here().wait_for(descriptor, POLLIN, late()) != POLLIN ||
            read(descriptor, &byte, 1) != 1) {
          return;
        }
        ++exchanged;
      }
      if (!begins) {
        [[maybe_unused]] const ssize_t written = write(descriptor, &byte, 1);
      }
    };
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      fibers.start(reactors[i % 2], [&, i] { play(pairs[i].near.number(), true); });
      fibers.start(reactors[(i / 2) % 2], [&, i] { play(pairs[i].far.number(), false); });
    }
    fibers.await_all();
    CPPUNIT_ASSERT_EQUAL(2 * kPairs * kRounds, exchanged.load());
  }

  // Waiters as a pool wakes them: from fibers of the same and of another thread.
  void fibersOfTwoReactorsTakeTurns() {
    constexpr int kFibers = 10;
    constexpr int kRounds = 20;
    Reactor reactors[2];
    std::mutex mutex;
    int whose = 0;
    bool in_time = true;
    Waiter turns[kFibers];
    Fibers fibers;
    for (int i = 0; i < kFibers; ++i) {
      fibers.start(reactors[i % 3 % 2], [&, i] {
        std::unique_lock lock(mutex);
        for (int round = 0; round < kRounds; ++round) {
          in_time = turns[i].wait_until(lock, late(), [&] { return whose == i; }) && in_time;
          whose = (whose + 1) % kFibers;
          turns[whose].call();
        }
      });
    }
    fibers.await_all();
    CPPUNIT_ASSERT(in_time);
    CPPUNIT_ASSERT_EQUAL(0, whose);
  }

  void exceptionsStayWithTheirFibers() {
    constexpr int kFibers = 20;
    Reactor reactor;
    std::atomic<int> right = 0;
    Fibers fibers;
    for (int i = 0; i < kFibers; ++i) {
      fibers.start(reactor, [&right, i] {
        const std::string own = "of " + std::to_string(i);
        try {
          try {
            here().sleep(in(i % 3));
            throw std::runtime_error(own);
          } catch (...) {
            here().sleep(in((i + 1) % 3));  // others throw in the meantime
            throw;
          }
        } catch (const std::runtime_error& error) {
          here().sleep(in((i + 2) % 3));
          right += error.what() == own ? 1 : 0;
        }
        right += std::uncaught_exceptions() == 0 && !std::current_exception() ? 100 : 0;
      });
    }
    fibers.await_all();
    CPPUNIT_ASSERT_EQUAL(101 * kFibers, right.load());
  }

  void aFiberThatNeverWaitsLetsOthersRun() {
    Reactor reactor;
    const Pair pair;
    std::atomic<bool> stop = false;
    Fibers fibers;
    fibers.start(reactor, [&] {
      for (const Deadline latest = late(); !stop && Clock::now() < latest;) {
        here().pace();
      }
    });
    fibers.start(reactor, [&] {
      here().sleep(in(2));                                   // a deadline,
      here().wait_for(pair.near.number(), POLLOUT, late());  // a descriptor,
      stop = true;                                           // and a request come through
    });
    const Clock::time_point start = Clock::now();
    fibers.await_all();
    CPPUNIT_ASSERT(Clock::now() - start < milliseconds(2000));
  }

  void blockingCallsRunOnAnotherThread() {
    Reactor reactor;
    std::atomic<bool> other_ran = false;
    bool waited = false;
    bool blocks_there = false;
    std::string caught;
    Fibers fibers;
    fibers.start(reactor, [&] {
      run_blocking([&] {
        blocks_there = Scheduler::current() == nullptr;
        for (const Deadline latest = late(); !other_ran && Clock::now() < latest;) {
          std::this_thread::yield();
        }
        waited = other_ran;
      });
      try {
        run_blocking([] { throw std::runtime_error("there is no such host"); });
      } catch (const std::runtime_error& error) {
        run_blocking([] {});  // within a catch block, too
        caught = error.what();
      }
      // The last wake-up may not have arrived yet.
      const Deadline deadline = in(2);
      while (Clock::now() < deadline) {
        here().sleep(deadline);
      }
    });
    fibers.start(reactor, [&] { other_ran = true; });
    fibers.await_all();
    CPPUNIT_ASSERT(blocks_there);
    CPPUNIT_ASSERT(waited);
    CPPUNIT_ASSERT_EQUAL(std::string("there is no such host"), caught);
  }

  void blockingCallsRunOnTheFiberIfThereIsNoThread() {
    Reactor reactor;
    bool ran = false;
    std::string caught;
    const NoThreads no_threads;
    run(reactor, [&] {
      run_blocking([&] { ran = Scheduler::current() != nullptr; });
      try {
        run_blocking([] { throw std::runtime_error("there is no such host"); });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
    });
    CPPUNIT_ASSERT(ran);
    CPPUNIT_ASSERT_EQUAL(std::string("there is no such host"), caught);
  }

  // The thread is busy until it is told to stop: work that was started in the meantime does not
  // run.
  void workThatIsStartedTooLateIsDropped() {
    const auto held = std::make_shared<int>(1);
    {
      std::atomic<bool> goes_on = false;
      Reactor reactor;
      reactor.start([&] {
        await([&] { return goes_on.load(); });
        std::this_thread::sleep_for(milliseconds(10));
      });
      reactor.start([held] {});
      goes_on = true;
    }
    CPPUNIT_ASSERT_EQUAL(1L, held.use_count());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReactorFibersTest);
