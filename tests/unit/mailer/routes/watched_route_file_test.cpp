#include "mailer/routes/watched_route_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "common/options/option_reader.h"
#include "tests/unit/common/no_threads.h"
#include "tests/unit/common/process_limits.h"
#include "tests/unit/common/scratch_file.h"
#include "tests/unit/mailer/io/thread_scheduler.h"
#include "tests/unit/mailer/routes/route_texts.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class WatchedRouteFileTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(WatchedRouteFileTest);
  CPPUNIT_TEST(aChangedFileIsLoaded);
  CPPUNIT_TEST(theFileIsCheckedOnceASecond);
  CPPUNIT_TEST(aFileThatIsBeingWrittenIsLoadedLater);
  CPPUNIT_TEST(aFileThatWasYoungAtTheStartIsReadAgain);
  CPPUNIT_TEST(aBrokenFileKeepsThePreviousRoutesAndLogsOneError);
  CPPUNIT_TEST(aMissingFileKeepsThePreviousRoutes);
  CPPUNIT_TEST(aFileThatCouldNotBeOpenedIsTriedAgain);
  CPPUNIT_TEST(aChangedModeIsAChange);
  CPPUNIT_TEST(atTheStartABadFileIsAnError);
  CPPUNIT_TEST(anUnchangedFileIsNotReadForASuccessor);
  CPPUNIT_TEST(threadsFindRoutesWhileTheFileChanges);
  CPPUNIT_TEST(aFileIsYoungForASecond);
  CPPUNIT_TEST(aFileThatChangesWhileItIsReadIsReadAgain);
  CPPUNIT_TEST(afterAnErrorOfOursTheFileIsReadAgain);
  CPPUNIT_TEST(aFibersFileIsReadInAnotherThread);
  CPPUNIT_TEST_SUITE_END();

 public:
  WatchedRouteFileTest() : ScratchFileFixture("routes") {}

 private:
  // Written this many seconds before the wall clock of the World, which stands still.
  void write_old(std::string_view text, int age = 60) {
    write(text);
    timespec times[2]{};
    times[0].tv_sec = kWallTime - age;
    times[1] = times[0];
    CPPUNIT_ASSERT_EQUAL(0, utimensat(AT_FDCWD, file_.c_str(), times, 0));
  }
  void write_now(std::string_view text) { write_old(text, 0); }

  static constexpr long kWallTime = 1'700'000'000;  // seconds since 1970

  std::string log_text() const {
    std::ifstream file(folder_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  int lines_with(std::string_view words) const {
    const std::string text = log_text();
    int count = 0;
    for (std::size_t at = text.find(words); at != text.npos; at = text.find(words, at + 1)) {
      ++count;
    }
    return count;
  }

  struct World {
    World(const std::string& file, const std::string& folder, RouteFile::Check check = {},
          const WatchedRouteFile* previous = nullptr)
        : log("test", folder + "/log", LogLevel::kInfo),
          routes(
              file, log, std::move(check), previous, [this] { return now; },
              [this] { return wall; }) {}
    std::string find(const std::string& address = "u@x") {
      const std::string found = route_text(routes.find(recipient(address)));
      log.flush();
      return found;
    }
    std::string find_later(const std::string& address = "u@x") {
      now += std::chrono::seconds(1);
      return find(address);
    }
    Clock::time_point now = Clock::now();
    WatchedRouteFile::WallClock::time_point wall{std::chrono::seconds(kWallTime)};
    Log log;
    WatchedRouteFile routes;
  };

  void aChangedFileIsLoaded() {
    write_old("u@x a\n");
    World world(file_, folder_);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    write_old("u@x b\nv@x c\n");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("event=routes-loaded file=" + file_ + " routes=2"));
    // The same size and time, but another file.
    const std::string live = file_;
    file_ = folder_ + "/other";
    write_old("u@x d\nv@x c\n");
    std::filesystem::rename(file_, live);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:d"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:d"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(2, lines_with("event=routes-loaded"));
  }

  void theFileIsCheckedOnceASecond() {
    write_old("u@x a\n");
    World world(file_, folder_);
    write_old("u@x b\n", 30);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    world.now += std::chrono::milliseconds(999);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    world.now += std::chrono::milliseconds(1);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find());
  }

  void aFileThatIsBeingWrittenIsLoadedLater() {
    write_old("u@x a\n");
    World world(file_, folder_);
    write_now("u@x b\n");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    write_old("u@x c\n");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("event=routes-loaded"));
  }

  // The file may change twice between two ticks of the file system's clock.
  void aFileThatWasYoungAtTheStartIsReadAgain() {
    write_now("u@x a\n");
    World world(file_, folder_);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    world.now += std::chrono::seconds(1);
    world.wall += std::chrono::seconds(1);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("event=routes-loaded"));
  }

  void aBrokenFileKeepsThePreviousRoutesAndLogsOneError() {
    write_old("u@x a\n");
    World world(file_, folder_);
    for (const char* broken : {"u@x b\nv@x\n", "", "# nothing\n"}) {
      write_old(broken, 50);
      for (int i = 0; i < 5; ++i) {
        CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
      }
    }
    CPPUNIT_ASSERT_EQUAL(1, lines_with("routes:2: no DEST after"));
    CPPUNIT_ASSERT_EQUAL(1, lines_with("no route in it; add one"));
    CPPUNIT_ASSERT_EQUAL(2, lines_with("effect=\"previous routes kept\""));
    CPPUNIT_ASSERT_EQUAL(0, lines_with("event=routes-loaded"));
    write_old("u@x b\nv@x c\n", 40);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), world.find("v@x"));
    CPPUNIT_ASSERT_EQUAL(1, lines_with("event=routes-loaded"));
  }

  void aMissingFileKeepsThePreviousRoutes() {
    write_old("u@x a\n");
    World world(file_, folder_);
    const std::string aside = folder_ + "/aside";
    std::filesystem::rename(file_, aside);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("No such file"));
    std::filesystem::rename(aside, file_);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("event=routes-loaded"));
  }

  void aFileThatCouldNotBeOpenedIsTriedAgain() {
    write_old("bob\tunix:/old\n");
    World world(file_, folder_);
    write_old("bob\tunix:/new\n", 30);
    {
      const DescriptorLimit none(0);
      CPPUNIT_ASSERT_EQUAL(std::string("unix:/old"), world.find_later("bob@x"));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/new"), world.find_later("bob@x"));
  }

  void aChangedModeIsAChange() {
    write_old("u@x a\n");
    World world(file_, folder_);
    write_old("u@x b\n");
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0646));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("the file is writable by others; run chmod o-w"));
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0644));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find_later());
  }

  std::string refusal() {
    try {
      World(file_, folder_);
      return "none";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }

  void atTheStartABadFileIsAnError() {
    CPPUNIT_ASSERT_EQUAL(file_ + ": No such file or directory; create it, or correct the name",
                         refusal());
    write("u@x\n");
    CPPUNIT_ASSERT(refusal().starts_with(file_ + ":1: no DEST after"));
    write("# nothing yet\n");
    CPPUNIT_ASSERT(refusal().starts_with(file_ + ": no route in it"));
    CPPUNIT_ASSERT_EQUAL(0, truncate(file_.c_str(), (64 << 20) + 1));
    CPPUNIT_ASSERT(refusal().starts_with(file_ + ": larger than 64 MiB"));
    std::filesystem::remove(file_);
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    CPPUNIT_ASSERT_EQUAL(file_ + ": not a regular file", refusal());
  }

  void anUnchangedFileIsNotReadForASuccessor() {
    int checks = 0;
    const auto check = [&checks](const Destination&) { ++checks; };
    write_old("u@x a\n");
    World first(file_, folder_, check);
    CPPUNIT_ASSERT_EQUAL(1, checks);
    World second(file_, folder_, check, &first.routes);
    CPPUNIT_ASSERT_EQUAL(1, checks);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), second.find_later());
    // It watches the file itself, and its own successor shares what it has loaded since.
    write_old("u@x b\n", 50);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), second.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), first.find());
    CPPUNIT_ASSERT_EQUAL(2, checks);
    World third(file_, folder_, check, &second.routes);
    CPPUNIT_ASSERT_EQUAL(2, checks);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), third.find());
    World of_first(file_, folder_, check, &first.routes);
    CPPUNIT_ASSERT_EQUAL(3, checks);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), of_first.find());
    // One that is broken now is an error, as at the start.
    write_old("u@x\n", 40);
    CPPUNIT_ASSERT_THROW(World(file_, folder_, check, &third.routes), ConfigError);
    // One that was young when it was loaded may have changed within the same tick of the clock.
    write_now("u@x c\n");
    World young(file_, folder_, check);
    World after(file_, folder_, check, &young.routes);
    CPPUNIT_ASSERT_EQUAL(5, checks);
  }

  void aFileIsYoungForASecond() {
    using std::chrono::nanoseconds;
    const struct {
      long long age;
      const char* route;
    } rows[] = {{999'999'999, "inet:a"},
                {1'000'000'000, "inet:b"},
                {-99'999'999, "inet:a"},
                {-100'000'000, "inet:b"}};
    for (const auto& row : rows) {
      write_old("u@x a\n");
      World world(file_, folder_);
      write("u@x b\n");
      const timespec written[] = {{kWallTime, 700'000'000}, {kWallTime, 700'000'000}};
      CPPUNIT_ASSERT_EQUAL(0, utimensat(AT_FDCWD, file_.c_str(), written, 0));
      world.wall += nanoseconds(700'000'000 + row.age);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::to_string(row.age), std::string(row.route),
                                   world.find_later());
    }
  }

  void aFileThatChangesWhileItIsReadIsReadAgain() {
    write_old("u@x a\n");
    int checks = 0;
    World world(file_, folder_, [&](const Destination&) {
      if (++checks == 2) {
        write_old("u@x c\n", 30);
      }
    });
    write_old("u@x b\n", 50);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(0, lines_with("event=routes"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("event=routes-loaded"));
  }

  void afterAnErrorOfOursTheFileIsReadAgain() {
    write_old("u@x a\n");
    int checks = 0;
    World world(file_, folder_, [&](const Destination&) {
      if (++checks == 2) {
        throw std::runtime_error("no memory for it");
      }
    });
    write_old("u@x b\n", 50);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1,
                         lines_with("event=routes-rejected file=" + file_ +
                                    " error=\"no memory for it\" effect=\"previous routes kept\""));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find_later());
    // A later error of the same text is another one.
    checks = 1;
    write_old("u@x c\n", 40);
    world.find_later();
    CPPUNIT_ASSERT_EQUAL(2, lines_with("no memory for it"));
  }

  // Its disk may be slow, and other fibers have work. Without a thread they wait.
  void aFibersFileIsReadInAnotherThread() {
    std::thread::id reader;
    write_old("u@x a\n");
    World world(file_, folder_, [&](const Destination&) { reader = std::this_thread::get_id(); });
    CPPUNIT_ASSERT(reader == std::this_thread::get_id());
    ThreadScheduler scheduler;
    write_old("u@x b\n", 50);
    // On a loaded machine the old route is used for a while.
    const auto latest = Clock::now() + std::chrono::seconds(60);
    while (world.find_later() != "inet:b" && Clock::now() < latest) {
    }
    CPPUNIT_ASSERT(reader != std::this_thread::get_id());
    const NoThreads no_threads;
    write_old("u@x c\n", 40);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), world.find_later());
    CPPUNIT_ASSERT(reader == std::this_thread::get_id());
  }

  // The clock moves with each look-up, so that each checks the file.
  void threadsFindRoutesWhileTheFileChanges() {
    write_old("u@x a\nv@x a\n");
    std::atomic<long> seconds = 0;
    const Log log("test", "/dev/null", LogLevel::kInfo);
    WatchedRouteFile routes(file_, log, {}, nullptr,
                            [&] { return Clock::time_point(std::chrono::seconds(++seconds)); });
    std::atomic<bool> strange = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 500; ++k) {
          const std::string found = route_text(routes.find(recipient("u@x")));
          strange = strange || (found != "inet:a" && found != "inet:b");
        }
      });
    }
    const std::string live = file_;
    for (int k = 0; k < 50; ++k) {
      file_ = folder_ + "/new";
      write_old(k % 2 == 0 ? "u@x b\n" : "u@x a\n", 60 + k);
      std::filesystem::rename(file_, live);
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CPPUNIT_ASSERT(!strange);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WatchedRouteFileTest);
