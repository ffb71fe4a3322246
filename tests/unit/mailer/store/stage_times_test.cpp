#include "mailer/store/stage_times.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;
using namespace std::chrono_literals;

class StageTimesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(StageTimesTest);
  CPPUNIT_TEST(secondsHaveThreeDigits);
  CPPUNIT_TEST(theLogHasOne);
  CPPUNIT_TEST(stagesAddUp);
  CPPUNIT_TEST_SUITE_END();

  static std::string seconds(Clock::duration span) {
    std::string text = "x";
    append_seconds(text, span);
    return text;
  }

  void secondsHaveThreeDigits() {
    CPPUNIT_ASSERT_EQUAL(std::string("x0.000"), seconds(0s));
    CPPUNIT_ASSERT_EQUAL(std::string("x0.001"), seconds(1ms));
    CPPUNIT_ASSERT_EQUAL(std::string("x0.001"), seconds(600us));
    CPPUNIT_ASSERT_EQUAL(std::string("x0.040"), seconds(40ms));
    CPPUNIT_ASSERT_EQUAL(std::string("x0.999"), seconds(999ms));
    CPPUNIT_ASSERT_EQUAL(std::string("x1.000"), seconds(1s));
    CPPUNIT_ASSERT_EQUAL(std::string("x3600.050"), seconds(1h + 50ms));
    CPPUNIT_ASSERT_EQUAL(std::string("x0.000"), seconds(-5ms));
  }

  void theLogHasOne() {
    CPPUNIT_ASSERT_EQUAL(std::string("0.0s"), seconds_text(40ms));
    CPPUNIT_ASSERT_EQUAL(std::string("12.3s"), seconds_text(12'340ms));
    CPPUNIT_ASSERT_EQUAL(std::string("360.0s"), seconds_text(6min));
  }

  void stagesAddUp() {
    StageTimes one;
    one[Stage::kConnect] = 1s;
    one[Stage::kReply] = 2s;
    StageTimes two;
    two[Stage::kConnect] = 10s;
    two[Stage::kTls] = 20s;
    one += two;
    CPPUNIT_ASSERT(one[Stage::kConnect] == 11s && one[Stage::kTls] == 20s &&
                   one[Stage::kReply] == 2s && one[Stage::kData] == 0s);
    CPPUNIT_ASSERT(one.total() == 33s);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StageTimesTest);
