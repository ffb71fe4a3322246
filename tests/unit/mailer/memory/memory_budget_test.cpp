#include "mailer/memory/memory_budget.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::mailer::MemoryBudget;
using lmtpq::mailer::MemoryShare;

namespace {

class MemoryBudgetTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MemoryBudgetTest);
  CPPUNIT_TEST(bodiesAreRefusedFirstAndClientsLast);
  CPPUNIT_TEST(whatIsRefusedTakesNothing);
  CPPUNIT_TEST(onlyMessagesAreCountedAsRefused);
  CPPUNIT_TEST(aShareGivesBackAtItsEnd);
  CPPUNIT_TEST(withoutABudgetThereIsNoLimit);
  CPPUNIT_TEST(aLowerLimitLeavesWhatIsTaken);
  CPPUNIT_TEST_SUITE_END();

  static constexpr auto kBody = MemoryBudget::Use::kBody;
  static constexpr auto kMessage = MemoryBudget::Use::kMessage;
  static constexpr auto kClient = MemoryBudget::Use::kClient;

  void bodiesAreRefusedFirstAndClientsLast() {
    MemoryBudget budget(1600);
    CPPUNIT_ASSERT(budget.take(1200, kBody));
    CPPUNIT_ASSERT(!budget.take(1, kBody));
    CPPUNIT_ASSERT(budget.take(300, kMessage));
    CPPUNIT_ASSERT(!budget.take(1, kMessage));
    CPPUNIT_ASSERT(budget.take(100, kClient));
    CPPUNIT_ASSERT(!budget.take(1, kClient));
  }

  void whatIsRefusedTakesNothing() {
    MemoryBudget budget(1600);
    CPPUNIT_ASSERT(!budget.take(1601, kClient));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, budget.used());
    MemoryShare share(&budget);
    CPPUNIT_ASSERT(share.take(100, kBody));
    CPPUNIT_ASSERT(!share.take(1500, kBody));
    share.give_all_back();
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, budget.used());
  }

  void onlyMessagesAreCountedAsRefused() {
    MemoryBudget budget(16);
    for (const auto use : {kBody, kMessage, kClient}) {
      CPPUNIT_ASSERT(!budget.take(17, use));
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, budget.refused());
  }

  void aShareGivesBackAtItsEnd() {
    MemoryBudget budget(1600);
    {
      MemoryShare share(&budget);
      CPPUNIT_ASSERT(share.take(100, kMessage) && share.take(200, kBody));
      share.give_back(50);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{250}, budget.used());
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, budget.used());
  }

  void withoutABudgetThereIsNoLimit() {
    MemoryShare share;
    CPPUNIT_ASSERT(share.take(~std::size_t{0}, kBody));
    share.give_all_back();
  }

  void aLowerLimitLeavesWhatIsTaken() {
    MemoryBudget budget(1600);
    CPPUNIT_ASSERT(budget.take(1000, kMessage));
    budget.set_limit(100);
    CPPUNIT_ASSERT(!budget.take(1, kClient));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1000}, budget.used());
    budget.give_back(1000);
    CPPUNIT_ASSERT(budget.take(1, kClient));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MemoryBudgetTest);

}  // namespace
