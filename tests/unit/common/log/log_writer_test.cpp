#include "common/log/log_writer.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "tests/unit/common/log/log_writer_fixture.h"

using lmtpq::Descriptor;
using lmtpq::Log;
using lmtpq::LogLevel;
using lmtpq::LogLimit;
using lmtpq::LogWriter;
using lmtpq::Outsider;
using lmtpq::Record;

namespace {

// A syslogd that reads when it is asked to.
class Syslogd {
 public:
  explicit Syslogd(const std::string& path)
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(path.c_str());
    CPPUNIT_ASSERT_EQUAL(
        0, bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  }
  // The next line, for which it waits.
  std::string read() const {
    char line[8192];
    pollfd entry{socket_.number(), POLLIN, 0};
    CPPUNIT_ASSERT_EQUAL_MESSAGE("a line", 1, poll(&entry, 1, 60'000));
    const ssize_t size = recv(socket_.number(), line, sizeof line, 0);
    return {line, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }
  // Without priority and time.
  std::string read_text() const {
    const std::string line = read();
    return line.substr(line.find('>') + 1 + sizeof "Nov  1 09:20:00");
  }
  bool empty() const {
    pollfd entry{socket_.number(), POLLIN, 0};
    return poll(&entry, 1, 0) == 0;
  }

 private:
  Descriptor socket_;
};

}  // namespace

class LogWriterTest : public lmtpq::LogWriterFixture {
  CPPUNIT_TEST_SUITE(LogWriterTest);
  CPPUNIT_TEST(syslogGetsPriorityTimeNameAndProcess);
  CPPUNIT_TEST(aSyslogdThatDoesNotReadGetsAllLinesInOrderLater);
  CPPUNIT_TEST(aSyslogdThatNeverReadsDelaysTheEndForASecond);
  CPPUNIT_TEST(aSyslogdThatWasStartedAgainIsConnectedToAgain);
  CPPUNIT_TEST(linesWaitForASyslogdThatIsNotThere);
  CPPUNIT_TEST(withoutASyslogdTheEndDoesNotWait);
  CPPUNIT_TEST(fileThatCannotBeOpenedFallsBackToSyslog);
  CPPUNIT_TEST(aPipeWithoutAReaderFallsBackToSyslog);
  CPPUNIT_TEST(linesThatFindNoRoomAreCountedInTheirPlace);
  CPPUNIT_TEST(aFullDiskDoesNotDelayTheEnd);
  CPPUNIT_TEST(reopenedFileGetsTheNextLines);
  CPPUNIT_TEST(fileThatCannotBeReopenedStaysInUse);
  CPPUNIT_TEST(aLineThatIsHalfInTheOldFileIsWholeInTheNewOne);
  CPPUNIT_TEST(anOutsiderHasOneLineAndACount);
  CPPUNIT_TEST_SUITE_END();

 private:
  static std::string us() { return "lmtpq[" + std::to_string(getpid()) + "]: "; }

  void syslogGetsPriorityTimeNameAndProcess() {
    const Syslogd syslogd(socket_);
    const auto log = log_to("syslog");
    log->error(Record("x").add("n", 1));
    log->warning(Record("x").add("n", 2));
    log->info(Record("x").add("rate", "100%n"));
    log->debug(Record("x").add("n", 4));
    const std::string error = syslogd.read();
    const std::string form = "<19>Aaa d0 00:00:00 ";
    for (std::size_t i = 0; i < form.size(); ++i) {
      const char c = error[i];
      const bool fits = form[i] == '0'   ? c >= '0' && c <= '9'
                        : form[i] == 'A' ? c >= 'A' && c <= 'Z'
                        : form[i] == 'a' ? c >= 'a' && c <= 'z'
                        : form[i] == 'd' ? c == ' ' || (c >= '1' && c <= '3')
                                         : c == form[i];
      CPPUNIT_ASSERT_MESSAGE(error, fits);
    }
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=1", error.substr(form.size()));
    CPPUNIT_ASSERT(syslogd.read().starts_with("<20>"));
    CPPUNIT_ASSERT_EQUAL(us() + "event=x rate=100%n", syslogd.read_text());
    CPPUNIT_ASSERT(syslogd.read().starts_with("<23>"));
  }

  void aSyslogdThatDoesNotReadGetsAllLinesInOrderLater() {
    constexpr int kLines = 2000;  // more than a socket's queue has
    const Syslogd syslogd(socket_);
    const auto log = log_to("syslog");
    for (int i = 0; i < kLines; ++i) {
      log->info(numbered(i));
    }
    for (int i = 0; i < kLines; ++i) {
      CPPUNIT_ASSERT_EQUAL(us() + numbered(i).text(), syslogd.read_text());
    }
    log->flush();
    CPPUNIT_ASSERT_MESSAGE("nothing was lost, so nothing is said", syslogd.empty());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, log->dropped());
  }

  void aSyslogdThatNeverReadsDelaysTheEndForASecond() {
    const Syslogd syslogd(socket_);
    auto log = log_to("syslog");
    for (int i = 0; i < 2000; ++i) {
      log->info(numbered(i));
    }
    const auto began = LogLimit::Clock::now();
    log.reset();
    const auto took = LogLimit::Clock::now() - began;
    CPPUNIT_ASSERT(took >= LogWriter::kPatience * 0.9 && took < LogWriter::kPatience * 10);
  }

  void aSyslogdThatWasStartedAgainIsConnectedToAgain() {
    std::optional<Syslogd> syslogd(socket_);
    const auto log = log_to("syslog");
    log->info(numbered(1));
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=1", syslogd->read_text());
    syslogd.emplace(socket_);
    log->info(numbered(2));
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=2", syslogd->read_text());
  }

  void linesWaitForASyslogdThatIsNotThere() {
    const auto log = log_to("syslog");
    log->info(numbered(1));
    log->info(numbered(2));
    const Syslogd syslogd(socket_);
    for (const std::string wanted :
         {"event=x n=1", "event=x n=2",
          "event=log-recovered dropped=0 error=\"No such file or directory\""}) {
      CPPUNIT_ASSERT_EQUAL(us() + wanted, syslogd.read_text());
    }
  }

  void withoutASyslogdTheEndDoesNotWait() {
    const auto began = LogLimit::Clock::now();
    for (int i = 0; i < 20; ++i) {
      log_to("syslog")->info(numbered(i));
    }
    CPPUNIT_ASSERT(LogLimit::Clock::now() - began < LogWriter::kPatience * 10);
  }

  void fileThatCannotBeOpenedFallsBackToSyslog() {
    const Syslogd syslogd(socket_);
    const std::string path = folder_ + "/none/log";
    const auto log = log_to(path);
    log->error(numbered(1));
    CPPUNIT_ASSERT_EQUAL(
        us() + "event=log-file-failed file=" + path + " error=\"No such file or directory\"",
        syslogd.read_text());
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=1", syslogd.read_text());
  }

  void aPipeWithoutAReaderFallsBackToSyslog() {
    const Syslogd syslogd(socket_);
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    log_to(file_)->info(numbered(1));
    CPPUNIT_ASSERT(syslogd.read_text().starts_with(us() + "event=log-file-failed "));
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=1", syslogd.read_text());
  }

  // A pipe whose reader does not read, until more lines came than the writer keeps. There is room
  // for warnings.
  void linesThatFindNoRoomAreCountedInTheirPlace() {
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    const Descriptor reader(open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const auto log = log_to(file_);
    const std::string filling(500, 'x');
    int written = 0;
    while (log->dropped() < 1000) {
      log->info(numbered(written++).add("filling", filling));
    }
    constexpr int kWarnings = LogWriter::kForWarnings / 1000;
    for (int i = 0; i < kWarnings; ++i) {
      log->warning(Record("warned").add("n", i).add("filling", filling));
    }
    std::string text;
    char piece[65536];
    while (text.find("event=log-recovered") == std::string::npos || text.back() != '\n') {
      pollfd entry{reader.number(), POLLIN, 0};
      CPPUNIT_ASSERT_EQUAL_MESSAGE("more lines", 1, poll(&entry, 1, 60'000));
      const ssize_t size = read(reader.number(), piece, sizeof piece);
      CPPUNIT_ASSERT(size > 0);
      text.append(piece, static_cast<std::size_t>(size));
    }
    const auto dropped = static_cast<int>(log->dropped());
    int next = 0;
    int warned = 0;
    std::string_view left = text;
    while (!left.empty()) {
      const std::string_view line = left.substr(0, left.find('\n'));
      left.remove_prefix(line.size() + 1);
      const std::string_view record = line.substr(line.find("event="));
      if (left.empty()) {
        CPPUNIT_ASSERT_EQUAL(Record("log-recovered")
                                 .add("dropped", dropped)
                                 .add("error", "lines were not read")
                                 .text(),
                             std::string(record));
      } else if (record.starts_with("event=warned")) {
        CPPUNIT_ASSERT_EQUAL(Record("warned").add("n", warned++).add("filling", filling).text(),
                             std::string(record));
      } else {
        CPPUNIT_ASSERT_EQUAL(numbered(next++).add("filling", filling).text(), std::string(record));
      }
    }
    CPPUNIT_ASSERT_EQUAL(kWarnings, warned);
    CPPUNIT_ASSERT_EQUAL(written, next + dropped);
    CPPUNIT_ASSERT(text.size() > LogWriter::kRoom - LogWriter::kForWarnings);
  }

  void aFullDiskDoesNotDelayTheEnd() {
    const Syslogd syslogd(socket_);
    const auto began = LogLimit::Clock::now();
    for (int i = 0; i < 20; ++i) {
      log_to("/dev/full")->info(numbered(i));
    }
    CPPUNIT_ASSERT(LogLimit::Clock::now() - began < LogWriter::kPatience * 10);
    CPPUNIT_ASSERT(syslogd.empty());
  }

  void reopenedFileGetsTheNextLines() {
    const auto log = log_to(file_);
    log->info(numbered(1));
    log->flush();
    const std::string old = file_ + ".1";
    CPPUNIT_ASSERT_EQUAL(0, rename(file_.c_str(), old.c_str()));
    log->info(numbered(2));
    log->flush();
    log->reopen();
    log->info(numbered(3));
    log->flush();
    CPPUNIT_ASSERT((std::vector<std::string>{"event=x n=1", "event=x n=2"}) == lines_of(old));
    CPPUNIT_ASSERT((std::vector<std::string>{"event=x n=3"}) == lines_of(file_));
  }

  void fileThatCannotBeReopenedStaysInUse() {
    const auto log = log_to(file_);
    log->info(numbered(1));
    log->flush();
    const std::string old = file_ + ".1";
    CPPUNIT_ASSERT_EQUAL(0, rename(file_.c_str(), old.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, mkdir(file_.c_str(), 0700));
    log->reopen();
    log->info(numbered(2));
    log->flush();
    const auto lines = lines_of(old);
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, lines.size());
    CPPUNIT_ASSERT(lines[1].starts_with("event=log-file-failed "));
    CPPUNIT_ASSERT_EQUAL(std::string("event=x n=2"), lines[2]);
    rmdir(file_.c_str());
  }

  // The old file is a pipe that takes a part of the first line.
  void aLineThatIsHalfInTheOldFileIsWholeInTheNewOne() {
    constexpr int kLines = 5;
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    const Descriptor reader(open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    CPPUNIT_ASSERT_EQUAL(4096, fcntl(reader.number(), F_SETPIPE_SZ, 4096));
    const auto log = log_to(file_);
    const auto line = [](int number) {
      Record record = numbered(number);
      for (int i = 0; i < 20; ++i) {
        record.add("filling", std::string(500, 'x'));
      }
      return record;
    };
    for (int i = 0; i < kLines; ++i) {
      log->info(line(i));
    }
    pollfd entry{reader.number(), POLLIN, 0};
    CPPUNIT_ASSERT_EQUAL_MESSAGE("a part", 1, poll(&entry, 1, 60'000));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    log->reopen();
    log->flush();
    char taken[8192];
    CPPUNIT_ASSERT_EQUAL(ssize_t{4096}, read(reader.number(), taken, sizeof taken));
    const auto lines = lines_of(file_);
    CPPUNIT_ASSERT_EQUAL(std::size_t{kLines}, lines.size());
    for (int i = 0; i < kLines; ++i) {
      CPPUNIT_ASSERT_EQUAL(line(i).text(), lines[static_cast<std::size_t>(i)]);
    }
  }

  void anOutsiderHasOneLineAndACount() {
    auto log = log_to(file_);
    for (int i = 0; i < 1000; ++i) {
      log->warning(Record("refused").add("client", "192.0.2.1"), Outsider{"192.0.2.1"});
      log->info(Record("other"));
    }
    log->warning(Record("refused").add("client", "192.0.2.2"), Outsider{"192.0.2.2"});
    log->error(Record("starved"), Outsider{});
    log->error(Record("starved"), Outsider{});
    log.reset();
    std::vector<std::string> lines;
    for (const std::string& line : lines_of(file_)) {
      if (line != "event=other") {
        lines.push_back(line);
      }
    }
    CPPUNIT_ASSERT((std::vector<std::string>{
                       "event=refused client=192.0.2.1", "event=refused client=192.0.2.2",
                       "event=starved", "event=lines-left-out of=refused by=192.0.2.1 lines=999",
                       "event=lines-left-out of=starved lines=1"}) == lines);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogWriterTest);
