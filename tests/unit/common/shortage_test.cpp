#include "common/shortage.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "common/config_error.h"

using lmtpq::ConfigError;
using lmtpq::refuse_by_error;
using lmtpq::Shortage;
using lmtpq::shortage_text;

class ShortageTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ShortageTest);
  CPPUNIT_TEST(whatTheSystemLacksIsAShortageWithItsRemedy);
  CPPUNIT_TEST(whatOnlyAChangeFixesIsAConfigError);
  CPPUNIT_TEST(aStartThatFailedSaysWhatToRaise);
  CPPUNIT_TEST_SUITE_END();

  static std::string shortage(int error) {
    try {
      refuse_by_error(error, "x");
    } catch (const Shortage& made) {
      return made.what();
    } catch (const ConfigError&) {
    }
    return "none";
  }

  void whatTheSystemLacksIsAShortageWithItsRemedy() {
    for (const int error : {ENOSPC, EDQUOT}) {
      CPPUNIT_ASSERT_EQUAL(std::string("x; make room there (df, df -i, quota)"), shortage(error));
    }
    for (const int error : {ENOMEM, ENOBUFS}) {
      CPPUNIT_ASSERT_EQUAL(std::string("x; see what takes the memory"), shortage(error));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("x; see what the kernel says of the disk"), shortage(EIO));
    for (const int error : {EMFILE, ENFILE, EAGAIN}) {
      CPPUNIT_ASSERT_EQUAL(std::string("x"), shortage(error));
    }
  }

  void whatOnlyAChangeFixesIsAConfigError() {
    for (const int error : {EACCES, ENOENT, EADDRINUSE, 0}) {
      CPPUNIT_ASSERT_THROW(refuse_by_error(error, "x"), ConfigError);
    }
  }

  void aStartThatFailedSaysWhatToRaise() {
    const auto text_of = [](int error) {
      return shortage_text(std::system_error(error, std::generic_category(), "x"));
    };
    const std::string no_thread = text_of(EAGAIN);
    CPPUNIT_ASSERT_MESSAGE(no_thread, no_thread.starts_with("cannot start a thread: x: "));
    CPPUNIT_ASSERT_MESSAGE(no_thread, no_thread.ends_with("; raise TasksMax= and LimitNPROC= of "
                                                          "the unit (ulimit -u)"));
    CPPUNIT_ASSERT_EQUAL(std::string("x: No such file or directory"), text_of(ENOENT));
    CPPUNIT_ASSERT(shortage_text(std::bad_alloc()).starts_with("no memory; raise MemoryMax= of "));
    CPPUNIT_ASSERT_EQUAL(std::string("y"), shortage_text(Shortage("y")));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShortageTest);
