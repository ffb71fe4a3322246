#include "mailer/store/mailbox_limiter.h"

#include <cppunit/extensions/HelperMacros.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

using Names = std::vector<std::string>;

Deadline soon() { return Clock::now() + milliseconds(10); }
Deadline late() { return Clock::now() + std::chrono::seconds(60); }

// Turns that were taken without a wait.
std::unique_ptr<MailboxTurns> taken(MailboxLimiter& limiter, Names names) {
  auto turns = std::make_unique<MailboxTurns>(limiter, std::move(names));
  turns->take_free();
  return turns;
}

bool is_free(MailboxLimiter& limiter, const std::string& name) {
  return MailboxTurns(limiter, {name}).take_free();
}

// As many characters as recipients: 'x' for those that have a turn.
std::string those_of(const MailboxTurns& turns, std::size_t recipients) {
  std::string text;
  for (std::size_t i = 0; i < recipients; ++i) {
    text += turns.has(i) ? 'x' : '-';
  }
  return text;
}

void check(const std::string& expected, const MailboxTurns& turns) {
  CPPUNIT_ASSERT_EQUAL(expected, those_of(turns, expected.size()));
}

// Takes turns in another thread, and holds them until end().
class Asker {
 public:
  Asker(MailboxLimiter& limiter, Names names, Deadline latest = late())
      : thread_([this, &limiter, names = std::move(names), latest] {
          MailboxTurns turns(limiter, names);
          served_ = turns.take(latest);
          text_ = those_of(turns, names.size());
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
  bool await_answer() const {
    for (const Deadline latest = late(); !answered_ && Clock::now() < latest;) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return answered_ && served_;
  }
  std::string turns() const { return await_answer() ? text_ : "none"; }

 private:
  std::string text_;
  std::atomic<bool> answered_ = false;
  std::atomic<bool> served_ = false;
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
  CPPUNIT_TEST(aMailboxTwiceInOneDeliveryCountsOnce);
  CPPUNIT_TEST(freeMailboxesAreTakenWithoutTheOthers);
  CPPUNIT_TEST(aWaitEndsAtItsDeadline);
  CPPUNIT_TEST(aDeliveryThatWaitsHoldsUpNobodyElsewhere);
  CPPUNIT_TEST(aWaitEndsWithTheFirstTurn);
  CPPUNIT_TEST(turnsOfOneMailboxAreGivenInOrder);
  CPPUNIT_TEST(aBusyDeliveryKeepsItsPlaceAndIsPassed);
  CPPUNIT_TEST(aWaitThatTimesOutLetsTheNextIn);
  CPPUNIT_TEST(aTurnEndsWithTheLastRecipientOfItsMailbox);
  CPPUNIT_TEST(turnsOfRecipientsThatDoNotGoAreGivenBack);
  CPPUNIT_TEST(theLastQuarterIsForDeliveriesWithoutAnotherTurn);
  CPPUNIT_TEST(theLeastCrowdedMailboxGoesFirst);
  CPPUNIT_TEST(anEmptyQueueIsForgotten);
  CPPUNIT_TEST(aHigherLimitLetsInThoseThatWait);
  CPPUNIT_TEST(aLowerLimitLetsNobodyInUntilEnoughHaveEnded);
  CPPUNIT_TEST(manyThreadsKeepTheLimitAndAllEnd);
  CPPUNIT_TEST_SUITE_END();

  void aHigherLimitLetsInThoseThatWait() {
    MailboxLimiter limiter(1);
    const auto first = taken(limiter, {"a"});
    const auto other = taken(limiter, {"b"});
    const auto alone = taken(limiter, {"c"});
    const Asker second(limiter, {"a"});
    await_waiting(limiter, 1);
    const Asker third(limiter, {"a"});
    const Asker fourth(limiter, {"b"});
    await_waiting(limiter, 3);
    limiter.set_limit(2);
    CPPUNIT_ASSERT(second.await_answer() && fourth.await_answer());
    CPPUNIT_ASSERT(!third.answered());
    limiter.set_limit(0);
    CPPUNIT_ASSERT(third.await_answer());
    CPPUNIT_ASSERT(!limiter.limits());
  }

  void aLowerLimitLetsNobodyInUntilEnoughHaveEnded() {
    MailboxLimiter limiter(3);
    auto first = taken(limiter, {"a"});
    auto second = taken(limiter, {"a"});
    const Asker third(limiter, {"a"});
    CPPUNIT_ASSERT(third.await_answer());
    const Asker fourth(limiter, {"a"});
    await_waiting(limiter, 1);
    limiter.set_limit(2);
    first.reset();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, limiter.waiting());
    second.reset();
    CPPUNIT_ASSERT(fourth.await_answer());
    CPPUNIT_ASSERT(!is_free(limiter, "a"));
  }

  void noMoreDeliveriesThanTheLimitAreInFlight() {  // trap: busy-mailbox
    MailboxLimiter limiter(2);
    const auto one = taken(limiter, {"a"});
    {
      const auto two = taken(limiter, {"a"});
      CPPUNIT_ASSERT(one->has_any() && two->has_any());
      CPPUNIT_ASSERT(!is_free(limiter, "a"));
      CPPUNIT_ASSERT(is_free(limiter, "b"));
    }
    CPPUNIT_ASSERT(is_free(limiter, "a"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.waiting());
    CPPUNIT_ASSERT(limiter.limits() && !MailboxLimiter(0).limits());
  }

  void aMailboxTwiceInOneDeliveryCountsOnce() {
    MailboxLimiter limiter(2);
    const auto one = taken(limiter, {"b", "a", "b", "a"});
    check("xxxx", *one);
    CPPUNIT_ASSERT(is_free(limiter, "a"));
    const auto two = taken(limiter, {"a", "a"});
    CPPUNIT_ASSERT(!is_free(limiter, "a"));
    CPPUNIT_ASSERT(is_free(limiter, "b"));
  }

  void freeMailboxesAreTakenWithoutTheOthers() {
    MailboxLimiter limiter(1);
    auto held = taken(limiter, {"hot"});
    MailboxTurns turns(limiter, {"alice", "hot", "bob"});
    CPPUNIT_ASSERT(turns.take(Clock::now()));
    check("x-x", turns);
    CPPUNIT_ASSERT(turns.take_free());  // nothing more, yet
    check("x-x", turns);
    held.reset();
    CPPUNIT_ASSERT(turns.take_free());
    check("xxx", turns);
  }

  void aWaitEndsAtItsDeadline() {
    MailboxLimiter limiter(1);
    auto held = taken(limiter, {"a"});
    const Clock::time_point start = Clock::now();
    CPPUNIT_ASSERT(!MailboxTurns(limiter, {"a"}).take(start + milliseconds(20)));
    CPPUNIT_ASSERT(Clock::now() >= start + milliseconds(20));
    CPPUNIT_ASSERT(!MailboxTurns(limiter, {"a"}).take(start));  // the deadline is over already
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.waiting());
    held.reset();
    CPPUNIT_ASSERT(MailboxTurns(limiter, {"a"}).take(start));  // nothing to wait for
  }

  // Those after it in one line do not wait for what it waits for in another.
  void aDeliveryThatWaitsHoldsUpNobodyElsewhere() {  // trap: mailbox-convoy
    MailboxLimiter limiter(1);
    auto hot = taken(limiter, {"hot"});
    auto bob = taken(limiter, {"bob"});
    Asker both(limiter, {"hot", "bob"});
    await_waiting(limiter, 1);
    Asker next(limiter, {"bob"});
    await_waiting(limiter, 2);
    CPPUNIT_ASSERT(is_free(limiter, "dave"));
    bob.reset();
    CPPUNIT_ASSERT_EQUAL(std::string("-x"), both.turns());
    both.end();
    CPPUNIT_ASSERT(next.await_answer());
  }

  void aWaitEndsWithTheFirstTurn() {
    MailboxLimiter limiter(1);
    auto a = taken(limiter, {"a"});
    auto b = taken(limiter, {"b"});
    Asker both(limiter, {"a", "b"});
    await_waiting(limiter, 1);
    b.reset();
    CPPUNIT_ASSERT_EQUAL(std::string("-x"), both.turns());
    a.reset();  // not for one that does not wait any more
    CPPUNIT_ASSERT(is_free(limiter, "a"));
  }

  void turnsOfOneMailboxAreGivenInOrder() {
    MailboxLimiter limiter(1);
    auto held = taken(limiter, {"a"});
    Asker first(limiter, {"a"});
    await_waiting(limiter, 1);
    Asker second(limiter, {"a"});
    await_waiting(limiter, 2);
    Asker third(limiter, {"a"});
    await_waiting(limiter, 3);
    held.reset();
    CPPUNIT_ASSERT(first.await_answer());
    await_waiting(limiter, 2);
    CPPUNIT_ASSERT(!second.answered() && !third.answered());
    first.end();
    CPPUNIT_ASSERT(second.await_answer());
    await_waiting(limiter, 1);
    CPPUNIT_ASSERT(!third.answered());
    second.end();
    CPPUNIT_ASSERT(third.await_answer());
  }

  // It came first, and waits again before the turn is free: so the turn is its own.
  void aBusyDeliveryKeepsItsPlaceAndIsPassed() {
    MailboxLimiter limiter(1);
    auto held = taken(limiter, {"hot"});
    auto busy = taken(limiter, {"bob", "hot"});
    Asker second(limiter, {"hot"});
    await_waiting(limiter, 1);
    Asker third(limiter, {"hot"});
    await_waiting(limiter, 2);
    held.reset();
    CPPUNIT_ASSERT(second.await_answer());  // past the first, which is busy with bob
    busy->end(0);
    std::atomic<bool> had = false;
    std::thread waits([&] { had = busy->take(late()); });
    await_waiting(limiter, 2);
    second.end();
    waits.join();
    CPPUNIT_ASSERT(had && busy->has(1));
    CPPUNIT_ASSERT(!third.answered());
    busy.reset();
    CPPUNIT_ASSERT(third.await_answer());
  }

  void aWaitThatTimesOutLetsTheNextIn() {
    MailboxLimiter limiter(1);
    auto held = taken(limiter, {"a"});
    MailboxTurns gives_up(limiter, {"a"});
    CPPUNIT_ASSERT(!gives_up.take(soon()));
    Asker next(limiter, {"a"});
    await_waiting(limiter, 1);
    held.reset();
    CPPUNIT_ASSERT(next.await_answer());
  }

  void aTurnEndsWithTheLastRecipientOfItsMailbox() {
    MailboxLimiter limiter(1);
    auto turns = taken(limiter, {"a", "b", "a"});
    turns->end(1);
    CPPUNIT_ASSERT(is_free(limiter, "b"));
    turns->end(0);
    CPPUNIT_ASSERT(turns->has(2) && !is_free(limiter, "a"));
    turns->end(2);
    CPPUNIT_ASSERT(!turns->has_any() && is_free(limiter, "a"));
    CPPUNIT_ASSERT(!turns->take_free());                        // there is nothing left to take
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.mailboxes());  // nor to wait for
  }

