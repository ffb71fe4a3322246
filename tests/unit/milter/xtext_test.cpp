#include "milter/xtext.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::milter::from_xtext;

class XtextTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(XtextTest);
  CPPUNIT_TEST(onlyCompleteCodesAreDecoded);
  CPPUNIT_TEST_SUITE_END();

  void onlyCompleteCodesAreDecoded() {
    const struct {
      const char* written;
      const char* meant;
    } cases[] = {
        {"", ""},
        {"jo@example.org", "jo@example.org"},
        // As Sendmail writes a certificate's subject.
        {"/O=Example+20Org/CN=Darth+20Mail+20+28Cert)", "/O=Example Org/CN=Darth Mail (Cert)"},
        {"a+2Bb", "a+b"},
        {"a+2bb", "a+b"},
        {"+2B2B", "+2B"},  // once, not again
        {"a+", "a+"},
        {"a+2", "a+2"},
        {"a+2G", "a+2G"},
        {"a+-1", "a+-1"},
        {"a+ 1", "a+ 1"},
        {"+0x41", "+0x41"},
        {"++41", "+A"},
    };
    for (const auto& one : cases) {
      CPPUNIT_ASSERT_EQUAL(std::string(one.meant), from_xtext(one.written));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(XtextTest);
