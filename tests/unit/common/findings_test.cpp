#include "common/findings.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::attempt;
using lmtpq::ConfigError;
using lmtpq::Findings;
using lmtpq::Shortage;

class FindingsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(FindingsTest);
  CPPUNIT_TEST(theSummaryCountsEachTextOnce);
  CPPUNIT_TEST(withoutAListTheErrorIsThrown);
  CPPUNIT_TEST(aShortageIsAnErrorOfTheList);
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

  void aShortageIsAnErrorOfTheList() {
    Findings findings;
    bool went_on = false;
    findings.attempt([] { throw Shortage("no room"); });
    findings.attempt([&] { went_on = true; });
    CPPUNIT_ASSERT(went_on);
    CPPUNIT_ASSERT_EQUAL(std::string("1 error"), findings.summary());
    CPPUNIT_ASSERT_THROW(attempt(nullptr, [] { throw Shortage("no room"); }), Shortage);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FindingsTest);
