#include "common/findings.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::attempt;
using lmtpq::ConfigError;
using lmtpq::Findings;

class FindingsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(FindingsTest);
  CPPUNIT_TEST(theSummaryCountsEachTextOnce);
  CPPUNIT_TEST(withoutAListTheErrorIsThrown);
  CPPUNIT_TEST_SUITE_END();

 public:
  void theSummaryCountsEachTextOnce() {
    Findings findings;
    CPPUNIT_ASSERT_EQUAL(std::string("ok"), findings.summary());
    findings.warning("a");
    CPPUNIT_ASSERT_EQUAL(std::string("ok, 1 warning"), findings.summary());
    findings.warning("b");
    findings.warning("a");
    findings.error("a");
    findings.error("a");
    CPPUNIT_ASSERT_EQUAL(std::string("1 error, 2 warnings"), findings.summary());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, findings.errors());
  }

  void withoutAListTheErrorIsThrown() {
    const auto fail = [] { throw ConfigError("wrong"); };
    CPPUNIT_ASSERT_THROW(attempt(nullptr, fail), ConfigError);
    Findings findings;
    attempt(&findings, fail);
    CPPUNIT_ASSERT_EQUAL(std::string("1 error"), findings.summary());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FindingsTest);
