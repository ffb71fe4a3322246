#include "mailer/routes/directory_pool.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>

#include "tests/unit/mailer/routes/scripted_directory.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Directory::Answer::Kind;

namespace {

struct World {
  explicit World(DirectoryPool::Limits limits = {})
      : pool(directory.opener(), log, limits, [this] { return now.load(); }) {}
  std::string ask() {
    const Directory::Answer answer = pool.search("f");
    const char* kinds[] = {"found", "refused", "closed", "lost"};
    return std::string(kinds[static_cast<int>(answer.kind)]) +
           (answer.words.empty() ? "" : ": " + answer.words);
  }
  void later(milliseconds span) { now = now.load() + span; }

  std::atomic<Clock::time_point> now = Clock::now();
  Log log{"test", "/dev/null", LogLevel::kInfo};
  ScriptedDirectory directory;
  DirectoryPool pool;
};

}  // namespace

class DirectoryPoolTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DirectoryPoolTest);
  CPPUNIT_TEST(aConnectionIsKept);
  CPPUNIT_TEST(oneThatIdledLongIsNotTrusted);
  CPPUNIT_TEST(aKeptOneThatIsClosedIsReplacedAtOnce);
  CPPUNIT_TEST(aNewOneThatIsClosedIsAFailure);
  CPPUNIT_TEST(aRefusedQuestionSaysNothingAboutTheDirectory);
  CPPUNIT_TEST(aDeadDirectoryIsLeftToRestLongerEachTime);
  CPPUNIT_TEST(whoAsksWhileItRestsHearsAtOnce);
  CPPUNIT_TEST(oneThreadTriesItAgain);
  CPPUNIT_TEST(whoFailsTogetherMakesOneFailure);
  CPPUNIT_TEST(noMoreAreConnectedThanTheLimit);
  CPPUNIT_TEST(whoWaitsTooLongForAConnectionIsTold);
  CPPUNIT_TEST(whoWaitsHearsOfAFailureAtOnce);
  CPPUNIT_TEST(whatThrowsLosesItsConnectionOnly);
  CPPUNIT_TEST_SUITE_END();

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

  void oneThatIdledLongIsNotTrusted() {
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

  // However many were idle: the first who meets a closed one drops them all.
  void aKeptOneThatIsClosedIsReplacedAtOnce() {
    World world;
    world.directory.slowness = milliseconds(30);
    in_threads(4, [&] { world.ask(); });
    CPPUNIT_ASSERT_EQUAL(4, world.directory.connected.load());
    world.directory.restart();
    world.directory.searches = 0;
    same("found", world.ask());
    CPPUNIT_ASSERT_EQUAL(2, world.directory.searches.load());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.connected.load());
    // And their places are free again.
    in_threads(4, [&] { same("found", world.ask()); });
    CPPUNIT_ASSERT_EQUAL(4, world.directory.most_connected.load());
  }

  void aNewOneThatIsClosedIsAFailure() {
    World world;
    world.directory.kind = Kind::kClosed;
    same("lost: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
    same("lost: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
  }

  void aRefusedQuestionSaysNothingAboutTheDirectory() {
    World world;
    world.directory.kind = Kind::kRefused;
    same("refused: said no", world.ask());
    same("refused: said no", world.ask());
    CPPUNIT_ASSERT_EQUAL(2, world.directory.searches.load());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.opens.load());
  }

  void aDeadDirectoryIsLeftToRestLongerEachTime() {
    World world({.rest = seconds(1), .most_rest = seconds(5)});
    world.directory.refuses_connections = true;
    int opens = 0;
    for (const int rest : {1, 2, 4, 5, 5}) {
      same("lost: refused", world.ask());
      CPPUNIT_ASSERT_EQUAL(++opens, world.directory.opens.load());
      world.later(seconds(rest) - milliseconds(1));
      same("lost: refused", world.ask());
      CPPUNIT_ASSERT_EQUAL(opens, world.directory.opens.load());
      world.later(milliseconds(1));
    }
    world.directory.refuses_connections = false;
    same("found", world.ask());
    // It is well: the next failure begins anew.
    world.directory.kind = Kind::kLost;
    same("lost: said no", world.ask());
    world.directory.kind = Kind::kFound;
    world.later(seconds(1));
    same("found", world.ask());
  }

  void whoAsksWhileItRestsHearsAtOnce() {
    World world;
    world.directory.refuses_connections = true;
    world.ask();
    world.directory.slowness = seconds(10);
    const auto begun = Clock::now();
    in_threads(8, [&] { same("lost: refused", world.ask()); });
    CPPUNIT_ASSERT(Clock::now() - begun < seconds(5));
    CPPUNIT_ASSERT_EQUAL(1, world.directory.opens.load());
  }

  void oneThreadTriesItAgain() {
    World world;
    world.directory.refuses_connections = true;
    world.ask();
    world.later(seconds(2));
    world.directory.slowness = milliseconds(100);
    in_threads(8, [&] { same("lost: refused", world.ask()); });
    CPPUNIT_ASSERT_EQUAL(2, world.directory.opens.load());
  }

  void whoFailsTogetherMakesOneFailure() {
    World world({.connections = 4, .rest = seconds(1)});
    world.directory.kind = Kind::kLost;
    world.directory.slowness = milliseconds(100);
    in_threads(4, [&] { same("lost: said no", world.ask()); });
    world.directory.kind = Kind::kFound;
    world.later(seconds(1));
    same("found", world.ask());
  }

  void noMoreAreConnectedThanTheLimit() {
    World world({.connections = 3});
    world.directory.slowness = milliseconds(2);
    in_threads(12, [&] {
      for (int i = 0; i < 20; ++i) {
        same("found", world.ask());
      }
    });
    CPPUNIT_ASSERT_EQUAL(240, world.directory.searches.load());
    CPPUNIT_ASSERT_EQUAL(3, world.directory.most_connected.load());
  }

  void whoWaitsTooLongForAConnectionIsTold() {
    World world({.connections = 1, .patience = milliseconds(50)});
    world.directory.slowness = milliseconds(400);
    std::thread holder([&] { world.ask(); });
    while (world.directory.searches == 0) {
      std::this_thread::yield();
    }
    same("lost: all connections to the directory are in use", world.ask());
    holder.join();
    same("found", world.ask());
  }

  void whoWaitsHearsOfAFailureAtOnce() {
    World world({.connections = 1, .patience = seconds(20)});
    world.directory.slowness = milliseconds(100);
    world.directory.kind = Kind::kLost;
    const auto begun = Clock::now();
    in_threads(8, [&] { same("lost: said no", world.ask()); });
    CPPUNIT_ASSERT(Clock::now() - begun < seconds(5));
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
  }

  void whatThrowsLosesItsConnectionOnly() {
    World world({.connections = 1});
    world.directory.throws = true;
    same("lost: out of memory", world.ask());
    world.directory.throws = false;
    world.later(seconds(1));
    same("found", world.ask());
    CPPUNIT_ASSERT_EQUAL(1, world.directory.connected.load());
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
