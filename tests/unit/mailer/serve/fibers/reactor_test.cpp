#include "mailer/serve/fibers/reactor.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>
#include <string>
#include <thread>

#include "tests/unit/mailer/serve/fibers/fibers.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

class ReactorTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ReactorTest);
  CPPUNIT_TEST(aFiberKnowsItsScheduler);
  CPPUNIT_TEST(aDescriptorIsWaitedFor);
  CPPUNIT_TEST(aWaitEndsAtItsDeadline);
  CPPUNIT_TEST(whatHasHappenedCountsAlthoughTheDeadlineHasPassed);
  CPPUNIT_TEST(deadlinesFireInTheirOrder);
  CPPUNIT_TEST(anEarlierDeadlineDoesNotShortenALaterOne);
  CPPUNIT_TEST(aWaitWithoutADeadlineLasts);
  CPPUNIT_TEST(aWaitForADescriptorIsInterrupted);
  CPPUNIT_TEST(aSleepIsNotInterrupted);
  CPPUNIT_TEST(oneFiberWakesAnother);
  CPPUNIT_TEST(anotherThreadWakesAFiber);
  CPPUNIT_TEST(aWakeUpBeforeTheSleepIsNotLost);
  CPPUNIT_TEST(aWakeUpDoesNotEndAWaitForADescriptor);
  CPPUNIT_TEST(aWakeUpForAFinishedFiberIsIgnored);
  CPPUNIT_TEST(anEventForAnEarlierWaitIsIgnored);
  CPPUNIT_TEST(anEventForAnEarlierFiberIsIgnored);
  CPPUNIT_TEST(aReusedDescriptorIsWaitedFor);
  CPPUNIT_TEST(aDescriptorMovesToAnotherReactor);
  CPPUNIT_TEST(aDescriptorThatCannotBeWaitedForIsReadyAtOnce);
  CPPUNIT_TEST_SUITE_END();

  void aFiberKnowsItsScheduler() {
    Reactor reactor;
    std::thread::id where;
    Scheduler* current = nullptr;
    Scheduler::Sleeper self;
    run(reactor, [&] {
      current = Scheduler::current();
      self = here().self();
      where = std::this_thread::get_id();
    });
    CPPUNIT_ASSERT(where != std::this_thread::get_id());
    CPPUNIT_ASSERT(current == &reactor && self.scheduler == &reactor);
    CPPUNIT_ASSERT(Scheduler::current() == nullptr);
  }

  void aDescriptorIsWaitedFor() {
    Reactor reactor;
    Pair pair;
    std::atomic<bool> waits = false;
    short readable = 0;
    short writable = 0;
    short closed = 0;
    Fibers fibers;
    fibers.start(reactor, [&] {
      writable = here().wait_for(pair.near.number(), POLLOUT, late());
      waits = true;
      readable = here().wait_for(pair.near.number(), POLLIN, late());
      char byte = 0;
      [[maybe_unused]] const ssize_t got = read(pair.near.number(), &byte, 1);
      pair.far = Descriptor();
      closed = here().wait_for(pair.near.number(), POLLIN, late());
    });
    await([&] { return waits.load(); });
    pair.say();
    fibers.await_all();
    CPPUNIT_ASSERT_EQUAL(short{POLLOUT}, writable);
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, readable);
    CPPUNIT_ASSERT_EQUAL(short{POLLIN | POLLHUP}, closed);
  }

  void aWaitEndsAtItsDeadline() {
    Reactor reactor;
    const Pair pair;
    for (const bool sleeps : {false, true}) {
      const Deadline deadline = in(10);
      short happened = 0;
      run(reactor, [&] {
        sleeps
            ? here().sleep(deadline)
            : static_cast<void>(happened = here().wait_for(pair.near.number(), POLLIN, deadline));
      });
      CPPUNIT_ASSERT(Clock::now() >= deadline);
      CPPUNIT_ASSERT(Clock::now() < deadline + milliseconds(2000));
      CPPUNIT_ASSERT_EQUAL(short{0}, happened);
    }
    const Clock::time_point start = Clock::now();
    run(reactor, [&] { here().sleep(start - milliseconds(10)); });
    CPPUNIT_ASSERT(Clock::now() < start + milliseconds(2000));
  }

  void whatHasHappenedCountsAlthoughTheDeadlineHasPassed() {
    Reactor reactor;
    const Pair pair;
    pair.say();
    for (const int time : {0, -10}) {
      short happened = 0;
      run(reactor, [&] { happened = here().wait_for(pair.near.number(), POLLIN, in(time)); });
      CPPUNIT_ASSERT_EQUAL(short{POLLIN}, happened);
    }
  }

  void deadlinesFireInTheirOrder() {
    Reactor reactor;
    std::string order;
    Fibers fibers;
    const Clock::time_point start = Clock::now();
    for (const int name : {3, 1, 4, 2}) {
      fibers.start(reactor, [&order, start, name] {
        here().sleep(start + milliseconds(10 + 5 * name));
        order += std::to_string(name);
      });
    }
    fibers.await_all();
    CPPUNIT_ASSERT_EQUAL(std::string("1234"), order);
  }

  // A timer that was set for an earlier wait fires during a later one.
  void anEarlierDeadlineDoesNotShortenALaterOne() {
    Reactor reactor;
    const Pair pair;
    short first = 0;
    short second = 1;
    Deadline deadline;
    Clock::time_point end;
    run(reactor, [&] {
      first = here().wait_for(pair.near.number(), POLLOUT, in(8));
      deadline = in(20);
      second = here().wait_for(pair.near.number(), POLLIN, deadline);
      end = Clock::now();
    });
    CPPUNIT_ASSERT_EQUAL(short{POLLOUT}, first);
    CPPUNIT_ASSERT_EQUAL(short{0}, second);
    CPPUNIT_ASSERT(end >= deadline && end < deadline + milliseconds(2000));
  }

  void aWaitWithoutADeadlineLasts() {
    Reactor reactor;
    const Pair pair;
    std::atomic<bool> over = false;
    Fibers fibers;
    fibers.start(reactor, [&] {
      here().wait_for(pair.near.number(), POLLOUT, in(5));
      here().wait_for(pair.near.number(), POLLIN, Deadline::max());
      over = true;
    });
    std::this_thread::sleep_for(milliseconds(12));
    CPPUNIT_ASSERT(!over);
    pair.say();
    fibers.await_all();
  }

  void aWaitForADescriptorIsInterrupted() {
    Reactor reactor;
    Pair pairs[3];
    std::atomic<int> waiting = 0;
    std::atomic<int> told = 0;
    Fibers fibers;
    for (const Pair& pair : pairs) {
      fibers.start(reactor, [&] {
        ++waiting;
        told += here().wait_for(pair.near.number(), POLLIN, late()) == Scheduler::kInterrupted;
        // It goes on waiting.
        told += here().wait_for(pair.near.number(), POLLIN, late()) == POLLIN ? 10 : 0;
      });
    }
    await([&] { return waiting == 3; });
    reactor.interrupt_waits();
    await([&] { return told == 3; });
    for (const Pair& pair : pairs) {
      pair.say();
    }
    fibers.await_all();
    CPPUNIT_ASSERT_EQUAL(33, told.load());
  }

  void aSleepIsNotInterrupted() {
    Reactor reactor;
    const Deadline deadline = in(10);
    std::atomic<bool> began = false;
    Clock::time_point end;
    Fibers fibers;
    fibers.start(reactor, [&] {
      began = true;
      here().sleep(deadline);
      end = Clock::now();
    });
    await([&] { return began.load(); });
    reactor.interrupt_waits();
    fibers.await_all();
    CPPUNIT_ASSERT(end >= deadline);
  }

  void oneFiberWakesAnother() {
    Reactor reactor;
    Scheduler::Sleeper sleeper;
    std::string order;
    Fibers fibers;
    fibers.start(reactor, [&] {
      sleeper = here().self();
      order += 'a';
      here().sleep(late());
      order += 'c';
    });
    fibers.start(reactor, [&] {
      order += 'b';
      here().wake(sleeper.fiber);
    });
    const Clock::time_point start = Clock::now();
    fibers.await_all();
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order);
    CPPUNIT_ASSERT(Clock::now() - start < milliseconds(2000));
  }

  void anotherThreadWakesAFiber() {
    Reactor reactor;
    for (int i = 0; i < 50; ++i) {
      std::atomic<std::uint64_t> name = 0;
      std::atomic<bool> known = false;
      const Clock::time_point start = Clock::now();
      Fibers fibers;
      fibers.start(reactor, [&] {
        name = here().self().fiber;
        known = true;
        here().sleep(late());
      });
      await([&] { return known.load(); });
      reactor.wake(name);
      fibers.await_all();
      CPPUNIT_ASSERT(Clock::now() - start < milliseconds(2000));
    }
  }

  // From another thread, while the fiber is about to sleep.
  void aWakeUpBeforeTheSleepIsNotLost() {
    Reactor reactor;
    const Clock::time_point start = Clock::now();
    run(reactor, [&] {
      const Scheduler::Sleeper self = here().self();
      std::thread([self] { self.scheduler->wake(self.fiber); }).join();
      here().sleep(late());
    });
    CPPUNIT_ASSERT(Clock::now() - start < milliseconds(2000));
  }

  void aWakeUpDoesNotEndAWaitForADescriptor() {
    Reactor reactor;
    const Pair pair;
    short happened = -1;
    run(reactor, [&] {
      const Scheduler::Sleeper self = here().self();
      std::thread([self] { self.scheduler->wake(self.fiber); }).join();
      happened = here().wait_for(pair.near.number(), POLLIN, in(10));
    });
    CPPUNIT_ASSERT_EQUAL(short{0}, happened);
  }

  // Another fiber has its slot by then.
  void aWakeUpForAFinishedFiberIsIgnored() {
    Reactor reactor;
    std::uint64_t old = 0;
    run(reactor, [&] { old = here().self().fiber; });
    std::atomic<bool> began = false;
    std::uint64_t fresh = 0;
    Clock::time_point end;
    const Deadline deadline = in(12);
    Fibers fibers;
    fibers.start(reactor, [&] {
      fresh = here().self().fiber;
      began = true;
      here().sleep(deadline);
      end = Clock::now();
    });
    await([&] { return began.load(); });
    reactor.wake(old);
    reactor.wake(old + 1000);  // a slot that was never used
    fibers.await_all();
    CPPUNIT_ASSERT(end >= deadline);
    CPPUNIT_ASSERT(old != fresh);
    CPPUNIT_ASSERT_EQUAL(static_cast<std::uint32_t>(old), static_cast<std::uint32_t>(fresh));
  }

  void anEventForAnEarlierWaitIsIgnored() {
    Reactor reactor;
    const Pair early;
    const Pair later;
    short first = -1;
    short second = -1;
    run(reactor, [&] {
      first = here().wait_for(early.near.number(), POLLIN, in(1));
      early.say();
      second = here().wait_for(later.near.number(), POLLIN, in(5));
    });
    CPPUNIT_ASSERT_EQUAL(short{0}, first);
    CPPUNIT_ASSERT_EQUAL(short{0}, second);
  }

  // A kept connection outlives the fiber that waited for it; another fiber has its slot by then.
  void anEventForAnEarlierFiberIsIgnored() {
    Reactor reactor;
    const Pair kept;
    const Pair other;
    short first = -1;
    short second = -1;
    run(reactor, [&] { first = here().wait_for(kept.near.number(), POLLIN, in(1)); });
    run(reactor, [&] {
      kept.say();
      second = here().wait_for(other.near.number(), POLLIN, in(5));
    });
    CPPUNIT_ASSERT_EQUAL(short{0}, first);
    CPPUNIT_ASSERT_EQUAL(short{0}, second);
  }

  void aReusedDescriptorIsWaitedFor() {
    Reactor reactor;
    std::set<int> numbers;
    short all = POLLIN;
    run(reactor, [&] {
      for (int i = 0; i < 10; ++i) {
        const Pair pair;
        numbers.insert(pair.near.number());
        if (i % 2 == 0) {
          here().wait_for(pair.near.number(), POLLIN, in(0));  // closed during the wait
        } else {
          pair.say();
          all = static_cast<short>(all & here().wait_for(pair.near.number(), POLLIN, late()));
        }
      }
    });
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, all);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, numbers.size());
  }

  void aDescriptorMovesToAnotherReactor() {
    Reactor one;
    Reactor two;
    const Pair pair;
    for (int i = 0; i < 5; ++i) {
      for (Reactor* const reactor : {&one, &two}) {
        short happened = -1;
        short nothing = -1;
        run(*reactor, [&] {
          nothing = here().wait_for(pair.near.number(), POLLIN, in(0));
          pair.say();
          happened = here().wait_for(pair.near.number(), POLLIN, late());
          char byte = 0;
          [[maybe_unused]] const ssize_t got = read(pair.near.number(), &byte, 1);
        });
        CPPUNIT_ASSERT_EQUAL(short{0}, nothing);
        CPPUNIT_ASSERT_EQUAL(short{POLLIN}, happened);
      }
    }
  }

  void aDescriptorThatCannotBeWaitedForIsReadyAtOnce() {
    Reactor reactor;
    short happened = 0;
    run(reactor, [&] { happened = here().wait_for(-1, POLLIN, late()); });
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, happened);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReactorTest);
