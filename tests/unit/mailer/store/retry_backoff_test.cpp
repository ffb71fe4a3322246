#include "mailer/store/retry_backoff.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>

using lmtpq::mailer::Clock;
using lmtpq::mailer::RetryBackoff;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Try = RetryBackoff::Try;

class RetryBackoffTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RetryBackoffTest);
  CPPUNIT_TEST(aNewServerIsUp);
  CPPUNIT_TEST(aFailureBlocksForTheInitialDelay);
  CPPUNIT_TEST(eachFailedProbeDoublesTheDelayUpToTheMaximum);
  CPPUNIT_TEST(aMaximumBelowTheInitialDelayIsIgnored);
  CPPUNIT_TEST(oneProbeRunsAtATime);
  CPPUNIT_TEST(aSuccessEndsTheBackoffAndTheNextFailureStartsAtTheInitialDelay);
  CPPUNIT_TEST(attemptsInProgressDoNotExtendTheDelay);
  CPPUNIT_TEST(anEarlierAttemptThatSucceedsEndsTheBackoff);
  CPPUNIT_TEST(anEarlierAttemptDoesNotEndTheProbe);
  CPPUNIT_TEST(anAbandonedProbeLetsTheNextOneBegin);
  CPPUNIT_TEST(anAbandonedAttemptSaysNothingAboutTheServer);
  CPPUNIT_TEST(anInitialDelayOf0DisablesTheBackoff);
  CPPUNIT_TEST(theRemainingTimeIsRoundedUp);
  CPPUNIT_TEST(jitterMakesDelaysShorterAndUnequal);
  CPPUNIT_TEST(aServerThatIsBackIsMetByFewAttemptsFirst);
  CPPUNIT_TEST_SUITE_END();

  const Clock::time_point start_{seconds(1000)};

  void aNewServerIsUp() {
    RetryBackoff backoff(seconds(1), seconds(30));
    CPPUNIT_ASSERT(backoff.up());
    CPPUNIT_ASSERT(!backoff.blocks(start_));
    CPPUNIT_ASSERT(backoff.remaining(start_) == milliseconds(0));
    CPPUNIT_ASSERT(backoff.begin() == Try::kNormal);
    CPPUNIT_ASSERT(!backoff.blocks(start_));
  }

  void aFailureBlocksForTheInitialDelay() {
    RetryBackoff backoff(seconds(1), seconds(30));
    backoff.failed(backoff.begin(), start_);
    CPPUNIT_ASSERT(!backoff.up());
    CPPUNIT_ASSERT(backoff.remaining(start_) == seconds(1));
    CPPUNIT_ASSERT(backoff.blocks(start_ + milliseconds(999)));
    CPPUNIT_ASSERT(!backoff.blocks(start_ + seconds(1)));
    CPPUNIT_ASSERT(!backoff.up());
  }

  void eachFailedProbeDoublesTheDelayUpToTheMaximum() {
    RetryBackoff backoff(seconds(1), seconds(5));
    Clock::time_point now = start_;
    for (const int delay : {1, 2, 4, 5, 5}) {
      backoff.failed(backoff.begin(), now);
      CPPUNIT_ASSERT(backoff.remaining(now) == seconds(delay));
      now += seconds(delay);
      CPPUNIT_ASSERT(!backoff.blocks(now));
    }
  }

  void aMaximumBelowTheInitialDelayIsIgnored() {
    RetryBackoff backoff(seconds(20), seconds(1));
    for (int i = 0; i < 3; ++i) {
      backoff.failed(backoff.begin(), start_);
      CPPUNIT_ASSERT(backoff.remaining(start_) == seconds(20));
    }
  }

  void oneProbeRunsAtATime() {
    RetryBackoff backoff(seconds(1), seconds(30));
    backoff.failed(backoff.begin(), start_);
    const Clock::time_point later = start_ + seconds(60);
    CPPUNIT_ASSERT(!backoff.blocks(later));
    const Try probe = backoff.begin();
    CPPUNIT_ASSERT(probe == Try::kProbe);
    CPPUNIT_ASSERT(backoff.blocks(later));
    CPPUNIT_ASSERT(backoff.remaining(later) == milliseconds(0));
    backoff.failed(probe, later);
    CPPUNIT_ASSERT(backoff.blocks(later + milliseconds(1999)));
    CPPUNIT_ASSERT(!backoff.blocks(later + seconds(2)));
  }

  void aSuccessEndsTheBackoffAndTheNextFailureStartsAtTheInitialDelay() {
    RetryBackoff backoff(seconds(1), seconds(30));
    for (int i = 0; i < 4; ++i) {
      backoff.failed(backoff.begin(), start_);
    }
    backoff.succeeded(backoff.begin());
    CPPUNIT_ASSERT(backoff.up());
    CPPUNIT_ASSERT(!backoff.blocks(start_));
    CPPUNIT_ASSERT(backoff.remaining(start_) == milliseconds(0));
    backoff.failed(backoff.begin(), start_);
    CPPUNIT_ASSERT(backoff.remaining(start_) == seconds(1));
  }

  void attemptsInProgressDoNotExtendTheDelay() {
    RetryBackoff backoff(seconds(1), seconds(30));
    const Try first = backoff.begin();
    const Try second = backoff.begin();
    const Try third = backoff.begin();
    backoff.failed(first, start_);
    backoff.failed(second, start_ + milliseconds(500));
    CPPUNIT_ASSERT(backoff.remaining(start_) == seconds(1));
    backoff.failed(third, start_ + seconds(2));
    CPPUNIT_ASSERT(!backoff.blocks(start_ + seconds(2)));
  }

  void anEarlierAttemptThatSucceedsEndsTheBackoff() {
    RetryBackoff backoff(seconds(1), seconds(30));
    const Try first = backoff.begin();
    const Try second = backoff.begin();
    backoff.failed(first, start_);
    backoff.succeeded(second);
    CPPUNIT_ASSERT(backoff.up());
    CPPUNIT_ASSERT(!backoff.blocks(start_));
  }

  void anEarlierAttemptDoesNotEndTheProbe() {
    RetryBackoff backoff(seconds(1), seconds(30));
    const Try first = backoff.begin();
    const Try second = backoff.begin();
    backoff.failed(first, start_);
    const Clock::time_point later = start_ + seconds(1);
    backoff.begin();
    backoff.failed(second, later);
    CPPUNIT_ASSERT(backoff.blocks(later + seconds(60)));
  }

  void anAbandonedProbeLetsTheNextOneBegin() {
    RetryBackoff backoff(seconds(1), seconds(30));
    backoff.failed(backoff.begin(), start_);
    const Clock::time_point later = start_ + seconds(1);
    backoff.abandoned(backoff.begin());
    CPPUNIT_ASSERT(!backoff.up());
    CPPUNIT_ASSERT(!backoff.blocks(later));
    backoff.failed(backoff.begin(), later);
    CPPUNIT_ASSERT(backoff.remaining(later) == seconds(2));
  }

  void anAbandonedAttemptSaysNothingAboutTheServer() {
    RetryBackoff backoff(seconds(1), seconds(30));
    backoff.abandoned(backoff.begin());
    CPPUNIT_ASSERT(backoff.up());
    backoff.failed(backoff.begin(), start_);
    backoff.abandoned(Try::kNormal);
    CPPUNIT_ASSERT(!backoff.up());
    CPPUNIT_ASSERT(backoff.remaining(start_) == seconds(1));
  }

  void anInitialDelayOf0DisablesTheBackoff() {
    RetryBackoff backoff(milliseconds(0), seconds(30));
    for (int i = 0; i < 3; ++i) {
      backoff.failed(backoff.begin(), start_);
      CPPUNIT_ASSERT(backoff.up());
      CPPUNIT_ASSERT(!backoff.blocks(start_));
    }
  }

  void theRemainingTimeIsRoundedUp() {
    RetryBackoff backoff(seconds(1), seconds(30));
    backoff.failed(backoff.begin(), start_);
    CPPUNIT_ASSERT(backoff.remaining(start_ + microseconds(999'500)) == milliseconds(1));
    CPPUNIT_ASSERT(backoff.remaining(start_ + seconds(2)) == milliseconds(0));
  }

  void jitterMakesDelaysShorterAndUnequal() {
    std::set<milliseconds> seen;
    for (int i = 0; i < 100; ++i) {
      RetryBackoff backoff(seconds(100), seconds(100), 0.25);
      backoff.failed(backoff.begin(), start_);
      seen.insert(backoff.remaining(start_));
    }
    CPPUNIT_ASSERT(*seen.begin() >= seconds(75) && *seen.rbegin() <= seconds(100));
    CPPUNIT_ASSERT(seen.size() > 50 && *seen.rbegin() - *seen.begin() > seconds(10));
  }

  void aServerThatIsBackIsMetByFewAttemptsFirst() {
    RetryBackoff backoff(seconds(1), seconds(30));
    CPPUNIT_ASSERT(backoff.attempts_at_once() > 100'000);
    backoff.succeeded(backoff.begin());
    CPPUNIT_ASSERT(backoff.attempts_at_once() > 100'000);
    backoff.failed(backoff.begin(), start_);
    for (const std::size_t allowed : {2u, 4u, 8u, 16u, 32u, 64u, 128u}) {
      backoff.succeeded(backoff.begin());
      CPPUNIT_ASSERT_EQUAL(allowed, backoff.attempts_at_once());
    }
    backoff.succeeded(backoff.begin());
    CPPUNIT_ASSERT(backoff.attempts_at_once() > 100'000);
    RetryBackoff none(seconds(0), seconds(0));
    none.failed(none.begin(), start_);
    CPPUNIT_ASSERT(none.attempts_at_once() > 100'000);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RetryBackoffTest);
