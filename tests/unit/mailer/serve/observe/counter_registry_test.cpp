#include "mailer/serve/observe/counter_registry.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

#include "mailer/serve/observe/outcome_reason.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const Outcome kDelivered{Fate::kDelivered, 250, {2, 1, 5}, "ok", "250 ok", 250, std::nullopt};
const Outcome kFull{Fate::kTemporary, 452, {4, 2, 2}, "full", "452 full", 452, std::nullopt};

void decide(CounterRegistry& book, std::string_view destination, const Outcome& outcome,
            std::string_view ignorequota = "no") {
  book.decided({destination, outcome, ignorequota, milliseconds(3), std::nullopt});
}

const Counters* find(const CounterRegistry& book, const std::string& name) {
  const Counters* found = nullptr;
  book.each([&](const std::string& destination, const Counters& tally) {
    found = destination == name ? &tally : found;
  });
  return found;
}

std::uint64_t sent(const CounterRegistry& book, const std::string& name) {
  const Counters* const tally = find(book, name);
  CPPUNIT_ASSERT_MESSAGE(name, tally != nullptr);
  return tally->decided(Fate::kDelivered);
}

std::uint64_t count_of(const Counts& counts, std::string_view word) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts.word(i) == word) {
      return counts[i];
    }
  }
  CPPUNIT_FAIL("no counter has the name " + std::string(word));
  return 0;
}

}  // namespace

class TallyBookTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TallyBookTest);
  CPPUNIT_TEST(outcomesCountByDestinationFateAndReason);
  CPPUNIT_TEST(onlyWhatLeftIsTimedAsSentAndAnswered);
  CPPUNIT_TEST(whatNoStoreWasAskedForCountsAsNone);
  CPPUNIT_TEST(uncertainOnesArePossibleDuplicates);
  CPPUNIT_TEST(dialsCountByResult);
  CPPUNIT_TEST(theDaemonsOwnEventsCount);
  CPPUNIT_TEST(beyondTheMostIsOther);
  CPPUNIT_TEST(oneThatHasGoneGivesUpItsPlace);
  CPPUNIT_TEST(oneThatHasGoneIsForgottenAfterAnHour);
  CPPUNIT_TEST(aDurationOnABoundBelongsBelowIt);
  CPPUNIT_TEST(theRateIsOfTheLastTenSeconds);
  CPPUNIT_TEST(theFirstSecondMakesNoStorm);
  CPPUNIT_TEST(manyThreadsLoseNothing);
  CPPUNIT_TEST_SUITE_END();

  void outcomesCountByDestinationFateAndReason() {
    CounterRegistry book;
    decide(book, "a", kDelivered, "sent");
    decide(book, "a", kFull, "ignored");
    decide(book, "a", kFull);
    decide(book, "b", kDelivered);
    const Counters* const a = find(book, "a");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, a->decided(Fate::kDelivered));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, a->decided(Fate::kTemporary));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, a->decided(Fate::kPermanent));
    const auto deferred = static_cast<std::size_t>(Fate::kTemporary);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(a->outcomes[deferred], "over_quota"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(book, "b"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(book.own().ignorequota, "no"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(book.own().ignorequota, "sent"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(book.own().ignorequota, "ignored"));
  }

  void onlyWhatLeftIsTimedAsSentAndAnswered() {
    CounterRegistry book;
    decide(book, "a", kFull);
    book.decided({"a", kDelivered, "no", milliseconds(3),
                  DeliveryEvents::Transfer{milliseconds(20), milliseconds(400)}});
    const Counters* const a = find(book, "a");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, a->waited.read().count);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.006, a->waited.read().seconds, 1e-9);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, a->sent.read().count);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.02, a->sent.read().seconds, 1e-9);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.4, a->answered.read().seconds, 1e-9);
  }

  void whatNoStoreWasAskedForCountsAsNone() {
    CounterRegistry book;
    decide(book, "", outcome_of(Trouble::kSpool, "disk full"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1},
                         find(book, CounterRegistry::kNone)->decided(Fate::kTemporary));
  }

  void uncertainOnesArePossibleDuplicates() {
    CounterRegistry book;
    decide(book, "a", outcome_of(Trouble::kLost, "gone"));
    decide(book, "a", outcome_of(Trouble::kUncertain, "gone"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, find(book, "a")->possible_duplicates.load());
  }

  void dialsCountByResult() {
    CounterRegistry book;
    for (const char* const result : {"ready", "tls", "login", "tls"}) {
      book.dialled("a", result, milliseconds(5));
    }
    const Counters* const a = find(book, "a");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(a->dials, "ready"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(a->dials, "tls"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(a->dials, "login"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, a->dial_time.read().count);
  }

  void theDaemonsOwnEventsCount() {
    CounterRegistry book;
    book.taken({1000, true, milliseconds(7)});
    book.taken({500, false, milliseconds(7)});
    book.reply_lost();
    book.tag_judged("bad mac");
    book.tag_judged("what nobody knows");
    book.client_admitted();
    book.client_refused(Dismissal::kTooManyOfOne);
    book.reloaded(true);
    book.reloaded(false);
    book.reloaded(false);
    const DaemonCounters& own = book.own();
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, own.messages.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1500}, own.bytes.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, own.spooled.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, own.reply_lost.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, own.admitted.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, own.reloads.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, own.failed_reloads.load());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(own.tags, "bad mac"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(own.tags, "other"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(own.refused, "too-many-of-one"));
  }

  void beyondTheMostIsOther() {
    CounterRegistry book(2);
    book.present({"a", "b", "c"}, Clock::now());
    for (const char* const destination : {"a", "b", "c", "d"}) {
      decide(book, destination, kDelivered);
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(book, "a"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(book, "b"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, sent(book, CounterRegistry::kOther));
    CPPUNIT_ASSERT(find(book, "c") == nullptr);
    CPPUNIT_ASSERT_EQUAL(std::string(CounterRegistry::kOther), book.label("c"));
    CPPUNIT_ASSERT_EQUAL(std::string("b"), book.label("b"));
  }

  void oneThatHasGoneGivesUpItsPlace() {
    CounterRegistry book(2);
    const Clock::time_point start = Clock::now();
    book.present({"a", "b"}, start);
    book.present({"b", "c"}, start + seconds(1));
    decide(book, "c", kDelivered);
    CPPUNIT_ASSERT(find(book, "a") == nullptr);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(book, "c"));
    CPPUNIT_ASSERT(find(book, "b") != nullptr);
  }

  void oneThatHasGoneIsForgottenAfterAnHour() {
    CounterRegistry book;
    const Clock::time_point start = Clock::now();
    book.present({"a", "b"}, start);
    book.present({"b"}, start + CounterRegistry::kMemory);
    book.sample(start + CounterRegistry::kMemory);
    CPPUNIT_ASSERT(find(book, "a") != nullptr);
    book.sample(start + CounterRegistry::kMemory + seconds(1));
    CPPUNIT_ASSERT(find(book, "a") == nullptr);
    CPPUNIT_ASSERT(find(book, "b") != nullptr);
    CPPUNIT_ASSERT(find(book, CounterRegistry::kNone) != nullptr);
  }

  // Of `le`, in Prometheus's exposition format.
  void aDurationOnABoundBelongsBelowIt() {
    struct Case {
      std::chrono::nanoseconds time;
      std::size_t place;
    };
    const std::size_t above = Histogram::kBounds.size();
    for (const Case& c : {Case{milliseconds(-5), 0}, Case{milliseconds(0), 0},
                          Case{milliseconds(1), 0}, Case{std::chrono::nanoseconds(1'000'001), 1},
                          Case{seconds(600), above - 1}, Case{milliseconds(600'001), above}}) {
      Histogram durations;
      durations.add(c.time);
      const Histogram::Reading reading = durations.read();
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::to_string(c.time.count()), std::uint64_t{1},
                                   reading.counts[c.place]);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, reading.count);
    }
  }

  void theRateIsOfTheLastTenSeconds() {
    const Clock::time_point start;
    Recent recent;
    const auto at = [&](int second) {
      // Ten in each of the first hundred seconds, then one each; each answered within 2 s, then 4
      // s.
      const int fast = std::min(second, 100);
      const int slow = second - fast;
      const auto all = static_cast<std::uint64_t>(10 * fast + slow);
      return Recent::Sample{start + seconds(second), all, all, 20.0 * fast + 4.0 * slow};
    };
    for (int second = 0; second <= 110; ++second) {
      recent.add(at(second));
    }
    CPPUNIT_ASSERT_DOUBLES_EQUAL(1.0, recent.per_second(at(110)), 1e-9);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(4.0, recent.mean_answer(at(110)), 1e-9);
    for (int second = 111; second <= 120; ++second) {
      Recent::Sample still = at(110);
      still.at = start + seconds(second);
      recent.add(still);
    }
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.0, recent.per_second(at(110)), 1e-9);
    CPPUNIT_ASSERT(recent.mean_answer(at(110)) < 0);
  }

  void theFirstSecondMakesNoStorm() {
    const Clock::time_point start;
    Recent recent;
    recent.add({start, 0, 0, 0});
    CPPUNIT_ASSERT_DOUBLES_EQUAL(3.0, recent.per_second({start + milliseconds(10), 3, 0, 0}), 1e-9);
  }

  void manyThreadsLoseNothing() {
    constexpr int kThreads = 8;
    constexpr int kEach = 5000;
    CounterRegistry book(3);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          decide(book, "store" + std::to_string((t + i) % 5), i % 2 == 0 ? kDelivered : kFull);
        }
      });
    }
    for (int i = 0; i < 100; ++i) {
      book.present({"store1"}, Clock::now());
      book.sample(Clock::now());
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{kThreads * kEach}, count_of(book.own().ignorequota, "no"));
    int known = 0;
    book.each([&](const std::string&, const Counters&) { ++known; });
    CPPUNIT_ASSERT_EQUAL(3 + 2, known);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TallyBookTest);
