#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "mailer/routes/watched_route_file.h"
#include "tests/unit/common/scratch_file.h"
#include "tests/unit/mailer/routes/route_texts.h"
#include "tests/unit/mailer/serve/fibers/fibers.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

// Look-ups on fibers while a changed route file is read, which takes as long as the test wants.
class RouteFileLoadTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(RouteFileLoadTest);
  CPPUNIT_TEST(noLookUpWaitsUntilALargeFileIsRead);
  CPPUNIT_TEST(aFileMayBeReadAfterTheEndOfItsRoutes);
  CPPUNIT_TEST_SUITE_END();

 public:
  RouteFileLoadTest() : ScratchFileFixture("routes") {}

 private:
  static constexpr long kWallTime = 1'700'000'000;  // seconds since 1970

  void write_old(const std::string& text) {
    write(text);
    timespec times[2]{};
    times[0].tv_sec = times[1].tv_sec = kWallTime - 60;
    CPPUNIT_ASSERT_EQUAL(0, utimensat(AT_FDCWD, file_.c_str(), times, 0));
  }

  // The route to `slow` is read when `go_on`, or at the end of the World.
  struct Reading {
    RouteFile::Check check() {
      return [state = state](const Destination& to) {
        if (to.host == "slow") {
          ++state->begun;
          while (!state->go_on) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }
      };
    }
    struct State {
      std::atomic<int> begun = 0;
      std::atomic<bool> go_on = false;
    };
    const std::shared_ptr<State> state = std::make_shared<State>();
    std::atomic<bool>& go_on = state->go_on;
  };

  struct World {
    World(const std::string& file, const std::string& folder, Reading& slow)
        : reading(slow), log("test", folder + "/log", LogLevel::kInfo) {
      routes.emplace(
          file, log, slow.check(), nullptr, [this] { return now; },
          [] { return WatchedRouteFile::WallClock::time_point(std::chrono::seconds(kWallTime)); });
    }
    ~World() { reading.go_on = true; }
    std::string find() { return route_text(routes->find(recipient("u@x"))); }

    Reading& reading;
    Clock::time_point now = Clock::now();
    Log log;
    std::optional<WatchedRouteFile> routes;
    Reactor reactor;
  };

  int loads(World& world) const {
    world.log.flush();
    std::ifstream file(folder_ + "/log");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    int count = 0;
    for (std::size_t at = 0; (at = text.find("routes-loaded", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  }

  void noLookUpWaitsUntilALargeFileIsRead() {  // trap: large-route-file
    write_old("u@x a\n");
    Reading reading;
    World world(file_, folder_, reading);
    write_old("u@x slow\nv@x b\n");
    world.now += std::chrono::seconds(1);
    Fibers fibers;
    std::atomic<int> previous = 0;
    fibers.start(world.reactor, [&] { previous += world.find() == "inet:a" ? 1 : 0; });
    await([&] { return reading.state->begun == 1; });
    for (int i = 0; i < 10; ++i) {
      world.now += std::chrono::seconds(1);  // each may look at the file
      run(world.reactor, [&] { previous += world.find() == "inet:a" ? 1 : 0; });
    }
    fibers.await_all();  // the one that found the change, too
    CPPUNIT_ASSERT_EQUAL(11, previous.load());
    CPPUNIT_ASSERT_EQUAL(1, reading.state->begun.load());
    CPPUNIT_ASSERT_EQUAL(0, loads(world));
    reading.go_on = true;
    await([&] {
      std::string found;
      run(world.reactor, [&] { found = world.find(); });
      return found == "inet:slow";
    });
    CPPUNIT_ASSERT_EQUAL(1, loads(world));
    CPPUNIT_ASSERT_EQUAL(1, reading.state->begun.load());
  }

  void aFileMayBeReadAfterTheEndOfItsRoutes() {
    write_old("u@x a\n");
    Reading reading;
    World world(file_, folder_, reading);
    write_old("u@x slow\n");
    world.now += std::chrono::seconds(1);
    std::string found;
    run(world.reactor, [&] { found = world.find(); });
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), found);
    run(world.reactor, [&] { world.routes.reset(); });
    reading.go_on = true;
    await([&] { return loads(world) == 1; });
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RouteFileLoadTest);
