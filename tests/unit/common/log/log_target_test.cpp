#include "common/log/log_target.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/unit/common/scratch_file.h"

using lmtpq::Descriptor;
using lmtpq::LogLevel;
using lmtpq::LogLine;
using lmtpq::LogTarget;
using Result = LogTarget::Result;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<LogLine>;

constexpr std::chrono::system_clock::time_point kTime =
    std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 9h + 20min + 123ms;
constexpr std::chrono::system_clock::time_point kEarlyTime =
    std::chrono::sys_days(std::chrono::year(2027) / 1 / 2) + 3h + 4min + 5s + 6ms;

LogLine line(const std::string& text) { return {kTime, LogLevel::kInfo, text}; }

std::string us() { return "lmtpq[" + std::to_string(getpid()) + "]: "; }

// A number of times the zone of UTC, for local times.
class InUtc {
 public:
  InUtc() {
    const char* const given = getenv("TZ");
    before_ = given == nullptr ? "" : given;
    setenv("TZ", "UTC0", 1);
    tzset();
  }
  ~InUtc() {
    before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
    tzset();
  }
  InUtc(const InUtc&) = delete;
  InUtc& operator=(const InUtc&) = delete;

 private:
  std::string before_;
};

}  // namespace

class LogTargetTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(LogTargetTest);
  CPPUNIT_TEST(aLineOfAFileHasItsTimeAndLevel);
  CPPUNIT_TEST(aLineForSyslogHasItsPriorityAndTime);
  CPPUNIT_TEST(onlyAFileIsOpened);
  CPPUNIT_TEST(aFileTakesManyLinesAtOnceAndSyslogOne);
  CPPUNIT_TEST(anErrorOfAFileIsKept);
  CPPUNIT_TEST(aFullPipeKeepsThePartThatIsNotWritten);
  CPPUNIT_TEST(onAStreamOfSyslogEachLineEndsWithNul);
  CPPUNIT_TEST(aStreamThatIsFullGetsTheRestOfALineLater);
  CPPUNIT_TEST(aLineThatSyslogNeverTakesDelaysNoOther);
  CPPUNIT_TEST_SUITE_END();

 public:
  LogTargetTest() : ScratchFileFixture("log") {}

 private:
  LogTarget syslog() const { return {"lmtpq", "syslog", file_}; }
  LogTarget file() const { return {"lmtpq", file_, ""}; }
  std::string text() const {
    std::ifstream in(file_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // syslogd's socket.
  Descriptor bound(int type) const {
    Descriptor made(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file_.copy(address.sun_path, sizeof address.sun_path - 1);
    CPPUNIT_ASSERT_EQUAL(
        0, bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    if (type == SOCK_STREAM) {
      CPPUNIT_ASSERT_EQUAL(0, listen(made.number(), 1));
    }
    return made;
  }
  // What has arrived.
  static std::string taken(const Descriptor& from) {
    std::string made;
    char piece[65536];
    for (ssize_t got = 0; (got = read(from.number(), piece, sizeof piece)) > 0;) {
      made.append(piece, static_cast<std::size_t>(got));
    }
    return made;
  }
  // Those that were written.
  static std::size_t write(LogTarget& target, const Lines& lines, Result expected) {
    std::size_t written = 1000;
    CPPUNIT_ASSERT(target.write(lines, written) == expected);
    return written;
  }

  void aLineOfAFileHasItsTimeAndLevel() {
    LogTarget target = file();
    CPPUNIT_ASSERT_EQUAL(0, target.open());
    const Lines lines = {{kTime, LogLevel::kError, "a"},
                         {kEarlyTime, LogLevel::kWarning, "b"},
                         {kTime, LogLevel::kInfo, "c"},
                         {kTime, LogLevel::kDebug, "d"}};
    CPPUNIT_ASSERT_EQUAL(std::size_t{4}, write(target, lines, Result::kWritten));
    CPPUNIT_ASSERT_EQUAL("2026-11-21T09:20:00.123Z " + us() + "level=error a\n" +
                             "2027-01-02T03:04:05.006Z " + us() + "level=warning b\n" +
                             "2026-11-21T09:20:00.123Z " + us() + "c\n" +
                             "2026-11-21T09:20:00.123Z " + us() + "level=debug d\n",
                         text());
  }

  void aLineForSyslogHasItsPriorityAndTime() {
    const InUtc utc;
    const Descriptor syslogd = bound(SOCK_DGRAM);
    LogTarget target = syslog();
    write(target, {{kTime, LogLevel::kError, "a"}}, Result::kWritten);
    CPPUNIT_ASSERT_EQUAL("<19>Nov 21 09:20:00 " + us() + "a", taken(syslogd));
    write(target, {{kEarlyTime, LogLevel::kInfo, "b"}}, Result::kWritten);
    CPPUNIT_ASSERT_EQUAL("<22>Jan  2 03:04:05 " + us() + "b", taken(syslogd));
  }

  void onlyAFileIsOpened() {
    LogTarget standard_error("lmtpq", "stderr", "");
    LogTarget socket = syslog();
    CPPUNIT_ASSERT(!standard_error.is_file() && !standard_error.is_syslog());
    CPPUNIT_ASSERT_EQUAL(0, standard_error.open());
    CPPUNIT_ASSERT_EQUAL(0, socket.open());
    CPPUNIT_ASSERT(!standard_error.is_open() && !socket.is_open() && socket.is_syslog());
    LogTarget none("lmtpq", folder_ + "/none/log", "");
    CPPUNIT_ASSERT_EQUAL(ENOENT, none.open());
    CPPUNIT_ASSERT(!none.is_open());
    none.fall_back_to_syslog();
    CPPUNIT_ASSERT(none.is_syslog() && !none.is_file());
  }

  void aFileTakesManyLinesAtOnceAndSyslogOne() {
    const Lines lines(100, line(std::string(1000, 'x')));
    LogTarget to_file = file();
    CPPUNIT_ASSERT_EQUAL(0, to_file.open());
    const std::size_t written = write(to_file, lines, Result::kWritten);
    CPPUNIT_ASSERT(written > 10 && written < 20);  // 16 KiB
    const std::string made = text();
    CPPUNIT_ASSERT_EQUAL(made.size() / written * written, made.size());
    std::filesystem::remove(file_);
    const Descriptor syslogd = bound(SOCK_DGRAM);
    LogTarget to_syslog = syslog();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1},
                         write(to_syslog, {line("a"), line("b")}, Result::kWritten));
    CPPUNIT_ASSERT(taken(syslogd).ends_with(us() + "a"));
  }

  void anErrorOfAFileIsKept() {
    LogTarget closed = file();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, write(closed, {line("a")}, Result::kFailed));
    CPPUNIT_ASSERT_EQUAL(EBADF, closed.error());
    LogTarget full("lmtpq", "/dev/full", "");
    CPPUNIT_ASSERT_EQUAL(0, full.open());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, write(full, {line("a")}, Result::kFailed));
    CPPUNIT_ASSERT_EQUAL(ENOSPC, full.error());
    CPPUNIT_ASSERT(!full.midway());
    LogTarget nobody = syslog();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, write(nobody, {line("a")}, Result::kFailed));
    CPPUNIT_ASSERT_EQUAL(ENOENT, nobody.error());
  }

  void aFullPipeKeepsThePartThatIsNotWritten() {
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    const Descriptor reader(open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    CPPUNIT_ASSERT_EQUAL(4096, fcntl(reader.number(), F_SETPIPE_SZ, 4096));
    LogTarget target = file();
    CPPUNIT_ASSERT_EQUAL(0, target.open());
    const Lines lines = {line("a"), line(std::string(10'000, 'b')), line("c")};
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, write(target, lines, Result::kFull));
    CPPUNIT_ASSERT(target.midway());
    const auto began = std::chrono::steady_clock::now();
    target.wait(50ms);
    CPPUNIT_ASSERT(std::chrono::steady_clock::now() - began >= 50ms);
    std::string made = taken(reader);
    Lines left(lines.begin() + 1, lines.end());
    while (!left.empty()) {
      std::size_t written = 0;
      target.write(left, written);
      left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(written));
      made += taken(reader);
    }
    CPPUNIT_ASSERT(!target.midway());
    const std::string start = "2026-11-21T09:20:00.123Z " + us();
    CPPUNIT_ASSERT_EQUAL(start + "a\n" + start + std::string(10'000, 'b') + '\n' + start + "c\n",
                         made);
  }

  void onAStreamOfSyslogEachLineEndsWithNul() {
    const Descriptor syslogd = bound(SOCK_STREAM);
    LogTarget target = syslog();
    write(target, {line("a")}, Result::kWritten);
    write(target, {line("b")}, Result::kWritten);
    const Descriptor client(accept4(syslogd.number(), nullptr, nullptr, SOCK_NONBLOCK));
    const std::string made = taken(client);
    const std::size_t end = made.find('\0');
    CPPUNIT_ASSERT(end != std::string::npos);
    CPPUNIT_ASSERT(made.substr(0, end).ends_with(us() + "a"));
    CPPUNIT_ASSERT(made.substr(end + 1).starts_with("<22>"));
    CPPUNIT_ASSERT(made.ends_with(us() + "b" + '\0'));
  }

  void aStreamThatIsFullGetsTheRestOfALineLater() {
    const Descriptor syslogd = bound(SOCK_STREAM);
    LogTarget target = syslog();
    const std::string large(1'000'000, 'x');
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, write(target, {line(large)}, Result::kFull));
    CPPUNIT_ASSERT(target.midway());
    const Descriptor client(accept4(syslogd.number(), nullptr, nullptr, SOCK_NONBLOCK));
    std::string made;
    std::size_t written = 0;
    while (written == 0) {
      made += taken(client);
      target.write(Lines{line(large)}, written);
    }
    made += taken(client);
    CPPUNIT_ASSERT(!target.midway());
    CPPUNIT_ASSERT(made.ends_with(us() + large + '\0'));
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, made.find("<22>"));
    CPPUNIT_ASSERT_EQUAL(made.size() - 1, made.find('\0'));
  }

  void aLineThatSyslogNeverTakesDelaysNoOther() {
    const Descriptor syslogd = bound(SOCK_DGRAM);
    LogTarget target = syslog();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1},
                         write(target, {line(std::string(10'000'000, 'x'))}, Result::kWritten));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, write(target, {line("a")}, Result::kWritten));
    CPPUNIT_ASSERT(taken(syslogd).ends_with(us() + "a"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogTargetTest);
