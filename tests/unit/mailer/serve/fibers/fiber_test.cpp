#include "mailer/serve/fibers/fiber.h"

#include <cppunit/extensions/HelperMacros.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace lmtpq;
using namespace lmtpq::mailer;

class FiberTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(FiberTest);
  CPPUNIT_TEST(aFiberRunsFromLeaveToLeave);
  CPPUNIT_TEST(theWorksObjectsAreDestroyedWithTheFiber);
  CPPUNIT_TEST(stacksAreReused);
  CPPUNIT_TEST(aFiberHasASeparateStack);
  CPPUNIT_TEST(anExceptionIsThrownAndCaughtInAFiber);
  CPPUNIT_TEST(aFiberMayLeaveInsideACatchBlock);
  CPPUNIT_TEST(exceptionsInFlightAreSeparateForEachFiber);
  CPPUNIT_TEST(uncaughtExceptionsAreCountedForEachFiber);
  CPPUNIT_TEST_SUITE_END();

  void aFiberRunsFromLeaveToLeave() {
    FiberStacks stacks;
    std::string seen;
    std::unique_ptr<Fiber> fiber;
    fiber = std::make_unique<Fiber>(stacks, [&] {
      for (const char step : {'a', 'b', 'c'}) {
        seen += step;
        fiber->leave();
      }
    });
    CPPUNIT_ASSERT_EQUAL(std::string(), seen);
    for (const char* const then : {"a", "ab", "abc"}) {
      CPPUNIT_ASSERT(!fiber->over());
      fiber->enter();
      CPPUNIT_ASSERT_EQUAL(std::string(then), seen);
    }
    CPPUNIT_ASSERT(!fiber->over());
    fiber->enter();
    CPPUNIT_ASSERT(fiber->over());
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), seen);
  }

  void theWorksObjectsAreDestroyedWithTheFiber() {
    FiberStacks stacks;
    const auto held = std::make_shared<int>(1);
    Fiber fiber(stacks, [held] {});
    CPPUNIT_ASSERT_EQUAL(2L, held.use_count());
    fiber.enter();
    CPPUNIT_ASSERT(fiber.over());
    CPPUNIT_ASSERT_EQUAL(1L, held.use_count());
  }

  void stacksAreReused() {
    FiberStacks stacks;
    const auto where = [&stacks] {
      const void* seen = nullptr;
      {
        Fiber fiber(stacks, [&seen] {
          const volatile char here = 0;
          seen = const_cast<const char*>(&here);
        });
        fiber.enter();
      }
      const boost::context::stack_context stack = stacks.take();
      const char* const top = static_cast<const char*>(stack.sp);
      CPPUNIT_ASSERT(seen < top && seen >= top - stack.size);
      stacks.give_back(stack);
      return stack.sp;
    };
    CPPUNIT_ASSERT_EQUAL(where(), where());
  }

  // Uses nearly the whole stack; the guard page after it must not be touched.
  void aFiberHasASeparateStack() {
    FiberStacks stacks;
    std::size_t filled = 0;
    Fiber fiber(stacks, [&filled] {
      constexpr std::size_t kSize = FiberStacks::kSize / 2;
      volatile char much[kSize];
      for (std::size_t i = 0; i < kSize; i += 512) {
        much[i] = 1;
        filled += static_cast<std::size_t>(much[i]) * 512;
      }
    });
    fiber.enter();
    CPPUNIT_ASSERT_EQUAL(FiberStacks::kSize / 2, filled);
  }

  void anExceptionIsThrownAndCaughtInAFiber() {
    FiberStacks stacks;
    std::string caught;
    std::unique_ptr<Fiber> fiber;
    fiber = std::make_unique<Fiber>(stacks, [&] {
      try {
        fiber->leave();
        throw std::runtime_error("no memory");
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
    });
    fiber->enter();
    fiber->enter();
    CPPUNIT_ASSERT(fiber->over());
    CPPUNIT_ASSERT_EQUAL(std::string("no memory"), caught);
  }

  // Other fibers throw and catch in the meantime: `throw;` must find the exception of this one.
  void aFiberMayLeaveInsideACatchBlock() {
    FiberStacks stacks;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<std::string> caught(4);
    for (std::size_t i = 0; i < caught.size(); ++i) {
      fibers.push_back(std::make_unique<Fiber>(stacks, [&, i] {
        const std::string own = "of fiber " + std::to_string(i);
        try {
          try {
            throw std::runtime_error(own);
          } catch (...) {
            fibers[i]->leave();
            throw;
          }
        } catch (const std::runtime_error& error) {
          fibers[i]->leave();
          caught[i] = error.what();
        }
      }));
    }
    for (int round = 0; round < 3; ++round) {
      for (const auto& fiber : fibers) {
        fiber->enter();
      }
    }
    for (std::size_t i = 0; i < caught.size(); ++i) {
      CPPUNIT_ASSERT(fibers[i]->over());
      CPPUNIT_ASSERT_EQUAL("of fiber " + std::to_string(i), caught[i]);
    }
  }

  void exceptionsInFlightAreSeparateForEachFiber() {
    FiberStacks stacks;
    std::unique_ptr<Fiber> fiber;
    bool saw_none = false;
    bool saw_own = false;
    fiber = std::make_unique<Fiber>(stacks, [&] {
      saw_none = std::current_exception() == nullptr;
      try {
        throw 1;
      } catch (int) {
        fiber->leave();
        saw_own = std::current_exception() != nullptr;
      }
    });
    try {
      throw std::runtime_error("of who enters");
    } catch (...) {
      fiber->enter();
      try {
        throw;
      } catch (const std::runtime_error& error) {
        CPPUNIT_ASSERT_EQUAL(std::string("of who enters"), std::string(error.what()));
      }
    }
    CPPUNIT_ASSERT(std::current_exception() == nullptr);  // although the fiber has one
    fiber->enter();
    CPPUNIT_ASSERT(saw_none);
    CPPUNIT_ASSERT(saw_own);
  }

  // A destructor waits while an exception unwinds: other fibers must not see an exception in
  // flight.
  void uncaughtExceptionsAreCountedForEachFiber() {
    FiberStacks stacks;
    std::unique_ptr<Fiber> fiber;
    int within = -1;
    struct Leaves {
      Fiber& fiber;
      int& within;
      ~Leaves() {
        fiber.leave();
        within = std::uncaught_exceptions();
      }
    };
    fiber = std::make_unique<Fiber>(stacks, [&] {
      try {
        const Leaves leaves{*fiber, within};
        throw 1;
      } catch (int) {
      }
    });
    fiber->enter();
    CPPUNIT_ASSERT_EQUAL(0, std::uncaught_exceptions());
    fiber->enter();
    CPPUNIT_ASSERT(fiber->over());
    CPPUNIT_ASSERT_EQUAL(1, within);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FiberTest);
