#include "milter/policy/limiter.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include "common/options/option_reader.h"

using lmtpq::milter::Limit;
using lmtpq::milter::Limiter;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class LimiterTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LimiterTest);
  CPPUNIT_TEST(readsNumberAndPeriod);
  CPPUNIT_TEST(refusesInvalidLimits);
  CPPUNIT_TEST(textIsTheSameForEveryForm);
  CPPUNIT_TEST(countsUpToTheLimit);
  CPPUNIT_TEST(countsEachSenderAndRuleSeparately);
  CPPUNIT_TEST(periodBeginsWithItsFirstMessage);
  CPPUNIT_TEST(refusedMessageIsNotCounted);
  CPPUNIT_TEST(aReloadedLimitAppliesAtOnce);
  CPPUNIT_TEST(anEarlierTimeFromAnotherThreadStartsNoPeriod);
  CPPUNIT_TEST(longSendersWithTheSameBeginningShareACount);
  CPPUNIT_TEST(fullTableDeniesNewSendersAndServesKnownOnes);
  CPPUNIT_TEST(fullTableRecoversWhenCountsExpire);
  CPPUNIT_TEST(sweepsOnceASecondAtMost);
  CPPUNIT_TEST(twoThreadsTogetherStayWithinTheLimit);
  CPPUNIT_TEST_SUITE_END();

  static constexpr Limiter::Time kStart{};

  static void fill(Limiter& limiter, const Limit& limit, Limiter::Time now) {
    for (std::size_t i = 0; i < Limiter::kMaxSenders; ++i) {
      CPPUNIT_ASSERT(limiter.take("r", "s" + std::to_string(i), limit, now));
    }
  }

  void readsNumberAndPeriod() {
    const struct {
      const char* text;
      std::uint64_t count;
      seconds period;
    } cases[] = {
        {"100/hour", 100, hours(1)},
        {"100/h", 100, hours(1)},
        {"5 per minute", 5, minutes(1)},
        {"5 per m", 5, minutes(1)},
        {"1/second", 1, seconds(1)},
        {"1/s", 1, seconds(1)},
        {"7/day", 7, hours(24)},
        {"7/d", 7, hours(24)},
        {" 7 \t/  day ", 7, hours(24)},
        {"5  per\tminute", 5, minutes(1)},
        {"18446744073709551615/day", UINT64_MAX, hours(24)},
    };
    for (const auto& row : cases) {
      const Limit limit = Limit::parse(row.text);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.text, row.count, limit.count);
      CPPUNIT_ASSERT_MESSAGE(row.text, row.period == limit.period);
    }
  }

  void refusesInvalidLimits() {
    for (const char* text : {"",
                             " ",
                             "100",
                             "/hour",
                             "hour",
                             "100/",
                             "100/week",
                             "100/hours",
                             "100/hourly",
                             "100//h",
                             "0/hour",
                             "-1/hour",
                             "+1/hour",
                             "1.5/hour",
                             "1k/hour",
                             "100/2h",
                             "100/Hour",
                             "100hour",
                             "100 hour",
                             "100per hour",
                             "100 perhour",
                             "100 per",
                             "100 per / hour",
                             "100/hour x",
                             "18446744073709551616/day",
                             "0x10/hour"}) {
      try {
        Limit::parse(text);
        CPPUNIT_FAIL(std::string("no error: ") + text);
      } catch (const lmtpq::ConfigError& error) {
        CPPUNIT_ASSERT_EQUAL(
            std::string("expected 1 or more per second, minute, hour or day, such as "
                        "100/hour"),
            std::string(error.what()));
      }
    }
  }

  void textIsTheSameForEveryForm() {
    CPPUNIT_ASSERT_EQUAL(std::string("5/minute"), Limit::parse("5 per m").text());
    CPPUNIT_ASSERT_EQUAL(std::string("100/hour"), Limit::parse("100/h").text());
    CPPUNIT_ASSERT_EQUAL(std::string("1/day"), Limit::parse("1/d").text());
    CPPUNIT_ASSERT_EQUAL(std::string("1/second"), Limit::parse("1/s").text());
  }

  void countsUpToTheLimit() {
    Limiter limiter;
    const Limit limit{3, hours(1)};
    for (int i = 0; i < 3; ++i) {
      CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + minutes(i)));
    }
    CPPUNIT_ASSERT(!limiter.take("r", "s", limit, kStart + minutes(3)));
    CPPUNIT_ASSERT(!limiter.take("r", "s", limit, kStart + minutes(59)));
  }

  void countsEachSenderAndRuleSeparately() {
    Limiter limiter;
    const Limit limit{1, hours(1)};
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart));
    CPPUNIT_ASSERT(limiter.take("r", "t", limit, kStart));
    CPPUNIT_ASSERT(limiter.take("q", "s", limit, kStart));
    CPPUNIT_ASSERT(limiter.take("rs", "", limit, kStart));
    CPPUNIT_ASSERT(limiter.take("", "rs", limit, kStart));
    CPPUNIT_ASSERT(!limiter.take("r", "s", limit, kStart));
  }

  void periodBeginsWithItsFirstMessage() {
    Limiter limiter;
    const Limit limit{2, hours(1)};
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + minutes(30)));
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + minutes(89)));
    CPPUNIT_ASSERT(!limiter.take("r", "s", limit, kStart + minutes(90) - milliseconds(1)));
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + minutes(90)));
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + minutes(149)));
    CPPUNIT_ASSERT(!limiter.take("r", "s", limit, kStart + minutes(149)));
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + minutes(150)));
  }

  void refusedMessageIsNotCounted() {
    Limiter limiter;
    CPPUNIT_ASSERT(limiter.take("r", "s", {1, hours(1)}, kStart));
    for (int i = 0; i < 5; ++i) {
      CPPUNIT_ASSERT(!limiter.take("r", "s", {1, hours(1)}, kStart));
    }
    CPPUNIT_ASSERT(limiter.take("r", "s", {2, hours(1)}, kStart));
    CPPUNIT_ASSERT(!limiter.take("r", "s", {2, hours(1)}, kStart));
  }

  void aReloadedLimitAppliesAtOnce() {
    Limiter limiter;
    CPPUNIT_ASSERT(limiter.take("r", "s", {1, hours(24)}, kStart));
    CPPUNIT_ASSERT(!limiter.take("r", "s", {1, hours(24)}, kStart + minutes(2)));
    CPPUNIT_ASSERT(limiter.take("r", "s", {1, minutes(1)}, kStart + minutes(2)));
  }

  void anEarlierTimeFromAnotherThreadStartsNoPeriod() {
    Limiter limiter;
    const Limit limit{1, seconds(1)};
    CPPUNIT_ASSERT(limiter.take("r", "s", limit, kStart + seconds(5)));
    CPPUNIT_ASSERT(!limiter.take("r", "s", limit, kStart + seconds(3)));
  }

  void longSendersWithTheSameBeginningShareACount() {
    Limiter limiter;
    const Limit limit{1, hours(1)};
    const std::string sender(Limiter::kMaxSender, 's');
    CPPUNIT_ASSERT(limiter.take("r", sender.substr(1), limit, kStart));
    CPPUNIT_ASSERT(limiter.take("r", sender, limit, kStart));
    CPPUNIT_ASSERT(!limiter.take("r", sender + "x", limit, kStart));
    CPPUNIT_ASSERT(!limiter.take("r", sender + std::string(100'000, 'y'), limit, kStart));
  }

  void fullTableDeniesNewSendersAndServesKnownOnes() {
    Limiter limiter;
    const Limit limit{2, hours(1)};
    fill(limiter, limit, kStart);
    for (int i = 0; i < 10; ++i) {
      CPPUNIT_ASSERT(!limiter.take("r", "new", limit, kStart + seconds(10 * i)));
    }
    CPPUNIT_ASSERT(limiter.take("r", "s0", limit, kStart + seconds(100)));
    CPPUNIT_ASSERT(!limiter.take("r", "s0", limit, kStart + seconds(100)));
  }

  void fullTableRecoversWhenCountsExpire() {
    Limiter limiter;
    const Limit limit{1, minutes(1)};
    fill(limiter, limit, kStart);
    CPPUNIT_ASSERT(!limiter.take("r", "new", limit, kStart + seconds(59)));
    CPPUNIT_ASSERT(limiter.take("r", "new", limit, kStart + minutes(1)));
    CPPUNIT_ASSERT(!limiter.take("r", "new", limit, kStart + minutes(1)));
    CPPUNIT_ASSERT(limiter.take("r", "newer", limit, kStart + minutes(1)));
  }

  void sweepsOnceASecondAtMost() {
    Limiter limiter;
    const Limit limit{1, seconds(1)};
    fill(limiter, limit, kStart);
    const Limiter::Time failed = kStart + milliseconds(999);
    CPPUNIT_ASSERT(!limiter.take("r", "new", limit, failed));
    // All counts have expired, but the last sweep was less than a second ago.
    CPPUNIT_ASSERT(!limiter.take("r", "new", limit, failed + milliseconds(999)));
    CPPUNIT_ASSERT(limiter.take("r", "new", limit, failed + seconds(1)));
  }

  void twoThreadsTogetherStayWithinTheLimit() {
    Limiter limiter;
    const Limit limit{100'000, hours(1)};
    std::atomic<int> taken = 0;
    std::latch both(2);
    const auto work = [&](const std::string& own) {
      both.arrive_and_wait();
      for (int i = 0; i < 100'000; ++i) {
        taken += limiter.take("r", "shared", limit, kStart) ? 1 : 0;
        limiter.take("r", own + std::to_string(i % 1000), limit, kStart);
      }
    };
    std::thread first(work, "a");
    std::thread second(work, "b");
    first.join();
    second.join();
    CPPUNIT_ASSERT_EQUAL(100'000, taken.load());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LimiterTest);
