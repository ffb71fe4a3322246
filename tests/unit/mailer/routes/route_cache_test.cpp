#include "mailer/routes/route_cache.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::seconds;
using Age = RouteCache::Age;

class RouteCacheTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RouteCacheTest);
  CPPUNIT_TEST(anAnswerIsFreshThenStaleThenForgotten);
  CPPUNIT_TEST(aNewAnswerReplacesTheOldOne);
  CPPUNIT_TEST(theLeastRecentlyUsedAnswerIsDropped);
  CPPUNIT_TEST(severalThreadsMayUseTheCache);
  CPPUNIT_TEST_SUITE_END();

  static Route route(const std::string& text) { return outcome_of({5, 1, 1}, text); }
  static std::string words(const std::optional<RouteCache::Found>& found) {
    return !found ? "nothing"
                  : std::get<Outcome>(found->route).text +
                        (found->age == Age::kFresh ? " fresh" : " stale");
  }
  static std::string found(RouteCache& cache, const std::string& question, int second) {
    return words(cache.find(question, kStart + seconds(second)));
  }
  static void put(RouteCache& cache, const std::string& question, const std::string& text,
                  int fresh, int stale) {
    cache.put(question, route(text), kStart + seconds(fresh), kStart + seconds(stale));
  }
  static inline const Clock::time_point kStart = Clock::now();

  void anAnswerIsFreshThenStaleThenForgotten() {
    RouteCache cache(3);
    put(cache, "q", "a", 10, 20);
    CPPUNIT_ASSERT_EQUAL(std::string("a fresh"), found(cache, "q", 9));
    CPPUNIT_ASSERT_EQUAL(std::string("a stale"), found(cache, "q", 10));
    CPPUNIT_ASSERT_EQUAL(std::string("a stale"), found(cache, "q", 19));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), found(cache, "q", 20));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), found(cache, "r", 0));
  }

  void aNewAnswerReplacesTheOldOne() {
    RouteCache cache(3);
    for (int i = 0; i < 10; ++i) {
      put(cache, "q", std::to_string(i), 10, 20);
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, cache.size());
    CPPUNIT_ASSERT_EQUAL(std::string("9 fresh"), found(cache, "q", 0));
  }

  void theLeastRecentlyUsedAnswerIsDropped() {
    RouteCache cache(2);
    put(cache, "q", "q", 10, 20);
    put(cache, "r", "r", 10, 20);
    found(cache, "q", 0);
    put(cache, "s", "s", 10, 20);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, cache.size());
    CPPUNIT_ASSERT_EQUAL(std::string("q fresh"), found(cache, "q", 0));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), found(cache, "r", 0));
    CPPUNIT_ASSERT_EQUAL(std::string("s fresh"), found(cache, "s", 0));
  }

  void severalThreadsMayUseTheCache() {
    RouteCache cache(8);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int k = 0; k < 2000; ++k) {
          const std::string question = std::to_string((k * (i + 1)) % 16);
          put(cache, question, question, 10, 20);
          found(cache, question, 0);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{8}, cache.size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RouteCacheTest);
