#include "mailer/store/store_order.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cmath>
#include <map>

#include "tests/unit/mailer/store/three_stores.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

// "abc"
std::string order(const SharedPools& pools, Balance balance) {
  std::string names;
  for (const ConnectionPool* const pool : store_order(pools, balance)) {
    names += pool->store().destination.text.back();
  }
  return names;
}

}  // namespace

class StoreOrderTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(StoreOrderTest);
  CPPUNIT_TEST(byDefaultTheOrderIsThatOfTheSettings);
  CPPUNIT_TEST(storesThatAreDownComeLast);
  CPPUNIT_TEST(theChanceToBeFirstIsInProportionToTheWeight);
  CPPUNIT_TEST(theLeastUsedStoreForItsWeightComesFirst);
  CPPUNIT_TEST_SUITE_END();

  void byDefaultTheOrderIsThatOfTheSettings() {
    ThreeStores three;
    const Lease lease = three.take(0);
    for (const Balance balance : {Balance::kOrder, Balance::kReuse}) {
      for (int i = 0; i < 5; ++i) {
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), order(three.world.shared, balance));
      }
    }
  }

  void storesThatAreDownComeLast() {
    ThreeStores three;
    three.bring_down(0);
    CPPUNIT_ASSERT_EQUAL(std::string("bca"), order(three.world.shared, Balance::kOrder));
    CPPUNIT_ASSERT_EQUAL(std::string("bca"), order(three.world.shared, Balance::kLeastUsed));
    three.bring_down(2);  // which has most of the weight
    for (int i = 0; i < 50; ++i) {
      CPPUNIT_ASSERT_EQUAL('b', order(three.world.shared, Balance::kWeight).front());
    }
    CPPUNIT_ASSERT_EQUAL(std::string("bac"), order(three.world.shared, Balance::kOrder));
    three.bring_down(1);
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order(three.world.shared, Balance::kOrder));
    CPPUNIT_ASSERT_EQUAL(std::string("b"), order({three.world.shared[1]}, Balance::kOrder));
  }

  // In n draws a chance of p gives n * p, with a standard deviation of sqrt(n * p * (1 - p)). A
  // difference of six of these does not happen.
  void theChanceToBeFirstIsInProportionToTheWeight() {
    constexpr int kDraws = 4000;
    const ThreeStores three;
    std::map<std::string, int> seen;
    for (int i = 0; i < kDraws; ++i) {
      const std::string drawn = order(three.world.shared, Balance::kWeight);
      CPPUNIT_ASSERT_EQUAL(std::size_t{3}, drawn.size());
      ++seen[drawn.substr(0, 1)];
      ++seen[drawn.substr(0, 2)];
    }
    const struct {
      const char* begins;
      double chance;
    } rows[] = {{"a", 1 / 8.0},       {"b", 2 / 8.0},      {"c", 5 / 8.0},      {"ca", 5 / 8.0 / 3},
                {"cb", 10 / 8.0 / 3}, {"ab", 2 / 8.0 / 7}, {"bc", 10 / 8.0 / 6}};
    for (const auto& row : rows) {
      const double sigma = std::sqrt(kDraws * row.chance * (1 - row.chance));
      CPPUNIT_ASSERT_DOUBLES_EQUAL_MESSAGE(row.begins, kDraws * row.chance, seen[row.begins],
                                           6 * sigma);
    }
  }

  void theLeastUsedStoreForItsWeightComesFirst() {
    ThreeStores three;
    const auto order_now = [&] { return order(three.world.shared, Balance::kLeastUsed); };
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order_now());
    std::vector<Lease> leases;
    const auto use_one = [&](std::size_t store, const char* then) {
      leases.push_back(three.take(store));
      CPPUNIT_ASSERT(leases.back());
      CPPUNIT_ASSERT_EQUAL(std::string(then), order_now());
    };
    use_one(0, "bca");      // a 1/1
    use_one(1, "cba");      // b 1/2
    use_one(2, "cba");      // c 1/5
    use_one(2, "cba");      // c 2/5
    use_one(2, "bca");      // c 3/5
    use_one(1, "cab");      // b 2/2, as much as a, which is listed first
    use_one(2, "cab");      // c 4/5
    use_one(2, "abc");      // c 5/5
    leases[0].give_back();  // idle connections are not in use
    leases[1].give_back();
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), order_now());
    leases[2] = Lease();
    leases[3] = Lease();
    leases[4] = Lease();
    CPPUNIT_ASSERT_EQUAL(std::string("acb"), order_now());  // 0, 2/5, 1/2
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StoreOrderTest);
