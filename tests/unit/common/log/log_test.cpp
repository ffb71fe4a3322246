#include "common/log/log.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "common/options/option_reader.h"
#include "tests/unit/common/scratch_file.h"

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
  CPPUNIT_TEST_SUITE_END();

 public:
  LogTest() : ScratchFileFixture("log") {}

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
    log.flush();
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
    log.flush();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, file_lines().size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogTest);
