#include "mailer/serve/pools/pool_registry.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "common/descriptor.h"
#include "tests/unit/mailer/serve/configuration/daemon_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

// A store that serves one connection and records what it receives.
class OneStore {
 public:
  explicit OneStore(const std::string& path) : socket_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
    CPPUNIT_ASSERT_EQUAL(0, bind(socket_.number(), raw, sizeof address));
    CPPUNIT_ASSERT_EQUAL(0, listen(socket_.number(), 5));
    thread_ = std::thread([this] { serve(); });
  }
  std::string heard() {
    thread_.join();
    return heard_;
  }
  ~OneStore() {
    if (thread_.joinable()) {
      shutdown(socket_.number(), SHUT_RDWR);
      thread_.join();
    }
  }

 private:
  void serve() {
    const Descriptor client(accept(socket_.number(), nullptr, nullptr));
    std::string_view says = "220 store\r\n";
    char buffer[1000];
    for (;;) {
      if (!says.empty() && write(client.number(), says.data(), says.size()) < 0) {
        return;
      }
      const ssize_t count = read(client.number(), buffer, sizeof buffer);
      if (count <= 0) {
        return;
      }
      heard_.append(buffer, static_cast<std::size_t>(count));
      says = heard_.find("QUIT") == heard_.npos ? "250 store\r\n" : "221 bye\r\n";
    }
  }

  Descriptor socket_;
  std::string heard_;
  std::thread thread_;
};

}  // namespace

class PoolRegistryTest : public DaemonFixture {
  CPPUNIT_TEST_SUITE(PoolRegistryTest);
  CPPUNIT_TEST(theSameStoreHasTheSamePool);
  CPPUNIT_TEST(aChangeOfAStoreMakesANewPool);
  CPPUNIT_TEST(aChangedPasswordMakesANewPool);
  CPPUNIT_TEST(limitsAreThoseOfTheStore);
  CPPUNIT_TEST(sweepDropsPoolsThatNobodyHolds);
  CPPUNIT_TEST(sweepSendsQuit);
  CPPUNIT_TEST(poolsAreCutAlsoIfTheyAreMadeLater);
  CPPUNIT_TEST_SUITE_END();

  std::shared_ptr<ConnectionPool> pool(const std::string& text) {
    DaemonSettings made =
        settings("destination = unix:/s\n" + text + "\n[listener.a]\naddress = unix:/l\n");
    Settings& of_listener = made.listeners.at(0).settings;
    return registry_.pool(std::move(of_listener.stores.at(0)), of_listener);
  }

  void theSameStoreHasTheSamePool() {
    const auto first = pool("");
    for (const char* const text :
         {"", "max-clients = 7\nignore-quota = always\nmax-rcpts = 5\nlog-level = error\n",
          "[destination.other]\nrcpt-timeout = 1s\n", "input-timeout = 5s\nmta-timeout = 2h\n",
          "balance = weight\nmailbox-limit = 3\nspool-dir = /tmp\n", "# no change\n"}) {
      CPPUNIT_ASSERT_MESSAGE(text, first == pool(text));
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, registry_.all().size());
    CPPUNIT_ASSERT(registry_.all().front() == first);
  }

  void aChangeOfAStoreMakesANewPool() {
    std::vector<std::shared_ptr<ConnectionPool>> pools = {pool("")};
    for (const char* const text :
         {"rcpt-timeout = 4s\n", "[destination.s]\ndestination = unix:/s\nrcpt-timeout = 5s\n",
          "debug-peer = /s\n", "transcript-dir = /t\n", "idle-timeout = 5s\n", "weight = 3\n",
          "pipelining = no\n", "auth-user = somebody\n", "dial-backoff = 7s\n"}) {
      const auto made = pool(text);
      CPPUNIT_ASSERT_MESSAGE(text, std::find(pools.begin(), pools.end(), made) == pools.end());
      CPPUNIT_ASSERT_MESSAGE(text, pool(text) == made);
      pools.push_back(made);
    }
    CPPUNIT_ASSERT_EQUAL(pools.size(), registry_.all().size());
    CPPUNIT_ASSERT(pool("") == pools[0]);
  }

  void aChangedPasswordMakesANewPool() {
    const std::string text = "auth-password-file = " + passwords();
    write_passwords("unix:/s one:first\n");
    const auto first = pool(text);
    CPPUNIT_ASSERT(pool(text) == first);
    write_passwords("# the same with a remark\nunix:/s one:first\n");
    CPPUNIT_ASSERT(pool(text) == first);
    write_passwords("unix:/s one:second\n");
    const auto second = pool(text);
    CPPUNIT_ASSERT(second != first);
    write_passwords("unix:/s two:second\n");
    const auto third = pool(text);
    CPPUNIT_ASSERT(third != first && third != second);
  }

  void limitsAreThoseOfTheStore() {
    const auto made = pool("[destination.s]\ndestination = unix:/s\nconnections = 7\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{7}, made->figures().limit);
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s"), made->store().destination.text);
  }

  void sweepDropsPoolsThatNobodyHolds() {
    const auto held = pool("");
    auto dropped = pool("weight = 2");
    registry_.sweep();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, registry_.all().size());
    dropped.reset();
    registry_.sweep();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, registry_.all().size());
    CPPUNIT_ASSERT(registry_.all().front() == held);
    CPPUNIT_ASSERT(pool("") == held);
  }

  // To a OneStore.
  std::shared_ptr<ConnectionPool> pool_of_store(const std::string& more = "") {
    DaemonSettings made = settings("destination = unix:" + folder_ + "/store\nquit-timeout = 1s\n" +
                                   more + "[listener.a]\naddress = unix:/l\n");
    Settings& of_listener = made.listeners.at(0).settings;
    return registry_.pool(std::move(of_listener.stores.at(0)), of_listener);
  }

  void sweepSendsQuit() {
    OneStore store(folder_ + "/store");
    auto pool = pool_of_store();
    ConnectionPool::Failure failure;
    Lease lease = pool->take(Clock::now() + milliseconds(5000), failure);
    CPPUNIT_ASSERT_MESSAGE(failure.reason, static_cast<bool>(lease));
    lease.give_back();
    CPPUNIT_ASSERT(pool->has_idle());
    pool.reset();
    registry_.sweep();
    CPPUNIT_ASSERT(registry_.all().empty());
    const std::string heard = store.heard();
    CPPUNIT_ASSERT_MESSAGE(heard, heard.starts_with("LHLO ") && heard.ends_with("\r\nQUIT\r\n"));
  }

  void poolsAreCutAlsoIfTheyAreMadeLater() {
    OneStore store(folder_ + "/store");
    const auto early = pool_of_store();
    registry_.cut();
    for (const auto& pool : {early, pool_of_store("weight = 2\n")}) {
      ConnectionPool::Failure failure;
      CPPUNIT_ASSERT(!pool->take(Clock::now() + milliseconds(60'000), failure));
      CPPUNIT_ASSERT(!failure.reason.empty());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PoolRegistryTest);