  void turnsOfRecipientsThatDoNotGoAreGivenBack() {
    MailboxLimiter limiter(1);
    auto turns = taken(limiter, {"a", "b", "a", "c"});
    turns->keep_only({0, 3});
    check("x-xx", *turns);
    {
      const auto other = taken(limiter, {"b"});
      CPPUNIT_ASSERT(other->has_any());
    }
    turns->take_free();
    check("xxxx", *turns);
  }

  // Eight deliveries that stall at hot hold turns of bob's; but nobody waits for bob because of it.
  void theLastQuarterIsForDeliveriesWithoutAnotherTurn() {
    MailboxLimiter limiter(10);
    std::vector<std::unique_ptr<MailboxTurns>> stalled;
    for (int i = 0; i < 8; ++i) {
      stalled.push_back(taken(limiter, {"hot", "bob"}));
      check("xx", *stalled.back());
    }
    auto calm = taken(limiter, {"hot", "carol", "bob"});
    check("-x-", *calm);
    for (int i = 0; i < 2; ++i) {
      stalled.push_back(taken(limiter, {"hot", "bob"}));
      check(i == 0 ? "x-" : "-x", *stalled.back());
    }
    CPPUNIT_ASSERT(is_free(limiter, "bob") && is_free(limiter, "hot"));
    // A delivery that has such a turn takes no other one beside it.
    stalled[0]->end(0);
    stalled[1]->end(0);
    stalled[2]->end(0);
    stalled[8]->take_free();
    check("x-", *stalled[8]);
    stalled[9]->take_free();
    check("-x", *stalled[9]);
    calm->take_free();
    check("xx-", *calm);
  }

