#include "mailer/io/cuttable_work.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/unit/common/no_threads.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class CuttableWorkTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CuttableWorkTest);
  CPPUNIT_TEST(workIsWaitedFor);
  CPPUNIT_TEST(whatTheWorkOwnsIsDestroyedBeforeTheCallerGoesOn);
  CPPUNIT_TEST(anExceptionOfTheWorkIsThrown);
  CPPUNIT_TEST(aCutEndsTheWaitAndNotTheWork);
  CPPUNIT_TEST(afterACutNothingIsRun);
  CPPUNIT_TEST(withoutAThreadTheCallerDoesTheWork);
  CPPUNIT_TEST_SUITE_END();

  void workIsWaitedFor() {
    CuttableWork all;
    bool ran = false;
    CPPUNIT_ASSERT(all.run([&] { ran = true; }));
    CPPUNIT_ASSERT(ran);
  }

  void whatTheWorkOwnsIsDestroyedBeforeTheCallerGoesOn() {
    struct Slow {
      explicit Slow(std::atomic<bool>& flag) : gone(flag) {}
      ~Slow() {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        gone = true;
      }
      std::atomic<bool>& gone;
    };
    std::atomic<bool> gone = false;
    CuttableWork all;
    CPPUNIT_ASSERT(all.run([slow = std::make_shared<Slow>(gone)] {}));
    CPPUNIT_ASSERT(gone);
  }

  void anExceptionOfTheWorkIsThrown() {
    CuttableWork all;
    CPPUNIT_ASSERT_THROW(all.run([] { throw std::runtime_error("said no"); }), std::runtime_error);
  }

  void aCutEndsTheWaitAndNotTheWork() {
    struct Steps {
      std::promise<void> begun, may_end, ended;
    };
    const auto steps = std::make_shared<Steps>();
    auto all = std::make_unique<CuttableWork>();
    std::thread cutter([&] {
      steps->begun.get_future().wait();
      all->cut();
    });
    CPPUNIT_ASSERT(!all->run([steps] {
      steps->begun.set_value();
      steps->may_end.get_future().wait();
      steps->ended.set_value();
    }));
    cutter.join();
    all.reset();
    steps->may_end.set_value();
    steps->ended.get_future().wait();
  }

  void afterACutNothingIsRun() {
    CuttableWork all;
    all.cut();
    bool ran = false;
    CPPUNIT_ASSERT(!all.run([&] { ran = true; }));
    CPPUNIT_ASSERT(!ran);
  }

  void withoutAThreadTheCallerDoesTheWork() {
    const NoThreads no_threads;
    CuttableWork all;
    std::thread::id where;
    CPPUNIT_ASSERT(all.run([&] { where = std::this_thread::get_id(); }));
    CPPUNIT_ASSERT(where == std::this_thread::get_id());
    CPPUNIT_ASSERT_THROW(all.run([] { throw std::runtime_error("said no"); }), std::runtime_error);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CuttableWorkTest);
