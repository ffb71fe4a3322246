#include "mailer/store/mailbox_limiter.h"

#include <cppunit/extensions/HelperMacros.h>

#include <array>
#include <atomic>
#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

using Names = std::vector<std::string>;

Deadline soon() { return Clock::now() + milliseconds(10); }
Deadline late() { return Clock::now() + std::chrono::seconds(60); }

// Claims in another thread, and holds the claim until end().
class Asker {
 public:
  Asker(MailboxLimiter& limiter, Names names, Deadline latest = late())
      : thread_([this, &limiter, names = std::move(names), latest] {
          Claim claim = limiter.claim(names, latest);
          granted_ = static_cast<bool>(claim);
          answered_ = true;
          while (!over_) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
          }
        }) {}
  ~Asker() { end(); }
  void end() {
    over_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  bool answered() const { return answered_; }
  bool granted() const { return granted_; }
  bool await_answer() const {
    for (const Deadline latest = late(); !answered_ && Clock::now() < latest;) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return answered_ && granted_;
  }

 private:
  std::atomic<bool> answered_ = false;
  std::atomic<bool> granted_ = false;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

void await_waiting(const MailboxLimiter& limiter, std::size_t number) {
  for (const Deadline latest = late(); limiter.waiting() != number;) {
    CPPUNIT_ASSERT(Clock::now() < latest);
    std::this_thread::yield();
  }
}

}  // namespace

class MailboxLimiterTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MailboxLimiterTest);
  CPPUNIT_TEST(noMoreDeliveriesThanTheLimitAreInFlight);
  CPPUNIT_TEST(withoutALimitEveryClaimIsGranted);
  CPPUNIT_TEST(anEmptyClaimIsGranted);
  CPPUNIT_TEST(aMailboxTwiceInOneClaimCountsOnce);
  CPPUNIT_TEST(aClaimGetsAllItsMailboxesOrNone);
  CPPUNIT_TEST(aClaimEndsAtItsDeadline);
  CPPUNIT_TEST(claimsOnTheSameMailboxAreGrantedInOrder);
  CPPUNIT_TEST(aClaimOnFreeMailboxesDoesNotWait);
  CPPUNIT_TEST(aGrantLetsOthersInThroughTheOtherQueues);
  CPPUNIT_TEST(aClaimThatTimesOutLetsTheNextIn);
  CPPUNIT_TEST(aClaimMovesWithItsMailboxes);
  CPPUNIT_TEST(manyThreadsKeepTheLimitAndAllEnd);
  CPPUNIT_TEST_SUITE_END();

  void noMoreDeliveriesThanTheLimitAreInFlight() {  // trap: busy-mailbox
    MailboxLimiter limiter(2);
    const Claim one = limiter.claim({"a"}, soon());
    {
      const Claim two = limiter.claim({"a"}, soon());
      CPPUNIT_ASSERT(one && two);
      CPPUNIT_ASSERT(!limiter.claim({"a"}, soon()));
      CPPUNIT_ASSERT(limiter.claim({"b"}, soon()));
    }
    CPPUNIT_ASSERT(limiter.claim({"a"}, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.waiting());
  }

  void withoutALimitEveryClaimIsGranted() {
    MailboxLimiter limiter(0);
    std::vector<Claim> claims;
    for (int i = 0; i < 100; ++i) {
      claims.push_back(limiter.claim({"a", "b"}, soon()));
      CPPUNIT_ASSERT(claims.back());
    }
  }

  void anEmptyClaimIsGranted() {
    MailboxLimiter limiter(1);
    const Claim held = limiter.claim({"a"}, soon());
    CPPUNIT_ASSERT(limiter.claim({}, soon()));
    CPPUNIT_ASSERT(!Claim());
  }

  void aMailboxTwiceInOneClaimCountsOnce() {
    MailboxLimiter limiter(1);
    {
      const Claim one = limiter.claim({"b", "a", "b", "a"}, soon());
      CPPUNIT_ASSERT(one);
      CPPUNIT_ASSERT(!limiter.claim({"b"}, soon()));
    }
    CPPUNIT_ASSERT(limiter.claim({"b"}, soon()));
    MailboxLimiter wider(2);
    const Claim one = wider.claim({"a", "a"}, soon());
    CPPUNIT_ASSERT(wider.claim({"a"}, soon()));
  }

  // A claim that waits for one mailbox does not hold another.
  void aClaimGetsAllItsMailboxesOrNone() {
    MailboxLimiter limiter(1);
    const Claim held = limiter.claim({"a"}, soon());
    CPPUNIT_ASSERT(!limiter.claim({"a", "b"}, soon()));
    CPPUNIT_ASSERT(limiter.claim({"b"}, soon()));
  }

  void aClaimEndsAtItsDeadline() {
    MailboxLimiter limiter(1);
    Claim held = limiter.claim({"a"}, soon());
    const Clock::time_point start = Clock::now();
    CPPUNIT_ASSERT(!limiter.claim({"a"}, start + milliseconds(20)));
    CPPUNIT_ASSERT(Clock::now() >= start + milliseconds(20));
    CPPUNIT_ASSERT(!limiter.claim({"a"}, start));  // the deadline is over already
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.waiting());
    held = Claim();
    CPPUNIT_ASSERT(limiter.claim({"a"}, start));  // nothing to wait for
  }

  void claimsOnTheSameMailboxAreGrantedInOrder() {
    MailboxLimiter limiter(1);
    Claim held = limiter.claim({"a"}, soon());
    Asker first(limiter, {"a", "b"});
    await_waiting(limiter, 1);
    Asker second(limiter, {"b", "c"});  // b is free, but the first claim came earlier
    await_waiting(limiter, 2);
    Asker third(limiter, {"c"});
    await_waiting(limiter, 3);
    held = Claim();
    CPPUNIT_ASSERT(first.await_answer());
    await_waiting(limiter, 2);
    CPPUNIT_ASSERT(!second.granted() && !third.granted());
    first.end();
    CPPUNIT_ASSERT(second.await_answer());
    await_waiting(limiter, 1);
    CPPUNIT_ASSERT(!third.granted());
    second.end();
    CPPUNIT_ASSERT(third.await_answer());
  }

  void aClaimOnFreeMailboxesDoesNotWait() {
    MailboxLimiter limiter(1);
    Claim held = limiter.claim({"a"}, soon());
    Asker waiting(limiter, {"a", "b"});
    await_waiting(limiter, 1);
    CPPUNIT_ASSERT(limiter.claim({"c", "d"}, soon()));
    CPPUNIT_ASSERT(!waiting.granted());
    held = Claim();
    CPPUNIT_ASSERT(waiting.await_answer());
  }

  // A granted claim leaves the queues of all its mailboxes. Those that have room for two let the
  // next claim in.
  void aGrantLetsOthersInThroughTheOtherQueues() {
    MailboxLimiter limiter(2);
    Claim one = limiter.claim({"a"}, soon());
    const Claim two = limiter.claim({"a"}, soon());
    Asker first(limiter, {"a", "b", "c"});
    await_waiting(limiter, 1);
    Asker second(limiter, {"b", "d"});
    await_waiting(limiter, 2);
    Asker third(limiter, {"d"});  // through the second's queue
    await_waiting(limiter, 3);
    Asker fourth(limiter, {"c"});
    await_waiting(limiter, 4);
    one = Claim();
    CPPUNIT_ASSERT(first.await_answer());
    CPPUNIT_ASSERT(second.await_answer());
    CPPUNIT_ASSERT(third.await_answer());
    CPPUNIT_ASSERT(fourth.await_answer());
  }

  void aClaimThatTimesOutLetsTheNextIn() {
    MailboxLimiter limiter(1);
    const Claim held = limiter.claim({"a"}, soon());
    Asker gives_up(limiter, {"a", "b"}, Clock::now() + milliseconds(30));
    while (limiter.waiting() == 0 && !gives_up.answered()) {
      std::this_thread::yield();
    }
    Asker behind(limiter, {"b"});
    CPPUNIT_ASSERT(behind.await_answer());
    CPPUNIT_ASSERT(!gives_up.await_answer());
  }

  void aClaimMovesWithItsMailboxes() {
    MailboxLimiter limiter(1);
    Claim one = limiter.claim({"a"}, soon());
    Claim other = std::move(one);
    CPPUNIT_ASSERT(other && !one);
    CPPUNIT_ASSERT(!limiter.claim({"a"}, soon()));
    {
      Claim third;
      third = std::move(other);
      CPPUNIT_ASSERT(third);
      CPPUNIT_ASSERT(!limiter.claim({"a"}, soon()));
    }
    CPPUNIT_ASSERT(limiter.claim({"a"}, soon()));
  }

  // Each thread claims up to three of five mailboxes in any order. If a claim held one mailbox
  // while it waits for another, two threads would soon block each other.
  void manyThreadsKeepTheLimitAndAllEnd() {
    constexpr std::size_t kLimit = 2;
    MailboxLimiter limiter(kLimit);
    std::array<std::atomic<std::size_t>, 5> in_flight{};
    std::atomic<bool> crowded = false;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (unsigned i = 0; i < 100; ++i) {
          const std::array<unsigned, 3> wanted{(t + i) % 5, (t * 3 + i * 2) % 5, (7 * t + i) % 5};
          Names names;
          for (const unsigned mailbox : wanted) {
            names.push_back(std::to_string(mailbox));
          }
          const bool patient = (t + i) % 7 != 0;
          const Claim claim = limiter.claim(names, patient ? late() : Clock::now());
          refused += !claim && patient ? 1 : 0;
          if (claim) {
            if (++in_flight[wanted[0]] > kLimit) {
              crowded = true;
            }
            std::this_thread::yield();
            --in_flight[wanted[0]];
          }
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(0, refused.load());
    CPPUNIT_ASSERT(!crowded);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.waiting());
    for (const int round : {0, 1}) {  // everything was given back, and not twice
      std::vector<Claim> claims;
      for (std::size_t i = 0; i < kLimit; ++i) {
        claims.push_back(limiter.claim({"0", "1", "2", "3", "4"}, soon()));
        CPPUNIT_ASSERT(claims.back());
      }
      CPPUNIT_ASSERT_MESSAGE(std::to_string(round), !limiter.claim({"0"}, soon()));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MailboxLimiterTest);
