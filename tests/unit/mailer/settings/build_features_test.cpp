#include "mailer/settings/build_features.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/config_error.h"
#include "common/version.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class BuildFeaturesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(BuildFeaturesTest);
  CPPUNIT_TEST(whatIsMissingIsNamedWithItsVariable);
  CPPUNIT_TEST(theVersionListsEachFeatureOnce);
  CPPUNIT_TEST_SUITE_END();

  void whatIsMissingIsNamedWithItsVariable() {
    require({"X", "WITH_X", true}, "f:1: x");
    try {
      require({"X", "WITH_X", false}, "f:1: x");
      CPPUNIT_FAIL("it is there");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(std::string("f:1: x: this lmtpq was built without X (WITH_X=no)"),
                           std::string(error.what()));
    }
  }

  void theVersionListsEachFeatureOnce() {
    std::string with;
    std::string without;
    for (const Feature* const feature : {&kLdap, &kSasl, &kSystemd, &kPrometheus}) {
      (feature->built_in ? with : without) += ' ' + std::string(feature->name);
    }
    CPPUNIT_ASSERT_EQUAL(with, with.empty() ? "" : ' ' + built_in_features());
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq ") + kVersion + '\n' +
                             (with.empty() ? "" : "with:" + with + '\n') +
                             (without.empty() ? "" : "without:" + without + '\n'),
                         version_text());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(BuildFeaturesTest);
