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
  CPPUNIT_TEST(itRunsFromLeaveToLeave);
  CPPUNIT_TEST(whatItsWorkHoldsEndsWithIt);
  CPPUNIT_TEST(stacksAreTakenAgain);
  CPPUNIT_TEST(itHasAStackOfItsOwn);
  CPPUNIT_TEST(anExceptionIsThrownAndCaughtWithin);
  CPPUNIT_TEST(whoLeavesWithinACatchBlockComesBackThere);
  CPPUNIT_TEST(exceptionsInFlightAreEachOnesOwn);
  CPPUNIT_TEST(whatIsUncaughtIsCountedForEach);
  CPPUNIT_TEST_SUITE_END();

  void itRunsFromLeaveToLeave() {
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

  void whatItsWorkHoldsEndsWithIt() {
    FiberStacks stacks;
    const auto held = std::make_shared<int>(1);
    Fiber fiber(stacks, [held] {});
    CPPUNIT_ASSERT_EQUAL(2L, held.use_count());
    fiber.enter();
    CPPUNIT_ASSERT(fiber.over());
    CPPUNIT_ASSERT_EQUAL(1L, held.use_count());
  }

  void stacksAreTakenAgain() {
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

  // As deep as it says; beyond is a page that nobody may touch.
  void itHasAStackOfItsOwn() {
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

  void anExceptionIsThrownAndCaughtWithin() {
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

  // Meanwhile others throw and catch: `throw;` must find its own.
  void whoLeavesWithinACatchBlockComesBackThere() {
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

  void exceptionsInFlightAreEachOnesOwn() {
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

  // A destructor that waits while an exception passes: others must not take themselves for unwound.
  void whatIsUncaughtIsCountedForEach() {
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
