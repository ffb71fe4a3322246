#include "common/log/log_limit.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::LogLimit;
using namespace std::chrono_literals;

class LogLimitTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LogLimitTest);
  CPPUNIT_TEST(firstLineOfEachIsAdmittedAndTheOthersAreCounted);
  CPPUNIT_TEST(aSpanThatEndedBeginsAgain);
  CPPUNIT_TEST(quietSpansNeedNoTimer);
  CPPUNIT_TEST(linesAreBoundedWhateverTheNumberOfOutsiders);
  CPPUNIT_TEST_SUITE_END();

 private:
  static std::string text(const std::vector<LogLimit::LeftOut>& all) {
    std::string made;
    for (const LogLimit::LeftOut& one : all) {
      made += one.event + ' ' + one.outsider + ' ' + std::to_string(one.lines) + '\n';
    }
    return made;
  }

  LogLimit limit_;
  const LogLimit::Clock::time_point now_{1000s};

  void firstLineOfEachIsAdmittedAndTheOthersAreCounted() {
    CPPUNIT_ASSERT(limit_.admits("refused", "a", now_));
    CPPUNIT_ASSERT(limit_.admits("refused", "b", now_ + 1s));
    CPPUNIT_ASSERT(limit_.admits("lost", "a", now_ + 1s));
    for (int i = 0; i < 5; ++i) {
      CPPUNIT_ASSERT(!limit_.admits("refused", "a", now_ + 2s));
    }
    CPPUNIT_ASSERT_EQUAL(std::string(), text(limit_.ended(now_ + 59s)));
    CPPUNIT_ASSERT_EQUAL(std::string("refused a 5\n"), text(limit_.ended(now_ + 60s)));
    CPPUNIT_ASSERT_EQUAL(std::string(), text(limit_.ended(now_ + 100s)));
  }

  void aSpanThatEndedBeginsAgain() {
    CPPUNIT_ASSERT(limit_.admits("refused", "a", now_));
    CPPUNIT_ASSERT(!limit_.admits("refused", "a", now_ + 59s));
    limit_.ended(now_ + 60s);
    CPPUNIT_ASSERT(limit_.admits("refused", "a", now_ + 60s));
    CPPUNIT_ASSERT(!limit_.admits("refused", "a", now_ + 119s));
  }

  void quietSpansNeedNoTimer() {
    CPPUNIT_ASSERT(!limit_.next_end());
    limit_.admits("refused", "a", now_);
    CPPUNIT_ASSERT(!limit_.next_end());
    limit_.admits("lost", "a", now_ + 7s);
    limit_.admits("lost", "a", now_ + 8s);
    CPPUNIT_ASSERT(now_ + 67s == limit_.next_end());
    limit_.admits("refused", "a", now_ + 9s);
    CPPUNIT_ASSERT(now_ + 60s == limit_.next_end());
    limit_.ended(now_ + 70s);
    CPPUNIT_ASSERT(!limit_.next_end());
  }

  void linesAreBoundedWhateverTheNumberOfOutsiders() {
    std::size_t admitted = 0;
    for (int i = 0; i < 10'000; ++i) {
      const std::string outsider = std::to_string(i);
      for (int line = 0; line < 2; ++line) {
        admitted += limit_.admits("refused", outsider, now_) ? 1 : 0;
      }
    }
    CPPUNIT_ASSERT_EQUAL(LogLimit::kMostOutsiders, admitted);
    const auto ended = limit_.ended(now_ + 60s);
    CPPUNIT_ASSERT_EQUAL(LogLimit::kMostOutsiders + 1, ended.size());
    CPPUNIT_ASSERT_EQUAL(std::string(LogLimit::kOthers), ended.back().outsider);
    CPPUNIT_ASSERT_EQUAL((10'000 - LogLimit::kMostOutsiders) * 2, ended.back().lines);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogLimitTest);
