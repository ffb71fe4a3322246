#include "mailer/routes/route_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "common/config/config.h"
#include "tests/unit/common/scratch_file.h"
#include "tests/unit/mailer/routes/route_texts.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class RouteFileTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(RouteFileTest);
  CPPUNIT_TEST(aChangedFileIsTaken);
  CPPUNIT_TEST(theFileIsLookedAtOnceASecond);
  CPPUNIT_TEST(aFileThatIsBeingWrittenIsTakenLater);
  CPPUNIT_TEST(aFileThatWasYoungAtTheStartIsReadAgain);
  CPPUNIT_TEST(aBrokenFileLeavesWhatWasThereAndOneErrorLine);
  CPPUNIT_TEST(aFileThatIsAwayLeavesWhatWasThere);
  CPPUNIT_TEST(anotherModeMakesItReadable);
  CPPUNIT_TEST(atTheStartAMistakeIsAnError);
  CPPUNIT_TEST(threadsGoOnWhileItChanges);
  CPPUNIT_TEST_SUITE_END();

 public:
  RouteFileTest() : ScratchFileFixture("routes") {}

 private:
  // As it was written so many seconds ago.
  void write_old(std::string_view text, int age = 60) {
    write(text);
    timespec times[2]{};
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= age;
    times[1] = times[0];
    CPPUNIT_ASSERT_EQUAL(0, utimensat(AT_FDCWD, file_.c_str(), times, 0));
  }

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
    World(const std::string& file, const std::string& folder)
        : log("test", folder + "/log", LogLevel::kInfo),
          routes(file, log, [this] { return now; }) {}
    std::string find(const std::string& address = "u@x") {
      return words_of(routes.find(recipient(address)));
    }
    std::string find_later(const std::string& address = "u@x") {
      now += std::chrono::seconds(1);
      return find(address);
    }
    Clock::time_point now = Clock::now();
    Log log;
    RouteFile routes;
  };

  void aChangedFileIsTaken() {
    write_old("u@x a\n");
    World world(file_, folder_);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    write_old("u@x b\nv@x c\n");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("taken=2"));
    // The same size and time, but another file.
    const std::string live = file_;
    file_ = folder_ + "/other";
    write_old("u@x d\nv@x c\n");
    std::filesystem::rename(file_, live);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:d"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:d"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(2, lines_with("taken="));
  }

  void theFileIsLookedAtOnceASecond() {
    write_old("u@x a\n");
    World world(file_, folder_);
    write_old("u@x b\n", 30);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    world.now += std::chrono::milliseconds(999);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    world.now += std::chrono::milliseconds(1);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find());
  }

  void aFileThatIsBeingWrittenIsTakenLater() {
    write_old("u@x a\n");
    World world(file_, folder_);
    write("u@x b\n");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    write_old("u@x c\n");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("taken="));
  }

  // It may have changed twice between two ticks of the file system's clock.
  void aFileThatWasYoungAtTheStartIsReadAgain() {
    write("u@x a\n");
    World world(file_, folder_);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    world.now += std::chrono::seconds(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("taken="));
  }

  void aBrokenFileLeavesWhatWasThereAndOneErrorLine() {
    write_old("u@x a\n");
    World world(file_, folder_);
    for (const char* broken : {"u@x b\nv@x\n", "", "# nothing\n"}) {
      write_old(broken, 50);
      for (int i = 0; i < 5; ++i) {
        CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
      }
    }
    CPPUNIT_ASSERT_EQUAL(1, lines_with("routes:2: no DEST behind"));
    CPPUNIT_ASSERT_EQUAL(1, lines_with("no route in it; write one"));
    CPPUNIT_ASSERT_EQUAL(2, lines_with("kept=\"the routes of before\""));
    CPPUNIT_ASSERT_EQUAL(0, lines_with("taken="));
    write_old("u@x b\nv@x c\n", 40);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), world.find("v@x"));
    CPPUNIT_ASSERT_EQUAL(1, lines_with("taken="));
  }

  void aFileThatIsAwayLeavesWhatWasThere() {
    write_old("u@x a\n");
    World world(file_, folder_);
    const std::string aside = folder_ + "/aside";
    std::filesystem::rename(file_, aside);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("No such file"));
    std::filesystem::rename(aside, file_);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("taken="));
  }

  void anotherModeMakesItReadable() {
    write_old("u@x a\n");
    World world(file_, folder_);
    write_old("u@x b\n");
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0646));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a"), world.find_later());
    CPPUNIT_ASSERT_EQUAL(1, lines_with("others may write the routes; chmod o-w"));
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

  void atTheStartAMistakeIsAnError() {
    CPPUNIT_ASSERT_EQUAL(file_ + ": No such file or directory", refusal());
    write("u@x\n");
    CPPUNIT_ASSERT(refusal().starts_with(file_ + ":1: no DEST behind"));
    write("# nothing yet\n");
    CPPUNIT_ASSERT(refusal().starts_with(file_ + ": no route in it"));
    CPPUNIT_ASSERT_EQUAL(0, truncate(file_.c_str(), (64 << 20) + 1));
    CPPUNIT_ASSERT(refusal().starts_with(file_ + ": larger than 64 MiB"));
    std::filesystem::remove(file_);
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    CPPUNIT_ASSERT_EQUAL(file_ + ": not a regular file", refusal());
  }

  // With a clock of their own that runs, so that every look-up looks at the file.
  void threadsGoOnWhileItChanges() {
    write_old("u@x a\nv@x a\n");
    std::atomic<long> seconds = 0;
    const Log log("test", "/dev/null", LogLevel::kInfo);
    RouteFile routes(file_, log,
                     [&] { return Clock::time_point(std::chrono::seconds(++seconds)); });
    std::atomic<bool> strange = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 500; ++k) {
          const std::string found = words_of(routes.find(recipient("u@x")));
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

CPPUNIT_TEST_SUITE_REGISTRATION(RouteFileTest);
