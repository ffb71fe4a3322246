#include "milter/process/libmilter_log.h"

#include <syslog.h>

#include <cerrno>
#include <iterator>

#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;
using namespace lmtpq::milter;

class LibmilterLogTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(LibmilterLogTest);
  CPPUNIT_TEST(errorsAreErrorsAndAllElseIsAWarning);
  CPPUNIT_TEST_SUITE_END();

 public:
  LibmilterLogTest() : ScratchFileFixture("log") {}

 private:
  std::string line_of(int priority) const {
    // It must live as long as the process.
    static const auto& log = *new Log("test", file_, LogLevel::kInfo);
    take_libmilter_lines(log);
    std::filesystem::remove(file_);
    log.reopen();
    errno = EBADF;
    syslog(priority, "severity %d of %s", priority, "a library");
    CPPUNIT_ASSERT_EQUAL(EBADF, errno);
    log.flush();
    std::ifstream in(file_);
    std::string line;
    std::getline(in, line);
    return line.substr(line.find("level="));
  }

  void errorsAreErrorsAndAllElseIsAWarning() {
    for (const int priority : {LOG_EMERG, LOG_ERR, LOG_MAIL | LOG_ERR, LOG_WARNING, LOG_INFO}) {
      const std::string expected = (priority & 7) <= LOG_ERR ? "level=error" : "level=warning";
      CPPUNIT_ASSERT_EQUAL(expected + " event=libmilter text=\"severity " +
                               std::to_string(priority) + " of a library\"",
                           line_of(priority));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LibmilterLogTest);
