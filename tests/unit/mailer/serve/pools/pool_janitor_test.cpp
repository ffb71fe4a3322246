#include "mailer/serve/pools/pool_janitor.h"

#include "mailer/io/channel.h"
#include "tests/unit/mailer/serve/configuration/daemon_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class PoolJanitorTest : public DaemonFixture {
  CPPUNIT_TEST_SUITE(PoolJanitorTest);
  CPPUNIT_TEST(itEndsAtOnce);
  CPPUNIT_TEST(itDropsPoolsThatNobodyHolds);
  CPPUNIT_TEST_SUITE_END();

  std::shared_ptr<ConnectionPool> pool() {
    DaemonSettings made = settings("destination = unix:/s\n[listener.a]\naddress = unix:/l\n");
    Settings& of_listener = made.listeners.at(0).settings;
    return registry_.pool(std::move(of_listener.stores.at(0)), of_listener);
  }

  // Sixty of them that waited for their next look would take a minute.
  void itEndsAtOnce() {
    const auto begin = Clock::now();
    for (int i = 0; i < 60; ++i) {
      const PoolJanitor janitor(registry_);
    }
    CPPUNIT_ASSERT(Clock::now() - begin < std::chrono::seconds(40));
  }

  void itDropsPoolsThatNobodyHolds() {
    pool();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, registry_.all().size());
    const PoolJanitor janitor(registry_);
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (!registry_.all().empty() && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CPPUNIT_ASSERT(registry_.all().empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PoolJanitorTest);
