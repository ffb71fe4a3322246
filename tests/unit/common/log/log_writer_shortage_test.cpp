// A LogWriter whose file is a pipe that takes little, or whose process can start no thread.

#include "common/log/log_writer.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/unit/common/log/log_writer_fixture.h"
#include "tests/unit/common/no_threads.h"

using lmtpq::Descriptor;
using lmtpq::Log;
using lmtpq::LogLevel;
using lmtpq::LogWriter;
using lmtpq::Record;

class LogWriterShortageTest : public lmtpq::LogWriterFixture {
  CPPUNIT_TEST_SUITE(LogWriterShortageTest);
  CPPUNIT_TEST(afterAReopenThatFailsTheHalfLineIsEndedFirst);
  CPPUNIT_TEST(withoutAThreadTheCallerWrites);
  CPPUNIT_TEST(linesOfWhichNoThreadWasStartedAreWrittenByFlush);
  CPPUNIT_TEST(afterALossHalfOfTheRoomMustBecomeFree);
  CPPUNIT_TEST_SUITE_END();

 private:
  // A line of 10 KB in a pipe that takes 4 KB.
  static Record long_line(int number) {
    Record record = numbered(number);
    for (int i = 0; i < 20; ++i) {
      record.add("filling", std::string(500, 'x'));
    }
    return record;
  }
  Descriptor small_pipe() const {
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    Descriptor reader(open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    CPPUNIT_ASSERT_EQUAL(4096, fcntl(reader.number(), F_SETPIPE_SZ, 4096));
    return reader;
  }
  // Up to this many line ends, for which it waits.
  static std::vector<std::string> read_lines(const Descriptor& reader, std::ptrdiff_t wanted) {
    std::string text;
    while (std::count(text.begin(), text.end(), '\n') < wanted) {
      char piece[4096];
      pollfd entry{reader.number(), POLLIN, 0};
      CPPUNIT_ASSERT_EQUAL_MESSAGE("more lines", 1, poll(&entry, 1, 60'000));
      const ssize_t size = read(reader.number(), piece, sizeof piece);
      CPPUNIT_ASSERT(size > 0);
      text.append(piece, static_cast<std::size_t>(size));
    }
    std::vector<std::string> lines;
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      lines.push_back(text.substr(0, end));
      lines.back().erase(0, lines.back().find("event="));
    }
    return lines;
  }

  void afterAReopenThatFailsTheHalfLineIsEndedFirst() {
    const Descriptor reader = small_pipe();
    const auto log = log_to(file_);
    log->info(long_line(1));
    log->info(numbered(2));
    pollfd entry{reader.number(), POLLIN, 0};
    CPPUNIT_ASSERT_EQUAL_MESSAGE("a part", 1, poll(&entry, 1, 60'000));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, mkdir(file_.c_str(), 0700));
    log->reopen();
    log->flush();  // until it was tried: the pipe is full
    const std::vector<std::string> lines = read_lines(reader, 3);
    CPPUNIT_ASSERT_EQUAL(long_line(1).text(), lines[0]);
    CPPUNIT_ASSERT_EQUAL("event=log-file-failed file=" + file_ + " error=\"Is a directory\"",
                         lines[1]);
    CPPUNIT_ASSERT_EQUAL(numbered(2).text(), lines[2]);
  }

  void withoutAThreadTheCallerWrites() {
    const lmtpq::NoThreads none;
    const auto log = log_to(file_);
    log->info(numbered(1));
    log->info(numbered(2));
    CPPUNIT_ASSERT((std::vector<std::string>{"event=x n=1", "event=x n=2"}) == lines_of(file_));
    const std::string old = file_ + ".1";
    CPPUNIT_ASSERT_EQUAL(0, rename(file_.c_str(), old.c_str()));
    log->reopen();
    log->info(numbered(3));
    CPPUNIT_ASSERT((std::vector<std::string>{"event=x n=3"}) == lines_of(file_));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, lines_of(old).size());
  }

  void linesOfWhichNoThreadWasStartedAreWrittenByFlush() {
    const Descriptor reader = small_pipe();
    const auto log = log_to(file_);
    {
      const lmtpq::NoThreads none;
      log->info(long_line(1));  // does not wait
      log->info(numbered(2));
      log->flush();
    }
    log->flush();
    const std::vector<std::string> lines = read_lines(reader, 2);
    CPPUNIT_ASSERT_EQUAL(long_line(1).text(), lines[0]);
    CPPUNIT_ASSERT_EQUAL(numbered(2).text(), lines[1]);
  }

  // Reads this many bytes, for which it waits.
  static void read_away(const Descriptor& reader, std::size_t bytes) {
    while (bytes > 0) {
      char piece[4096];
      pollfd entry{reader.number(), POLLIN, 0};
      CPPUNIT_ASSERT_EQUAL_MESSAGE("more bytes", 1, poll(&entry, 1, 60'000));
      const ssize_t size = read(reader.number(), piece, std::min(bytes, sizeof piece));
      CPPUNIT_ASSERT(size > 0);
      bytes -= static_cast<std::size_t>(size);
    }
  }

  // A warning needs no such room. How much the writer has is known to some KiB.
  void afterALossHalfOfTheRoomMustBecomeFree() {
    constexpr std::size_t kFilled = LogWriter::kRoom - LogWriter::kForWarnings;
    const Descriptor reader = small_pipe();
    const auto log = log_to(file_);
    while (log->dropped() == 0) {
      log->info(Record("x").add("filling", std::string(500, 'x')));
    }
    read_away(reader, kFilled - LogWriter::kRoom / 2 - 256 * 1024);
    log->info(numbered(1));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, log->dropped());
    log->warning(numbered(2));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, log->dropped());
    read_away(reader, 640 * 1024);
    log->info(numbered(3));
    std::string text;
    while (!text.ends_with(numbered(3).text() + '\n')) {
      char piece[4096];
      pollfd entry{reader.number(), POLLIN, 0};
      CPPUNIT_ASSERT_EQUAL_MESSAGE("more bytes", 1, poll(&entry, 1, 60'000));
      const ssize_t size = read(reader.number(), piece, sizeof piece);
      CPPUNIT_ASSERT(size > 0);
      text.append(piece, static_cast<std::size_t>(size));
    }
    const std::size_t recovered =
        text.find("event=log-recovered dropped=2 error=\"lines were not read\"\n");
    CPPUNIT_ASSERT(recovered != std::string::npos);
    CPPUNIT_ASSERT(text.find(numbered(2).text()) < recovered);
    CPPUNIT_ASSERT_EQUAL(
        std::ptrdiff_t{2},
        std::count(text.begin() + static_cast<std::ptrdiff_t>(recovered), text.end(), '\n'));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogWriterShortageTest);