  void theLeastCrowdedMailboxGoesFirst() {
    MailboxLimiter limiter(4);
    std::vector<std::unique_ptr<MailboxTurns>> held;
    for (const char* name : {"a", "a", "a", "a", "b", "b", "b", "c", "c", "c"}) {
      held.push_back(taken(limiter, {name}));
    }
    check("-x-", *taken(limiter, {"a", "b", "c"}));
    held.push_back(taken(limiter, {"b"}));
    check("--x", *taken(limiter, {"a", "b", "c"}));
  }

  void anEmptyQueueIsForgotten() {
    MailboxLimiter limiter(1);
    auto one = taken(limiter, {"a", "b"});
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, limiter.mailboxes());
    auto two = taken(limiter, {"a", "c"});
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, limiter.mailboxes());
    CPPUNIT_ASSERT(!MailboxTurns(limiter, {"a", "b"}).take(soon()));
    one->keep_only({0});
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, limiter.mailboxes());
    one->end(0);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, limiter.mailboxes());  // two is still in a's line
    two.reset();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.mailboxes());
  }

  // Each thread takes up to three of five mailboxes in any order, one transaction after the other.
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
          const std::array<unsigned, 3> wanted{(t + i) % 5, (t + i + 1 + i % 4) % 5, t % 5};
          Names names;
          for (const unsigned mailbox : wanted) {
            names.push_back(std::to_string(mailbox));
          }
          const bool patient = (t + i) % 7 != 0;
          MailboxTurns turns(limiter, names);
          std::size_t left = names.size();
          while (left > 0 && turns.take(patient ? late() : Clock::now())) {
            for (std::size_t k = 0; k < names.size(); ++k) {
              if (!turns.has(k)) {
                continue;
              }
              const bool twice = k == 2 && (wanted[2] == wanted[0] || wanted[2] == wanted[1]);
              if (!twice && ++in_flight[wanted[k]] > kLimit) {
                crowded = true;
              }
              std::this_thread::yield();
              in_flight[wanted[k]] -= twice ? 0 : 1;
              turns.end(k);
              --left;
            }
          }
          refused += left > 0 && patient ? 1 : 0;
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(0, refused.load());
    CPPUNIT_ASSERT(!crowded);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.waiting());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, limiter.mailboxes());  // everything was given back
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MailboxLimiterTest);
