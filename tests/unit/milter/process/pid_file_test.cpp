#include "milter/process/pid_file.h"

#include <unistd.h>

#include <iterator>

#include "common/config_error.h"
#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;
using namespace lmtpq::milter;

class PidFileTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(PidFileTest);
  CPPUNIT_TEST(theProcessIdReplacesWhatWasThere);
  CPPUNIT_TEST(aFileThatWasNeverWrittenIsRemoved);
  CPPUNIT_TEST(aFileThatWasWrittenStaysUntilItIsRemoved);
  CPPUNIT_TEST(aLockedFileIsRefusedAndStays);
  CPPUNIT_TEST(withoutAPathThereIsNoFile);
  CPPUNIT_TEST_SUITE_END();

 public:
  PidFileTest() : ScratchFileFixture("pid") {}

 private:
  std::string text() const {
    std::ifstream in(file_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::string line() { return std::to_string(getpid()) + '\n'; }

  void theProcessIdReplacesWhatWasThere() {
    write(std::string(100, '9'));
    PidFile file(file_);
    file.write();
    CPPUNIT_ASSERT_EQUAL(line(), text());
    file.write();
    CPPUNIT_ASSERT_EQUAL(line(), text());
  }

  void aFileThatWasNeverWrittenIsRemoved() {
    { const PidFile file(file_); }
    CPPUNIT_ASSERT(!std::filesystem::exists(file_));
  }

  void aFileThatWasWrittenStaysUntilItIsRemoved() {
    {
      PidFile file(file_);
      file.write();
    }
    CPPUNIT_ASSERT_EQUAL(line(), text());
    PidFile file(file_);
    file.write();
    file.remove();
    CPPUNIT_ASSERT(!std::filesystem::exists(file_));
  }

  void aLockedFileIsRefusedAndStays() {
    PidFile first(file_);
    first.write();
    try {
      const PidFile second(file_);
      CPPUNIT_FAIL("it was opened");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": locked by another lmtpq-milter; stop that one first",
                           std::string(error.what()));
    }
    CPPUNIT_ASSERT_EQUAL(line(), text());
  }

  void withoutAPathThereIsNoFile() {
    PidFile none("");
    none.write();
    none.remove();
    CPPUNIT_ASSERT(std::filesystem::is_empty(folder_));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PidFileTest);
