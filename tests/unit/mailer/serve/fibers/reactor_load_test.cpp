#include "mailer/serve/fibers/reactor.h"

#include <cppunit/extensions/HelperMacros.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

std::size_t in_use() {
  const struct mallinfo2 now = mallinfo2();
  return now.uordblks + now.hblkhd;
}

// Waits until `done` reaches this number, for ten seconds at most.
void await(const std::atomic<int>& done, int many) {
  const Deadline latest = Clock::now() + std::chrono::seconds(10);
  while (done < many && Clock::now() < latest) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  CPPUNIT_ASSERT_EQUAL(many, done.load());
}

}  // namespace

class ReactorLoadTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ReactorLoadTest);
  CPPUNIT_TEST(finishedFibersLeaveNothing);
  CPPUNIT_TEST(aDeadlineIsMetAfterManyOthers);
  CPPUNIT_TEST(blockingCallsDoNotDelayOtherFibers);
  CPPUNIT_TEST_SUITE_END();

  void finishedFibersLeaveNothing() {
    const Descriptor readable(eventfd(1, EFD_CLOEXEC));
    Reactor reactor;
    std::atomic<int> done = 0;
    const auto run_some = [&](int until) {
      while (done < until) {
        const int before = done;
        reactor.start([&] {
          wait_for(readable.number(), POLLIN, Clock::now() + std::chrono::minutes(10));
          ++done;
        });
        await(done, before + 1);
      }
    };
    run_some(2000);
    const std::size_t used = in_use();
    run_some(12'000);
    CPPUNIT_ASSERT(in_use() < used + 64 * 1024);
  }

  void aDeadlineIsMetAfterManyOthers() {
    const Descriptor silent(eventfd(0, EFD_CLOEXEC));
    Reactor reactor;
    std::atomic<int> done = 0;
    for (int i = 0; i < 3000; ++i) {
      reactor.start([&, i] {
        // Each first waits for long, and is then interrupted.
        Scheduler::current()->wait_for(silent.number(), POLLIN,
                                       Clock::now() + std::chrono::minutes(10));
        const Deadline deadline = Clock::now() + milliseconds(20 + i % 50);
        Scheduler::current()->sleep(deadline);
        done += Clock::now() >= deadline ? 1 : 0;
      });
    }
    std::this_thread::sleep_for(milliseconds(50));
    reactor.interrupt_waits();
    await(done, 3000);
  }

  void blockingCallsDoNotDelayOtherFibers() {
    Reactor reactor;
    std::atomic<bool> goes_on = false;
    std::atomic<int> done = 0;
    reactor.start([&] {
      run_blocking([&] {
        while (!goes_on) {
          std::this_thread::sleep_for(milliseconds(1));
        }
      });
      ++done;
    });
    reactor.start([&] {
      try {
        run_blocking([] { throw std::runtime_error("told"); });
      } catch (const std::runtime_error&) {
        goes_on = true;
        ++done;
      }
    });
    await(done, 2);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReactorLoadTest);
