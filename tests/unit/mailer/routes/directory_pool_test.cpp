#include "mailer/routes/directory_pool.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

#include "tests/unit/common/scratch_file.h"
#include "tests/unit/mailer/routes/scripted_directory.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Directory::Result::Kind;

namespace {

struct World {
  explicit World(DirectoryPool::Limits limits = {}, const std::string& log_file = "/dev/null")
      : log("test", log_file, LogLevel::kInfo),
        pool(directory.opener(), log, limits, [this] { return now.load(); }) {}
  std::string ask() { return shown(ask(Filters{"f"}).front()); }
  std::vector<Directory::Result> ask(const Filters& filters) {
    Deadline latest = pool.deadline();
    return pool.search(filters, latest);
  }
  static std::string shown(const Directory::Result& result) {
    const char* kinds[] = {"found", "refused", "closed", "lost", "too long"};
    return std::string(kinds[static_cast<int>(result.kind)]) +
           (result.error.empty() ? "" : ": " + result.error);
  }
  void later(milliseconds span) { now = now.load() + span; }

  std::atomic<Clock::time_point> now = Clock::now();
  Log log;
  ScriptedDirectory directory;
  DirectoryPool pool;
};

}  // namespace

class DirectoryPoolTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(DirectoryPoolTest);
  CPPUNIT_TEST(aConnectionIsKept);
  CPPUNIT_TEST(aConnectionThatWasIdleForLongIsReplaced);
  CPPUNIT_TEST(aClosedIdleConnectionIsReplacedAtOnce);
  CPPUNIT_TEST(aNewConnectionThatIsClosedIsAFailure);
  CPPUNIT_TEST(aRefusedSearchDoesNotMeanThatTheDirectoryIsDown);
  CPPUNIT_TEST(aDirectoryThatIsDownIsNotAskedDuringBackoff);
  CPPUNIT_TEST(duringBackoffLookUpsFailAtOnce);
  CPPUNIT_TEST(oneThreadProbesADirectoryThatIsDown);
  CPPUNIT_TEST(searchesThatFailTogetherCountAsOneFailure);
  CPPUNIT_TEST(theNumberOfConnectionsIsLimited);
  CPPUNIT_TEST(aWaitForAConnectionHasALimit);
  CPPUNIT_TEST(aFailureEndsAllWaits);
  CPPUNIT_TEST(anExceptionCostsOneConnectionOnly);
  CPPUNIT_TEST(aDirectoryThatAnswersSomeSearchesIsUp);
  CPPUNIT_TEST(aDirectoryThatSendsTooMuchIsUp);
  CPPUNIT_TEST(onlyANewConnectionHasTheTimeAgain);
  CPPUNIT_TEST(aConnectionThatComesBackEndsAWait);
  CPPUNIT_TEST(aConnectionThatCannotBeOpenedLeavesItsPlace);
  CPPUNIT_TEST(aConnectionThatCannotBeOpenedEndsAllWaits);
  CPPUNIT_TEST(eachChangeOfTheDirectoryIsLoggedOnce);
  CPPUNIT_TEST_SUITE_END();

 public:
  DirectoryPoolTest() : ScratchFileFixture("log") {}

 private:
  void same(const std::string& expected, const std::string& found) {
    CPPUNIT_ASSERT_EQUAL(expected, found);
  }

  void aConnectionIsKept() {
    World world;
    for (int i = 0; i < 5; ++i) {
      same("found", world.ask());
    }
    CPPUNIT_ASSERT_EQUAL(1, world.directory.opens.load());
  }

  void aConnectionThatWasIdleForLongIsReplaced() {
    World world({.idle = seconds(60)});
    world.ask();
    world.later(seconds(60));
    world.ask();
    CPPUNIT_ASSERT_EQUAL(1, world.directory.opens.load());
    world.later(seconds(61));
    world.ask();
    CPPUNIT_ASSERT_EQUAL(2, world.directory.opens.load());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.connected.load());
  }

  // The first look-up that meets a closed connection drops all idle ones.
  void aClosedIdleConnectionIsReplacedAtOnce() {
    World world;
    world.directory.together = 4;
    in_threads(4, [&] { world.ask(); });
    world.directory.together = 0;
    CPPUNIT_ASSERT_EQUAL(4, world.directory.connected.load());
    world.directory.restart();
    world.directory.searches = 0;
    same("found", world.ask());
    CPPUNIT_ASSERT_EQUAL(2, world.directory.searches.load());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.connected.load());
    // The places of the dropped ones are free again.
    in_threads(4, [&] { same("found", world.ask()); });
    CPPUNIT_ASSERT_EQUAL(4, world.directory.most_connected.load());
  }

  void aNewConnectionThatIsClosedIsAFailure() {
    World world;
    world.directory.kind = Kind::kClosed;
    same("lost: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
    same("lost: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
  }

  void aRefusedSearchDoesNotMeanThatTheDirectoryIsDown() {
    World world;
    world.directory.kind = Kind::kRefused;
    same("refused: said no", world.ask());
    same("refused: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(2, world.directory.searches.load());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.opens.load());
  }

  void aDirectoryThatIsDownIsNotAskedDuringBackoff() {
    World world({.backoff = seconds(1), .max_backoff = seconds(5)});
    world.directory.refuses_connections = true;
    int opens = 0;
    for (const int backoff : {1, 2, 4, 5, 5}) {
      same("lost: refused", world.ask());
      CPPUNIT_ASSERT_EQUAL(++opens, world.directory.opens.load());
      world.later(seconds(backoff) - milliseconds(1));
      same("lost: refused", world.ask());
      CPPUNIT_ASSERT_EQUAL(opens, world.directory.opens.load());
      world.later(milliseconds(1));
    }
    world.directory.refuses_connections = false;
    same("found", world.ask());
    // The directory is up: the next failure has the first backoff again.
    world.directory.kind = Kind::kLost;
    same("lost: said no", world.ask());
    world.directory.kind = Kind::kFound;
    world.later(seconds(1));
    same("found", world.ask());
  }

  void duringBackoffLookUpsFailAtOnce() {
    World world({.wait = seconds(600)});
    world.directory.refuses_connections = true;
    world.ask();
    const auto begun = Clock::now();
    in_threads(8, [&] { same("lost: refused", world.ask()); });
    CPPUNIT_ASSERT(Clock::now() - begun < seconds(300));
    CPPUNIT_ASSERT_EQUAL(1, world.directory.opens.load());
  }

  void oneThreadProbesADirectoryThatIsDown() {
    World world;
    world.directory.refuses_connections = true;
    world.ask();
    world.later(seconds(2));
    world.directory.opens_hang = true;
    std::thread probes([&] { world.ask(); });
    while (world.directory.opens < 2) {
      std::this_thread::yield();
    }
    in_threads(8, [&] { same("lost: refused", world.ask()); });
    world.directory.opens_hang = false;
    probes.join();
    CPPUNIT_ASSERT_EQUAL(2, world.directory.opens.load());
  }

  void searchesThatFailTogetherCountAsOneFailure() {
    World world({.connections = 4, .backoff = seconds(1)});
    world.directory.kind = Kind::kLost;
    world.directory.together = 4;
    in_threads(4, [&] { same("lost: said no", world.ask()); });
    world.directory.kind = Kind::kFound;
    world.later(seconds(1));
    same("found", world.ask());
  }

  void theNumberOfConnectionsIsLimited() {
    World world({.connections = 3});
    world.directory.together = 3;
    in_threads(12, [&] {
      for (int i = 0; i < 20; ++i) {
        same("found", world.ask());
      }
    });
    CPPUNIT_ASSERT_EQUAL(240, world.directory.searches.load());
    CPPUNIT_ASSERT_EQUAL(3, world.directory.most_connected.load());
  }

  void aWaitForAConnectionHasALimit() {
    World world({.connections = 1, .wait = milliseconds(50)});
    world.directory.searches_hang = true;
    std::thread holder([&] { world.ask(); });
    while (world.directory.searches == 0) {
      std::this_thread::yield();
    }
    same("lost: all connections to the directory are in use", world.ask());
    world.directory.searches_hang = false;
    holder.join();
    same("found", world.ask());
  }

  void aFailureEndsAllWaits() {
    World world({.connections = 1, .wait = seconds(600)});
    world.directory.searches_hang = true;
    world.directory.kind = Kind::kLost;
    const auto begun = Clock::now();
    std::thread first([&] { world.ask(); });
    while (world.directory.searches == 0) {
      std::this_thread::yield();
    }
    std::thread release([&] {
      std::this_thread::sleep_for(milliseconds(50));  // so that others wait
      world.directory.searches_hang = false;
    });
    in_threads(8, [&] { same("lost: said no", world.ask()); });
    release.join();
    first.join();
    CPPUNIT_ASSERT(Clock::now() - begun < seconds(300));
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
  }

  void anExceptionCostsOneConnectionOnly() {
    World world({.connections = 1});
    world.directory.throws = true;
    same("lost: out of memory", world.ask());
    world.directory.throws = false;
    world.later(seconds(1));
    same("found", world.ask());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.connected.load());
  }

  // It is slow. Its connection is not used again: the other answers may still come.
  void aDirectoryThatAnswersSomeSearchesIsUp() {
    World world;
    world.directory.answers_in_time = 2;
    std::string kinds;
    for (const Directory::Result& result : world.ask(Filters{"a", "b", "c"})) {
      kinds += World::shown(result) + "; ";
    }
    same("found; found; lost: too late; ", kinds);
    CPPUNIT_ASSERT_EQUAL(0, world.directory.connected.load());
    same("found", world.ask());
    CPPUNIT_ASSERT_EQUAL(2, world.directory.opens.load());
  }

  // Perhaps in one entry only.
  void aDirectoryThatSendsTooMuchIsUp() {
    World world;
    world.directory.kind = Kind::kTooLong;
    same("too long: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(0, world.directory.connected.load());
    world.directory.kind = Kind::kFound;
    same("found", world.ask());
    CPPUNIT_ASSERT_EQUAL(2, world.directory.opens.load());
  }

  void onlyANewConnectionHasTheTimeAgain() {
    World world({.wait = seconds(600)});
    const Deadline asked = Clock::now() + seconds(60);
    Deadline latest = asked;
    world.pool.search({"f"}, latest);
    CPPUNIT_ASSERT(latest > asked + seconds(500));
    latest = asked;
    world.pool.search({"f"}, latest);
    CPPUNIT_ASSERT(latest == asked);
    world.directory.restart();
    const Deadline later = Clock::now() + seconds(6000);
    latest = later;
    world.pool.search({"f"}, latest);
    CPPUNIT_ASSERT(latest == later);
  }

  void aConnectionThatComesBackEndsAWait() {
    World world({.connections = 1, .wait = seconds(50)});
    world.directory.searches_hang = true;
    std::thread first([&] { world.ask(); });
    while (world.directory.searches == 0) {
      std::this_thread::yield();
    }
    std::thread release([&] {
      std::this_thread::sleep_for(milliseconds(20));  // so that another waits
      world.directory.searches_hang = false;
    });
    in_threads(1, [&] { same("found", world.ask()); });
    release.join();
    first.join();
  }

  void aConnectionThatCannotBeOpenedLeavesItsPlace() {
    Clock::time_point now = Clock::now();
    const Log log("test", "/dev/null", LogLevel::kInfo);
    DirectoryPool pool(
        [](std::string&) -> std::unique_ptr<Directory> {
          throw std::runtime_error("out of descriptors");
        },
        log, {.connections = 1, .wait = milliseconds(1)}, [&] { return now; });
    for (int i = 0; i < 3; ++i) {
      Deadline latest = pool.deadline();
      same("lost: out of descriptors", World::shown(pool.search({"f"}, latest).front()));
      now += seconds(60);
    }
  }

  void aConnectionThatCannotBeOpenedEndsAllWaits() {
    World world({.connections = 1, .wait = seconds(50)});
    world.directory.opens_hang = true;
    world.directory.refuses_connections = true;
    std::thread first([&] { world.ask(); });
    while (world.directory.opens == 0) {
      std::this_thread::yield();
    }
    std::thread release([&] {
      std::this_thread::sleep_for(milliseconds(20));  // so that others wait
      world.directory.opens_hang = false;
    });
    in_threads(4, [&] { same("lost: refused", world.ask()); });
    release.join();
    first.join();
  }

  void eachChangeOfTheDirectoryIsLoggedOnce() {
    World world({.backoff = seconds(1), .max_backoff = seconds(1)}, file_);
    same("found", world.ask());
    world.directory.restart();
    world.directory.refuses_connections = true;
    for (int i = 0; i < 3; ++i) {
      world.ask();
      world.later(seconds(1));
    }
    world.directory.refuses_connections = false;
    world.ask();
    world.ask();
    world.directory.kind = Kind::kTooLong;
    for (int second = 0; second < 120; ++second) {
      world.ask();
      world.later(seconds(1));
    }
    world.log.flush();
    std::ifstream file(file_);
    std::string events;
    for (std::string line; std::getline(file, line);) {
      events += line.substr(line.find("event=")) + "\n";
    }
    same(
        "event=directory-down error=refused\nevent=directory-up\n"
        "event=directory-too-long search=f error=\"said no\"\n"
        "event=directory-too-long search=f error=\"said no\"\n",
        events);
  }

  template <typename Work>
  static void in_threads(int count, Work work) {
    std::vector<std::thread> threads;
    std::atomic<bool> failed = false;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        try {
          work();
        } catch (const CppUnit::Exception&) {
          failed = true;
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT(!failed);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DirectoryPoolTest);
