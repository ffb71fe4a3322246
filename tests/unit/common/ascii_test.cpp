#include "common/ascii.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::has_phrase;
using lmtpq::lower_case;
using lmtpq::upper_case;

class AsciiTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(AsciiTest);
  CPPUNIT_TEST(onlyAsciiLettersHaveCase);
  CPPUNIT_TEST(aPhraseIsFoundInAnyCaseAndPlace);
  CPPUNIT_TEST_SUITE_END();

  void onlyAsciiLettersHaveCase() {
    CPPUNIT_ASSERT_EQUAL(std::string("az09@[`{\xc4\xe4"), lower_case("AZ09@[`{\xc4\xe4"));
    CPPUNIT_ASSERT_EQUAL(std::string("AZ09@[`{\xc4\xe4"), upper_case("az09@[`{\xc4\xe4"));
    CPPUNIT_ASSERT_EQUAL(std::string(), lower_case(""));
    CPPUNIT_ASSERT_EQUAL(std::string("a\0b", 3), lower_case(std::string_view("A\0B", 3)));
  }

  void aPhraseIsFoundInAnyCaseAndPlace() {
    const struct {
      const char* text;
      const char* phrase;
      bool found;
    } rows[] = {
        {"over quota", "over quota", true},
        {"OVER Quota", "over quota", true},
        {"over quota", "OVER QUOTA", true},
        {"bob is over quota now", "over quota", true},
        {"turnover quotas", "over quota", true},
        {"over over quota", "over quota", true},
        {"over  quota", "over quota", false},
        {"over quot", "over quota", false},
        {"", "over quota", false},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.text, row.found, has_phrase(row.text, row.phrase));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AsciiTest);
