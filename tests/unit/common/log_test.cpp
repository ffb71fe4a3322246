#include "common/log.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "common/options/option_reader.h"
#include "tests/unit/common/scratch_file.h"

// These functions replace libc's syslog; _FORTIFY_SOURCE calls the second name. <syslog.h> must not
// be included here. Numbers are those of RFC 5424 section 6.2.1.
namespace {

const char* g_ident = nullptr;
int g_options = 0;
int g_facility = 0;
std::vector<std::string> g_lines;

void record_line(int priority, const char* format, va_list arguments) {
  char text[4096];
  vsnprintf(text, sizeof text, format, arguments);
  const std::string ident = g_ident == nullptr ? "-" : g_ident;
  g_lines.push_back(std::to_string(priority) + ' ' + ident + ' ' + text);
}

}  // namespace

extern "C" {
void openlog(const char* ident, int options, int facility) {
  g_ident = ident;
  g_options = options;
  g_facility = facility;
}
void closelog() { g_ident = nullptr; }
void syslog(int priority, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record_line(priority, format, arguments);
  va_end(arguments);
}
void __syslog_chk(int priority, int, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record_line(priority, format, arguments);
  va_end(arguments);
}
}

using lmtpq::Log;
using lmtpq::LogLevel;
using lmtpq::Record;

class LogTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(LogTest);
  CPPUNIT_TEST(recordBeginsWithItsEventAndKeepsTheOrderOfFields);
  CPPUNIT_TEST(valueIsQuotedOnlyWhereItMustBe);
  CPPUNIT_TEST(noByteOfAValueCanEndTheLine);
  CPPUNIT_TEST(longValueIsCutBetweenCharacters);
  CPPUNIT_TEST(levelsHaveNames);
  CPPUNIT_TEST(fileLineBeginsWithTimeProgramAndProcess);
  CPPUNIT_TEST(fileIsAppendedTo);
  CPPUNIT_TEST(stderrLineIsTheSameAsTheFileLine);
  CPPUNIT_TEST(lineBelowTheThresholdIsNotWritten);
  CPPUNIT_TEST(syslogGetsTheMailFacilityAndTheSeverity);
  CPPUNIT_TEST(fileThatCannotBeOpenedFallsBackToSyslog);
  CPPUNIT_TEST(aPipeWithoutAReaderDoesNotBlock);
  CPPUNIT_TEST(fullDiskIsIgnored);
  CPPUNIT_TEST_SUITE_END();

 public:
  LogTest() : ScratchFileFixture("log") {}
  void setUp() override {
    ScratchFileFixture::setUp();
    g_lines.clear();
  }

 private:
  std::vector<std::string> file_lines() const {
    std::ifstream in(file_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
      lines.push_back(line);
    }
    return lines;
  }

  // The line without its time; only the form of the time is checked.
  static std::string after_time(const std::string& line) {
    const std::string form = "0000-00-00T00:00:00.000Z ";
    CPPUNIT_ASSERT_MESSAGE(line, line.size() > form.size());
    for (std::size_t i = 0; i < form.size(); ++i) {
      const bool digit = line[i] >= '0' && line[i] <= '9';
      CPPUNIT_ASSERT_MESSAGE(line, form[i] == '0' ? digit : line[i] == form[i]);
    }
    return line.substr(form.size());
  }

  static std::string us() { return "lmtpq[" + std::to_string(getpid()) + "]: "; }

  void recordBeginsWithItsEventAndKeepsTheOrderOfFields() {
    const Record record =
        Record("x").add("trace", "t1-aaa").add("size", 42).add("to", "a@b").add("n", -1);
    CPPUNIT_ASSERT_EQUAL(std::string("event=x trace=t1-aaa size=42 to=a@b n=-1"), record.text());
  }

  void valueIsQuotedOnlyWhereItMustBe() {
    const struct {
      std::string_view value;
      const char* text;
    } cases[] = {{"plain", "k=plain"},
                 {"<a@b>", "k=<a@b>"},
                 {"", "k=\"\""},
                 {"two words", "k=\"two words\""},
                 {"a=b", "k=\"a=b\""},
                 {"say \"hi\"", "k=\"say \\\"hi\\\"\""},
                 {"\"", "k=\"\\\"\""},
                 {"a\\b", "k=\"a\\\\b\""},
                 {"gr\xc3\xbc\xc3\x9f", "k=gr\xc3\xbc\xc3\x9f"},
                 {"a\xe2\x80\xae@b", "k=\"a\\xe2\\x80\\xae@b\""}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL("event=x " + std::string(row.text),
                           Record("x").add("k", row.value).text());
    }
  }

  void noByteOfAValueCanEndTheLine() {
    for (int first = 0; first < 256; ++first) {
      for (int second = 0; second < 256; ++second) {
        const char value[] = {static_cast<char>(first), static_cast<char>(second)};
        const std::string text = Record("x").add("k", std::string_view(value, 2)).text();
        for (const char c : text) {
          CPPUNIT_ASSERT((c < 0 || c >= ' ') && c != '\x7f');
        }
        CPPUNIT_ASSERT(text.find("\xc2\x85") == std::string::npos);
      }
    }
    CPPUNIT_ASSERT_EQUAL(std::string("event=x k=\"\\x1b[2J\\xc2\\x9b\\xff\\n\""),
                         Record("x").add("k", "\x1b[2J\xc2\x9b\xff\n").text());
  }

  void longValueIsCutBetweenCharacters() {
    const std::string full(Record::kMaxValue, 'x');
    CPPUNIT_ASSERT_EQUAL("event=x k=" + full, Record("x").add("k", full).text());
    CPPUNIT_ASSERT_EQUAL("event=x k=" + full + "...", Record("x").add("k", full + "y").text());
    const std::string almost(Record::kMaxValue - 1, 'x');
    CPPUNIT_ASSERT_EQUAL("event=x k=" + almost + "...",
                         Record("x").add("k", almost + "\xc3\xbc").text());
    CPPUNIT_ASSERT_EQUAL("event=x k=" + almost + "...",
                         Record("x").add("k", almost + "\nrest").text());
  }

  void levelsHaveNames() {
    CPPUNIT_ASSERT(lmtpq::parse_log_level("error") == LogLevel::kError);
    CPPUNIT_ASSERT(lmtpq::parse_log_level("warning") == LogLevel::kWarning);
    CPPUNIT_ASSERT(lmtpq::parse_log_level("info") == LogLevel::kInfo);
    CPPUNIT_ASSERT(lmtpq::parse_log_level("debug") == LogLevel::kDebug);
    for (const char* text : {"", "warn", "INFO", "info "}) {
      CPPUNIT_ASSERT_THROW(lmtpq::parse_log_level(text), lmtpq::ConfigError);
    }
  }

  void fileLineBeginsWithTimeProgramAndProcess() {
    const Log log("lmtpq", file_, LogLevel::kDebug);
    log.info(Record("start"));
    log.warning(Record("x").add("n", 1));
    log.error(Record("x").add("n", 2));
    log.debug(Record("x").add("n", 3));
    const auto lines = file_lines();
    CPPUNIT_ASSERT_EQUAL(std::size_t{4}, lines.size());
    CPPUNIT_ASSERT_EQUAL(us() + "event=start", after_time(lines[0]));
    CPPUNIT_ASSERT_EQUAL(us() + "level=warning event=x n=1", after_time(lines[1]));
    CPPUNIT_ASSERT_EQUAL(us() + "level=error event=x n=2", after_time(lines[2]));
    CPPUNIT_ASSERT_EQUAL(us() + "level=debug event=x n=3", after_time(lines[3]));
  }

  void fileIsAppendedTo() {
    for (int run = 0; run < 2; ++run) {
      const Log log("lmtpq", file_, LogLevel::kInfo);
      log.info(Record("x").add("n", run));
    }
    const auto lines = file_lines();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, lines.size());
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=0", after_time(lines[0]));
    CPPUNIT_ASSERT_EQUAL(us() + "event=x n=1", after_time(lines[1]));
  }

  void stderrLineIsTheSameAsTheFileLine() {
    const int kept = dup(STDERR_FILENO);
    const int file = open(file_.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(file, STDERR_FILENO);
    { Log("lmtpq", "stderr", LogLevel::kInfo).warning(Record("x").add("n", 1)); }
    const bool still_open = fcntl(STDERR_FILENO, F_GETFD) >= 0;
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    CPPUNIT_ASSERT(still_open);
    CPPUNIT_ASSERT_EQUAL(us() + "level=warning event=x n=1", after_time(file_lines().at(0)));
  }

  void lineBelowTheThresholdIsNotWritten() {
    const Log log("lmtpq", file_, LogLevel::kWarning);
    CPPUNIT_ASSERT(log.wants(LogLevel::kError) && log.wants(LogLevel::kWarning));
    CPPUNIT_ASSERT(!log.wants(LogLevel::kInfo) && !log.wants(LogLevel::kDebug));
    log.info(Record("x").add("n", 1));
    log.debug(Record("x").add("n", 2));
    log.error(Record("x").add("n", 3));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, file_lines().size());
  }

  void syslogGetsTheMailFacilityAndTheSeverity() {
    {
      // The name ends before the line is written: syslog keeps only the pointer.
      const Log log(std::string("lmtpq-") + "long-program-name", "syslog", LogLevel::kDebug);
      CPPUNIT_ASSERT_EQUAL(2 << 3, g_facility);
      CPPUNIT_ASSERT_EQUAL(0x01, g_options);
      log.error(Record("x").add("n", 1));
      log.warning(Record("x").add("n", 2));
      log.info(Record("x").add("rate", "100%n"));
      log.debug(Record("x").add("n", 4));
    }
    const std::vector<std::string> expected = {
        "19 lmtpq-long-program-name event=x n=1", "20 lmtpq-long-program-name event=x n=2",
        "22 lmtpq-long-program-name event=x rate=100%n", "23 lmtpq-long-program-name event=x n=4"};
    CPPUNIT_ASSERT(expected == g_lines);
    CPPUNIT_ASSERT(g_ident == nullptr);
  }

  void fileThatCannotBeOpenedFallsBackToSyslog() {
    const std::string path = folder_ + "/none/log";
    const Log log("lmtpq", path, LogLevel::kError);
    log.error(Record("x").add("n", 1));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, g_lines.size());
    CPPUNIT_ASSERT_EQUAL(
        "19 lmtpq event=log-file-failed file=" + path + " error=\"No such file or directory\"",
        g_lines[0]);
    CPPUNIT_ASSERT_EQUAL(std::string("19 lmtpq event=x n=1"), g_lines[1]);
  }

  void aPipeWithoutAReaderDoesNotBlock() {
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    alarm(10);  // ends a test that hangs
    const Log log("lmtpq", file_, LogLevel::kInfo);
    alarm(0);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, g_lines.size());
  }

  void fullDiskIsIgnored() {
    const Log log("lmtpq", "/dev/full", LogLevel::kInfo);
    log.info(Record("x").add("n", 1));
    CPPUNIT_ASSERT(g_lines.empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogTest);
