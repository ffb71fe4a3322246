#include "mailer/serve/limits/memory_growth.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;
using namespace std::chrono_literals;

class MemoryGrowthTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MemoryGrowthTest);
  CPPUNIT_TEST(onlyWhatStaysForTheWholeTimeCounts);
  CPPUNIT_TEST(itIsOnceAnHour);
  CPPUNIT_TEST(withoutALimitItIsNever);
  CPPUNIT_TEST(theDefaultIsHalfOfTheMemoryLimit);
  CPPUNIT_TEST(theProcessHasMemory);
  CPPUNIT_TEST_SUITE_END();

  const MemoryGrowth::Time start_{1000h};
  const MemoryGrowth::Rule rule_{100, 10min};

  void onlyWhatStaysForTheWholeTimeCounts() {
    MemoryGrowth growth;
    CPPUNIT_ASSERT(!growth.exceeds(101, rule_, start_));
    CPPUNIT_ASSERT(!growth.exceeds(500, rule_, start_ + 9min));
    CPPUNIT_ASSERT(!growth.exceeds(100, rule_, start_ + 10min));
    CPPUNIT_ASSERT(!growth.exceeds(101, rule_, start_ + 11min));
    CPPUNIT_ASSERT(!growth.exceeds(101, rule_, start_ + 20min));
    CPPUNIT_ASSERT(growth.exceeds(101, rule_, start_ + 21min));
  }

  void itIsOnceAnHour() {
    MemoryGrowth first;
    first.exceeds(101, rule_, start_);
    CPPUNIT_ASSERT(first.exceeds(101, rule_, start_ + 10min));
    CPPUNIT_ASSERT(!first.exceeds(101, rule_, start_ + 69min));
    CPPUNIT_ASSERT(first.not_before() == start_ + 70min);
    MemoryGrowth next(first.not_before());
    next.exceeds(101, rule_, start_ + 11min);
    CPPUNIT_ASSERT(!next.exceeds(101, rule_, start_ + 69min));
    CPPUNIT_ASSERT(next.exceeds(101, rule_, start_ + 70min));
  }

  void withoutALimitItIsNever() {
    MemoryGrowth growth;
    CPPUNIT_ASSERT(!growth.exceeds(1'000'000, {0, 0s}, start_));
    CPPUNIT_ASSERT(!growth.exceeds(1'000'000, {0, 0s}, start_ + 24h));
  }

  void theDefaultIsHalfOfTheMemoryLimit() {
    ServeSettings settings;
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{500}, memory_growth_rule(settings, 1000).most);
    settings.upgrade_memory = 7;
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{7}, memory_growth_rule(settings, 1000).most);
    settings.upgrade_memory = 0;
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, memory_growth_rule(settings, 1000).most);
  }

  void theProcessHasMemory() {
    CPPUNIT_ASSERT(anonymous_memory() > 100'000);
    CPPUNIT_ASSERT(anonymous_memory() < std::uint64_t{1} << 40);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MemoryGrowthTest);
