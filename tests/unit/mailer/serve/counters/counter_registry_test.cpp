#include "mailer/serve/counters/counter_registry.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const Outcome kDelivered{Fate::kDelivered, 250, {2, 1, 5}, "ok", "250 ok", 250, std::nullopt};
const Outcome kFull{Fate::kTemporary, 452, {4, 2, 2}, "full", "452 full", 452, std::nullopt, true};

void decide(CounterRegistry& registry, std::string_view destination, const Outcome& outcome,
            std::string_view ignorequota = "no") {
  registry.decided({destination, outcome, ignorequota, milliseconds(3), std::nullopt});
}

const Counters* find(const CounterRegistry& registry, const std::string& name) {
  const Counters* found = nullptr;
  registry.each([&](const std::string& destination, const Counters& counters) {
    found = destination == name ? &counters : found;
  });
  return found;
}

std::uint64_t sent(const CounterRegistry& registry, const std::string& name) {
  const Counters* const counters = find(registry, name);
  CPPUNIT_ASSERT_MESSAGE(name, counters != nullptr);
  return counters->decided(Fate::kDelivered);
}

std::uint64_t count_of(const LabelCounters& counts, std::string_view word) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts.value(i) == word) {
      return counts[i];
    }
  }
  CPPUNIT_FAIL("no counter has the name " + std::string(word));
  return 0;
}

}  // namespace

class CounterRegistryTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CounterRegistryTest);
  CPPUNIT_TEST(outcomesAreCountedByDestinationFateAndReason);
  CPPUNIT_TEST(onlySentMessagesHaveTransferTimes);
  CPPUNIT_TEST(outcomesWithoutAStoreCountAsNone);
  CPPUNIT_TEST(uncertainOutcomesArePossibleDuplicates);
  CPPUNIT_TEST(dialsAreCountedByResult);
  CPPUNIT_TEST(theDaemonsEventsAreCounted);
  CPPUNIT_TEST(destinationsBeyondTheLimitCountAsOther);
  CPPUNIT_TEST(aDestinationThatHasGoneGivesUpItsPlace);
  CPPUNIT_TEST(aDestinationThatHasGoneIsForgottenAfterAnHour);
  CPPUNIT_TEST(aDurationEqualToABoundCountsBelowIt);
  CPPUNIT_TEST(theRateIsThatOfTheLastTenSeconds);
  CPPUNIT_TEST(aSampleOfTheRegistryIsOneOfEachDestination);
  CPPUNIT_TEST(theFirstEventsDoNotShowAHighRate);
  CPPUNIT_TEST(manyThreadsLoseNoCounts);
  CPPUNIT_TEST_SUITE_END();

  void outcomesAreCountedByDestinationFateAndReason() {
    CounterRegistry registry;
    decide(registry, "a", kDelivered, "sent");
    decide(registry, "a", kFull, "ignored");
    decide(registry, "a", kFull);
    decide(registry, "b", kDelivered);
    const Counters* const a = find(registry, "a");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, a->decided(Fate::kDelivered));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, a->decided(Fate::kTemporary));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, a->decided(Fate::kPermanent));
    const auto deferred = static_cast<std::size_t>(Fate::kTemporary);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(a->outcomes[deferred], "over_quota"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(registry, "b"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(registry.own().ignorequota, "no"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(registry.own().ignorequota, "sent"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(registry.own().ignorequota, "ignored"));
    const std::vector<Relief> both = {Relief::kUtf8Headers, Relief::k8Bit};
    registry.decided({"a", kDelivered, "no", milliseconds(3), std::nullopt, both});
    registry.decided({"a", kFull, "no", milliseconds(3), std::nullopt, {Relief::k8Bit}});
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(registry.own().reliefs, "utf8-headers"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(registry.own().reliefs, "8bit"));
  }

  void onlySentMessagesHaveTransferTimes() {
    CounterRegistry registry;
    decide(registry, "a", kFull);
    registry.decided({"a", kDelivered, "no", milliseconds(3),
                      DeliveryEvents::Transfer{milliseconds(20), milliseconds(400)}});
    const Counters* const a = find(registry, "a");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, a->waited.read().count);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.006, a->waited.read().seconds, 1e-9);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, a->sent.read().count);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.02, a->sent.read().seconds, 1e-9);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.4, a->answered.read().seconds, 1e-9);
  }

  void outcomesWithoutAStoreCountAsNone() {
    CounterRegistry registry;
    decide(registry, "", outcome_of(Trouble::kSpool, "disk full"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1},
                         find(registry, CounterRegistry::kNone)->decided(Fate::kTemporary));
  }

  void uncertainOutcomesArePossibleDuplicates() {
    CounterRegistry registry;
    decide(registry, "a", outcome_of(Trouble::kLost, "gone"));
    decide(registry, "a", outcome_of(Trouble::kUncertain, "gone"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, find(registry, "a")->possible_duplicates.load());
  }

  void dialsAreCountedByResult() {
    CounterRegistry registry;
    for (const char* const result : {"ready", "tls", "login", "tls"}) {
      registry.dialled("a", result, milliseconds(5));
    }
    const Counters* const a = find(registry, "a");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(a->dials, "ready"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, count_of(a->dials, "tls"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, count_of(a->dials, "login"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, a->dial_time.read().count);
  }

  void theDaemonsEventsAreCounted() {
    CounterRegistry registry;
    registry.taken({1000, true, milliseconds(7)});
    registry.taken({500, false, milliseconds(7)});
    registry.reply_lost();
    registry.tag_judged("bad mac");
    registry.tag_judged("what nobody knows");
    registry.client_admitted();
    registry.client_refused(ClientRefusal::kTooManyOfOne);
    registry.reloaded(true);
    registry.reloaded(false);
    registry.reloaded(false);
    const DaemonCounters& own = registry.own();
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

  void destinationsBeyondTheLimitCountAsOther() {
    CounterRegistry registry(2);
    registry.present({"a", "b", "c"}, Clock::now());
    for (const char* const destination : {"a", "b", "c", "d"}) {
      decide(registry, destination, kDelivered);
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(registry, "a"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(registry, "b"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, sent(registry, CounterRegistry::kOther));
    CPPUNIT_ASSERT(find(registry, "c") == nullptr);
    CPPUNIT_ASSERT_EQUAL(std::string(CounterRegistry::kOther), registry.label("c"));
    CPPUNIT_ASSERT_EQUAL(std::string("b"), registry.label("b"));
  }

  void aDestinationThatHasGoneGivesUpItsPlace() {
    CounterRegistry registry(2);
    const Clock::time_point start = Clock::now();
    registry.present({"a", "b"}, start);
    registry.present({"b", "c"}, start + seconds(1));
    decide(registry, "c", kDelivered);
    CPPUNIT_ASSERT(find(registry, "a") == nullptr);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sent(registry, "c"));
    CPPUNIT_ASSERT(find(registry, "b") != nullptr);
  }

  void aDestinationThatHasGoneIsForgottenAfterAnHour() {
    CounterRegistry registry;
    const Clock::time_point start = Clock::now();
    registry.present({"a", "b"}, start);
    registry.present({"b"}, start + CounterRegistry::kMemory);
    registry.sample(start + CounterRegistry::kMemory);
    CPPUNIT_ASSERT(find(registry, "a") != nullptr);
    registry.sample(start + CounterRegistry::kMemory + seconds(1));
    CPPUNIT_ASSERT(find(registry, "a") == nullptr);
    CPPUNIT_ASSERT(find(registry, "b") != nullptr);
    CPPUNIT_ASSERT(find(registry, CounterRegistry::kNone) != nullptr);
  }

  // Of `le`, in Prometheus's exposition format.
  void aDurationEqualToABoundCountsBelowIt() {
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

  void theRateIsThatOfTheLastTenSeconds() {
    const Clock::time_point start;
    RecentRates recent;
    const auto at = [&](int second) {
      // Ten in each of the first hundred seconds, then one each; each answered within 2 s, then 4
      // s.
      const int fast = std::min(second, 100);
      const int slow = second - fast;
      const auto all = static_cast<std::uint64_t>(10 * fast + slow);
      return RecentRates::Sample{start + seconds(second), all, all, 20.0 * fast + 4.0 * slow};
    };
    for (int second = 0; second <= 110; ++second) {
      recent.add(at(second));
    }
    CPPUNIT_ASSERT_DOUBLES_EQUAL(1.0, recent.per_second(at(110)), 1e-9);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(4.0, recent.mean_answer(at(110)), 1e-9);
    for (int second = 111; second <= 120; ++second) {
      RecentRates::Sample still = at(110);
      still.at = start + seconds(second);
      recent.add(still);
    }
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.0, recent.per_second(at(110)), 1e-9);
    CPPUNIT_ASSERT(recent.mean_answer(at(110)) < 0);
  }

  void aSampleOfTheRegistryIsOneOfEachDestination() {
    CounterRegistry registry;
    for (const char* const destination : {"a", "b"}) {
      decide(registry, destination, kDelivered);
    }
    const Clock::time_point later = Clock::now() + 2 * RecentRates::kSpan;
    registry.sample(later);
    registry.sample(later + RecentRates::kSpan);
    decide(registry, "b", kDelivered);
    const auto rate = [&](const char* destination) {
      const Counters* const counters = find(registry, destination);
      return counters->recent.per_second(counters->sample(later + RecentRates::kSpan));
    };
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.0, rate("a"), 1e-9);
    CPPUNIT_ASSERT(rate("b") > 0);
  }

  void theFirstEventsDoNotShowAHighRate() {
    const Clock::time_point start;
    RecentRates recent;
    recent.add({start, 0, 0, 0});
    CPPUNIT_ASSERT_DOUBLES_EQUAL(3.0, recent.per_second({start + milliseconds(10), 3, 0, 0}), 1e-9);
  }

  void manyThreadsLoseNoCounts() {
    constexpr int kThreads = 8;
    constexpr int kEach = 5000;
    CounterRegistry registry(3);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          decide(registry, "store" + std::to_string((t + i) % 5), i % 2 == 0 ? kDelivered : kFull);
        }
      });
    }
    for (int i = 0; i < 100; ++i) {
      registry.present({"store1"}, Clock::now());
      registry.sample(Clock::now());
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{kThreads * kEach},
                         count_of(registry.own().ignorequota, "no"));
    int known = 0;
    registry.each([&](const std::string&, const Counters&) { ++known; });
    CPPUNIT_ASSERT_EQUAL(3 + 2, known);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CounterRegistryTest);
