#include "mailer/io/secure_loader.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/config_error.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class SecureLoaderTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SecureLoaderTest);
  CPPUNIT_TEST(aMissingLibraryIsReportedEachTime);
  CPPUNIT_TEST_SUITE_END();

  // It is not beside this program.
  void aMissingLibraryIsReportedEachTime() {
    for (int time = 0; time < 2; ++time) {
      try {
        secure_library();
        CPPUNIT_FAIL("there is one");
      } catch (const ConfigError& error) {
        const std::string words = error.what();
        CPPUNIT_ASSERT_MESSAGE(words,
                               words.starts_with("cannot load the library for TLS and AUTH: /"));
        CPPUNIT_ASSERT_MESSAGE(words, words.find("tests/lmtpq-secure.so: ") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(words, words.ends_with("; install it with make install"));
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecureLoaderTest);
