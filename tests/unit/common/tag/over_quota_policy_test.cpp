#include "common/tag/over_quota_policy.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/config_error.h"

using namespace lmtpq;

class OverQuotaPolicyTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OverQuotaPolicyTest);
  CPPUNIT_TEST(everyPolicyHasATextAndACode);
  CPPUNIT_TEST(anythingElseIsRefusedWithWhatWasExpected);
  CPPUNIT_TEST_SUITE_END();

  void everyPolicyHasATextAndACode() {
    const struct {
      const char* written;
      OverQuotaAction action;
      std::int64_t age;
      const char* text;
      const char* code;
    } rows[] = {
        {"store", OverQuotaAction::kStore, 0, "store", "s"},
        {"defer", OverQuotaAction::kDefer, 0, "defer", "d"},
        {"refuse", OverQuotaAction::kRefuse, 0, "refuse", "r"},
        {"defer:3d", OverQuotaAction::kDefer, 259'200, "defer:3d", "d259200"},
        {"defer:12h", OverQuotaAction::kDefer, 43'200, "defer:12h", "d43200"},
        {"defer:48h", OverQuotaAction::kDefer, 172'800, "defer:2d", "d172800"},
        {"defer:2w", OverQuotaAction::kDefer, 1'209'600, "defer:14d", "d1209600"},
        {"defer:90m", OverQuotaAction::kDefer, 5400, "defer:90m", "d5400"},
        {"defer:61", OverQuotaAction::kDefer, 61, "defer:61s", "d61"},
        {"defer:1500ms", OverQuotaAction::kDefer, 1, "defer:1s", "d1"},
        {"defer:5200w", OverQuotaAction::kDefer, 3'144'960'000, "defer:36400d", "d3144960000"},
    };
    for (const auto& row : rows) {
      const OverQuotaPolicy policy = OverQuotaPolicy::parse(row.written);
      CPPUNIT_ASSERT_MESSAGE(row.written, policy.action == row.action);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.written, row.age, std::int64_t{policy.age.count()});
      CPPUNIT_ASSERT_EQUAL(std::string(row.text), policy.text());
      CPPUNIT_ASSERT(OverQuotaPolicy::parse(policy.text()) == policy);
      CPPUNIT_ASSERT_EQUAL(std::string(row.code), policy.code());
      CPPUNIT_ASSERT(OverQuotaPolicy::decode(policy.code()) == policy);
    }
    CPPUNIT_ASSERT(OverQuotaPolicy() == OverQuotaPolicy::parse("store"));
  }

  void anythingElseIsRefusedWithWhatWasExpected() {
    for (const char* text :
         {"", "Defer", "bounce", "defer:", "defer:x", "defer 3d", "defer:0s", "defer:999ms",
          "refuse:3d", "store:1d", "defer:3d,refuse", "defer:-1d", "defer:5201w"}) {
      try {
        OverQuotaPolicy::parse(text);
        CPPUNIT_FAIL(text);
      } catch (const ConfigError& error) {
        CPPUNIT_ASSERT_MESSAGE(error.what(), std::string(error.what()).starts_with("expected "));
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OverQuotaPolicyTest);
