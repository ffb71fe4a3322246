// Connections that the store ends, and what the pool writes to the log.

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tests/unit/mailer/store/pool_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Connections over a log that can be read, as the daemon has them: with `events`.
class Logged {
 public:
  explicit Logged(ConnectionPool::Limits limits, DeliveryEvents* events = &nobody)
      : path_("/tmp/lmtpq-pool-test" + std::to_string(getpid())),
        log_("test", path_, LogLevel::kInfo),
        world(limits) {
    world.shared = {std::make_shared<ConnectionPool>(
        std::make_unique<Connector>(world.settings.stores[0], world.settings, world.dialer, log_),
        limits, events, [this] { return world.now.load(); })};
    world.pools = std::make_unique<PoolList>(world.shared, Balance::kReuse);
  }
  ~Logged() { unlink(path_.c_str()); }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;

  // The lines since the last call, without their beginning.
  std::string said() {
    log_.flush();
    std::ifstream file(path_);
    std::string line;
    std::string all;
    for (int number = 0; std::getline(file, line); ++number) {
      if (number >= read_) {
        all += line.substr(line.find("event=") + 6) + "\n";
        ++read_;
      }
    }
    return all;
  }

 private:
  std::string path_;
  Log log_;
  int read_ = 0;
  inline static DeliveryEvents nobody;

 public:
  World world;
};

const std::string kLost = "connection-lost destination=unix:/s relay=unix:/s idle=";
const std::string kClosed = " error=\"the peer closed the connection while it was idle\"\n";

}  // namespace

class ConnectionPoolEndsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ConnectionPoolEndsTest);
  CPPUNIT_TEST(anIdleConnectionThatTheStoreEndedIsLoggedWhenItIsFound);
  CPPUNIT_TEST(theJanitorFindsIt);
  CPPUNIT_TEST(theLastWordsAreInTheLog);
  CPPUNIT_TEST(aPartOfAReplyIsNoTimeout);
  CPPUNIT_TEST(aConnectionThatWeCloseIsNotLogged);
  CPPUNIT_TEST(withAnIdleTimeOfZeroNoConnectionIsKept);
  CPPUNIT_TEST(aStoreIsLoggedOnceWhenItGoesDownAndOnceWhenItIsBack);
  CPPUNIT_TEST(withoutTheDaemonOnlyTheMessagesSayThatAStoreIsDown);
  CPPUNIT_TEST(aDialThatFailsIsCountedByItsStages);
  CPPUNIT_TEST(afterExpireAllNoConnectionIsUsedAgain);
  CPPUNIT_TEST(cutBreaksAConnectionThatIsLookedAt);
  CPPUNIT_TEST(cutEndsADialThatReplacesAConnection);
  CPPUNIT_TEST(traceIsPausedForAnHourAndUntilTheNextConnection);
  CPPUNIT_TEST_SUITE_END();

  static void hang_up(World& world, std::size_t life) {
    world.dialer.lives.at(life)->hangs_up = true;
  }

  void anIdleConnectionThatTheStoreEndedIsLoggedWhenItIsFound() {
    Logged pool({.connections = 2});
    Lease lease = pool.world.take();
    use(lease);
    lease.give_back();
    pool.world.later(milliseconds(12'340));
    hang_up(pool.world, 0);
    CPPUNIT_ASSERT(!pool.world.take().reused());
    CPPUNIT_ASSERT_EQUAL(kLost + "12.3s conn-use=0" + kClosed, pool.said());
  }

  void theJanitorFindsIt() {
    Logged pool({.connections = 3});
    std::vector<Lease> leases;
    for (int i = 0; i < 3; ++i) {
      leases.push_back(pool.world.take());
    }
    for (Lease& lease : leases) {
      lease.give_back();
    }
    pool.world.pool().close_unusable();
    CPPUNIT_ASSERT_EQUAL(std::string(), pool.said());
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, pool.world.pool().open());
    hang_up(pool.world, 1);
    pool.world.later(seconds(300));
    pool.world.pool().close_unusable();
    CPPUNIT_ASSERT_EQUAL(kLost + "300.0s conn-use=0" + kClosed, pool.said());
    CPPUNIT_ASSERT(pool.world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, pool.world.pool().open());
  }

  void theLastWordsAreInTheLog() {
    Logged pool({.connections = 1});
    Lease lease = pool.world.take();
    Upstream* const upstream = &*lease;
    lease.give_back();
    pool.world.dialer.lives.at(0)->last_words = "421 4.4.1 bye\r\n";
    CPPUNIT_ASSERT(!upstream->alive());
    pool.world.pool().close_idle();
    CPPUNIT_ASSERT_EQUAL(
        kLost + "0.0s conn-use=0 error=\"the store closes the connection: 421 4.4.1 bye\"\n",
        pool.said());
  }

  void aPartOfAReplyIsNoTimeout() {
    for (const bool hangs_up : {false, true}) {
      Logged pool({.connections = 1});
      pool.world.take().give_back();
      pool.world.dialer.lives.at(0)->last_words = "421 4.4.1 b";
      pool.world.dialer.lives.at(0)->hangs_up = hangs_up;
      pool.world.pool().close_idle();
      CPPUNIT_ASSERT_EQUAL(
          kLost + "0.0s conn-use=0" +
              (hangs_up ? kClosed
                        : " error=\"the store sent bytes that are no reply while it was idle\"\n"),
          pool.said());
    }
  }

  void aConnectionThatWeCloseIsNotLogged() {
    Logged pool({.connections = 1, .idle = milliseconds(40)});
    pool.world.take().give_back();
    pool.world.later(milliseconds(40));
    pool.world.pool().close_unusable();
    CPPUNIT_ASSERT(pool.world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::string(), pool.said());
  }

  void withAnIdleTimeOfZeroNoConnectionIsKept() {
    World world({.connections = 1, .idle = milliseconds(0)});
    world.take().give_back();
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed);
    CPPUNIT_ASSERT_EQUAL(std::string("QUIT"), world.dialer.lives.at(0)->play.heard.back());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
    // The pools of relay and deliver take it from the settings.
    world.settings.timeouts.idle = milliseconds(0);
    PoolList pools(world.settings, world.dialer, world.log);
    pools[0].take(generous(), world.failure).give_back();
    CPPUNIT_ASSERT(!pools.has_idle() && pools[0].open() == 0);
  }

  void aStoreIsLoggedOnceWhenItGoesDownAndOnceWhenItIsBack() {
    for (const milliseconds backoff : {milliseconds(0), milliseconds(100)}) {
      Logged pool({.connections = 2, .backoff = backoff});
      CPPUNIT_ASSERT(pool.world.take());
      CPPUNIT_ASSERT_EQUAL(std::string(), pool.said());
      pool.world.dialer.refuses = true;
      for (int i = 0; i < 3; ++i) {
        CPPUNIT_ASSERT(!pool.world.take());
        pool.world.later(seconds(20));
      }
      CPPUNIT_ASSERT_EQUAL(
          std::string("store-down destination=unix:/s error=\"unix:/s: Connection refused\"\n"),
          pool.said());
      pool.world.dialer.refuses = false;
      pool.world.later(milliseconds(500));
      CPPUNIT_ASSERT(pool.world.take());
      CPPUNIT_ASSERT(pool.world.take());
      CPPUNIT_ASSERT_EQUAL(std::string("store-up destination=unix:/s down=60.5s\n"), pool.said());
    }
  }

  void withoutTheDaemonOnlyTheMessagesSayThatAStoreIsDown() {
    Logged pool({.connections = 2}, nullptr);
    for (const bool refuses : {true, false}) {
      pool.world.dialer.refuses = refuses;
      CPPUNIT_ASSERT_EQUAL(refuses, !pool.world.take());
      CPPUNIT_ASSERT_EQUAL(std::string(), pool.said());
    }
  }

  void aDialThatFailsIsCountedByItsStages() {
    World world({.connections = 1});
    world.dialer.slowness = milliseconds(30);
    Lease lease = world.take();
    StageTimes opening = lease.opening();
    CPPUNIT_ASSERT(opening[Stage::kConnect] >= milliseconds(30));
    CPPUNIT_ASSERT(opening.total() - opening[Stage::kConnect] < kGenerous);
    lease.give_back();
    CPPUNIT_ASSERT(world.take().opening().total().count() == 0);  // it was idle
    world.dialer.refuses = true;
    CPPUNIT_ASSERT(!world.pool().take(generous(), world.failure, ConnectionPool::Which::kNew));
    CPPUNIT_ASSERT(world.failure.spent[Stage::kConnect] >= milliseconds(30));
  }

  void afterExpireAllNoConnectionIsUsedAgain() {
    World world({.connections = 3});
    Lease leased = world.take();
    world.take().give_back();
    CPPUNIT_ASSERT(!leased.ends());
    world.dialer.when_dialled = [&] { world.pool().expire_all(); };
    Lease dialled = world.pool().take(generous(), world.failure, ConnectionPool::Which::kNew);
    world.dialer.when_dialled = nullptr;
    CPPUNIT_ASSERT(leased.ends() && dialled.ends());
    leased.give_back();
    dialled.give_back();
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->closed && world.dialer.lives.at(2)->closed);
    CPPUNIT_ASSERT_EQUAL(std::string("QUIT"), world.dialer.lives.at(2)->play.heard.back());
    CPPUNIT_ASSERT(!world.dialer.lives.at(1)->closed);
    Lease fresh = world.take();
    CPPUNIT_ASSERT(!fresh.reused() && world.dialer.lives.at(1)->closed);
    CPPUNIT_ASSERT_EQUAL(std::string("QUIT"), world.dialer.lives.at(1)->play.heard.back());
    fresh.give_back();
    CPPUNIT_ASSERT(world.take().reused());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void cutBreaksAConnectionThatIsLookedAt() {
    World world({.connections = 1});
    world.take().give_back();
    world.dialer.lives.at(0)->when_looked_at = [&] { world.pool().cut(); };
    const Lease lease = world.take();
    CPPUNIT_ASSERT(lease && lease.reused());
    CPPUNIT_ASSERT(world.dialer.lives.at(0)->cut);
  }

  void cutEndsADialThatReplacesAConnection() {
    World world({.connections = 1});
    world.take().give_back();
    world.dialer.refuses = true;
    world.dialer.lives.at(0)->when_looked_at = [&] { world.pool().cut(); };
    CPPUNIT_ASSERT(!world.pool().take(generous(), world.failure, ConnectionPool::Which::kNew));
    CPPUNIT_ASSERT(world.dialer.given_up);
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq is stopping"), world.failure.reason);
    CPPUNIT_ASSERT(world.failure.trouble == Trouble::kLost);
    CPPUNIT_ASSERT(world.pool().up());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, world.pool().open());
  }

  void traceIsPausedForAnHourAndUntilTheNextConnection() {  // trap: hangs-up-on-trace
    Logged pool({.connections = 4});
    Lease one = pool.world.take();
    Lease two = pool.world.take();
    CPPUNIT_ASSERT(one.may_trace() && two.may_trace());
    one.pause_trace();
    two.pause_trace();
    CPPUNIT_ASSERT(!one.may_trace() && !two.may_trace());
    const std::string said = pool.said();
    CPPUNIT_ASSERT_MESSAGE(said, said.starts_with("trace-paused destination=unix:/s relay="));
    CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1}, std::count(said.begin(), said.end(), '\n'));
    pool.world.later(hours(1) - milliseconds(1));
    const Lease within = pool.world.take();
    CPPUNIT_ASSERT(!within.may_trace());
    pool.world.later(milliseconds(1));
    CPPUNIT_ASSERT(!two.may_trace() && !within.may_trace());
    CPPUNIT_ASSERT(pool.world.take().may_trace());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConnectionPoolEndsTest);
