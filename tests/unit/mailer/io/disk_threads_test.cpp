#include "mailer/io/disk_threads.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <new>
#include <thread>

#include "tests/unit/common/no_threads.h"
#include "tests/unit/mailer/io/thread_scheduler.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

constexpr int kThreads = 4;

template <typename Condition>
void await(Condition condition) {
  for (const Deadline latest = Clock::now() + std::chrono::seconds(60); !condition();) {
    CPPUNIT_ASSERT(Clock::now() < latest);
    std::this_thread::sleep_for(milliseconds(1));
  }
}

}  // namespace

class DiskThreadsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DiskThreadsTest);
  CPPUNIT_TEST(withoutAThreadTheCallerDoesTheWork);
  CPPUNIT_TEST(onAThreadTheCallerDoesTheWork);
  CPPUNIT_TEST(aFiberWaitsForItsWork);
  CPPUNIT_TEST(workThatIsLeftIsNotWaitedFor);
  CPPUNIT_TEST(fourThreadsWorkAtOnce);
  CPPUNIT_TEST(workThatCannotBeKeptIsDoneAtOnce);
  CPPUNIT_TEST_SUITE_END();

  // Threads that were started before do it, if there are any.
  void withoutAThreadTheCallerDoesTheWork() {
    const ThreadScheduler scheduler;
    const NoThreads no_threads;
    std::atomic<int> done = 0;
    run_on_disk([&] { ++done; });
    CPPUNIT_ASSERT_EQUAL(1, done.load());
    leave_to_disk([&] { ++done; });
    await([&] { return done == 2; });
  }

  void onAThreadTheCallerDoesTheWork() {
    for (const auto& run :
         {run_on_disk, +[](const std::function<void()>& w) { leave_to_disk(w); }}) {
      std::thread::id where;
      run([&] { where = std::this_thread::get_id(); });
      CPPUNIT_ASSERT(where == std::this_thread::get_id());
    }
  }

  void aFiberWaitsForItsWork() {
    ThreadScheduler scheduler;
    for (int i = 0; i < 20; ++i) {
      scheduler.restless = 3;  // a fiber that wakes must not end the wait
      std::thread::id where;
      run_on_disk([&] {
        std::this_thread::sleep_for(milliseconds(i == 0 ? 20 : 0));
        where = std::this_thread::get_id();
      });
      CPPUNIT_ASSERT(where != std::thread::id() && where != std::this_thread::get_id());
    }
  }

  void workThatIsLeftIsNotWaitedFor() {
    const ThreadScheduler scheduler;
    std::atomic<bool> may_end = false;
    std::atomic<bool> ended = false;
    leave_to_disk([&] {
      await([&] { return may_end.load(); });
      ended = true;
    });
    CPPUNIT_ASSERT(!ended);
    may_end = true;
    await([&] { return ended.load(); });
  }

  void fourThreadsWorkAtOnce() {
    const ThreadScheduler scheduler;
    for (int time = 0; time < 2; ++time) {
      std::atomic<bool> may_end = false;
      std::atomic<int> begun = 0;
      std::atomic<int> ended = 0;
      for (int i = 0; i < 3 * kThreads; ++i) {
        leave_to_disk([&] {
          ++begun;
          await([&] { return may_end.load(); });
          ++ended;
        });
      }
      await([&] { return begun == kThreads; });
      std::this_thread::sleep_for(milliseconds(20));  // for one more
      CPPUNIT_ASSERT_EQUAL(kThreads, begun.load());
      may_end = true;
      await([&] { return ended == 3 * kThreads; });
    }
  }

  void workThatCannotBeKeptIsDoneAtOnce() {
    struct Work {
      explicit Work(int& count) : done(count) {}
      Work(const Work& other) : done(other.done), full(other.full) {
        if (full) {
          throw std::bad_alloc();
        }
      }
      Work& operator=(const Work&) = delete;
      ~Work() = default;
      void operator()() const { ++done; }
      int& done;
      bool full = false;
    };
    const ThreadScheduler scheduler;
    int done = 0;
    std::function<void()> work = Work(done);
    work.target<Work>()->full = true;
    leave_to_disk(work);
    CPPUNIT_ASSERT_EQUAL(1, done);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DiskThreadsTest);
