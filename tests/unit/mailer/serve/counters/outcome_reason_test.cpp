#include "mailer/serve/counters/outcome_reason.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>

using namespace lmtpq;
using namespace lmtpq::mailer;

class OutcomeReasonTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OutcomeReasonTest);
  CPPUNIT_TEST(theEnhancedStatusGivesTheReason);
  CPPUNIT_TEST(overQuotaIsWhatOverQuotaPoliciesAreFor);
  CPPUNIT_TEST(ourTroubleComesBeforeItsStatus);
  CPPUNIT_TEST(noTwoReasonsHaveTheSameName);
  CPPUNIT_TEST_SUITE_END();

  // RFC 3463 section 3.
  void theEnhancedStatusGivesTheReason() {
    struct Case {
      EnhancedStatus status;
      const char* reason;
    };
    for (const Case& c : {
             Case{{5, 0, 0}, "unspecified"},
             Case{{5, 1, 1}, "user_unknown"},
             Case{{5, 1, 6}, "user_unknown"},
             Case{{5, 1, 7}, "sender"},
             Case{{5, 1, 8}, "sender"},
             Case{{5, 2, 1}, "mailbox"},
             Case{{5, 2, 3}, "too_large"},
             Case{{4, 3, 0}, "system"},
             Case{{5, 3, 4}, "too_large"},
             Case{{4, 4, 1}, "network"},
             Case{{4, 5, 3}, "protocol"},
             Case{{5, 6, 0}, "content"},
             Case{{5, 7, 1}, "policy"},
             Case{{5, 9, 9}, "unspecified"},
         }) {
      Outcome outcome;
      outcome.status = c.status;
      CPPUNIT_ASSERT_EQUAL_MESSAGE(c.status.text(), std::string(c.reason),
                                   reason_name(reason_of(outcome)));
    }
  }

  // As policies and --ignore-quota=retry see it.
  void overQuotaIsWhatOverQuotaPoliciesAreFor() {
    const auto reason = [](Awaited stage, int code, std::optional<EnhancedStatus> status,
                           const char* text) {
      return reason_name(reason_of(outcome_of(Answer{stage, Reply{code, status, {text}, {}}})));
    };
    const std::string over_quota = "over_quota";
    CPPUNIT_ASSERT_EQUAL(over_quota, reason(Awaited::kRcpt, 452, EnhancedStatus{4, 2, 2}, "x"));
    CPPUNIT_ASSERT_EQUAL(over_quota, reason(Awaited::kFinal, 552, EnhancedStatus{5, 2, 2}, "x"));
    CPPUNIT_ASSERT_EQUAL(over_quota, reason(Awaited::kFinal, 452, std::nullopt, "Over quota"));
    CPPUNIT_ASSERT_EQUAL(std::string("unspecified"),
                         reason(Awaited::kFinal, 552, std::nullopt, "Message too large"));
    CPPUNIT_ASSERT_EQUAL(std::string("system"),
                         reason(Awaited::kRcpt, 552, EnhancedStatus{5, 3, 1}, "over quota"));
    CPPUNIT_ASSERT_EQUAL(std::string("mailbox"),
                         reason(Awaited::kMail, 452, EnhancedStatus{4, 2, 2}, "x"));
    // An error of a route file.
    CPPUNIT_ASSERT_EQUAL(over_quota, reason_name(reason_of(outcome_of({5, 2, 2}, "full"))));
  }

  void ourTroubleComesBeforeItsStatus() {
    const auto reason = [](Trouble trouble) {
      return reason_name(reason_of(outcome_of(trouble, "words")));
    };
    CPPUNIT_ASSERT_EQUAL(std::string("unreachable"), reason(Trouble::kUnreachable));
    CPPUNIT_ASSERT_EQUAL(std::string("lost"), reason(Trouble::kLost));
    CPPUNIT_ASSERT_EQUAL(std::string("uncertain"), reason(Trouble::kUncertain));
    CPPUNIT_ASSERT_EQUAL(std::string("too_large"), reason(Trouble::kTooLarge));
    CPPUNIT_ASSERT_EQUAL(std::string("needs_utf8"), reason(Trouble::kNeedsUtf8));
    Answer answer;
    answer.stage = Awaited::kRcpt;
    answer.reply.code = 530;
    answer.reply.lines = {"5.7.0 Authentication required"};
    CPPUNIT_ASSERT_EQUAL(std::string("login"), reason_name(reason_of(outcome_of(answer))));
  }

  void noTwoReasonsHaveTheSameName() {
    std::set<std::string> names;
    for (std::size_t i = 0; i < reason_count(); ++i) {
      CPPUNIT_ASSERT_MESSAGE(reason_name(i), names.insert(reason_name(i)).second);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutcomeReasonTest);
