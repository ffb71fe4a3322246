#include "mailer/lmtp/auth_dialogue.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/tag/base64.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class AuthDialogueTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(AuthDialogueTest);
  CPPUNIT_TEST(textWithThePasswordIsWithheld);
  CPPUNIT_TEST(textWithAPartOfWhatWeSentIsWithheld);
  CPPUNIT_TEST(otherTextIsKept);
  CPPUNIT_TEST(aChallengeIsKept);
  CPPUNIT_TEST(shortAnswersAreNotLookedFor);
  CPPUNIT_TEST_SUITE_END();

  static std::string shown(const AuthDialogue& dialogue, const std::string& text, int code = 535) {
    return dialogue.withhold({code, EnhancedStatus{5, 7, 8}, {"Sorry", text}, {1}}).summary();
  }
  static constexpr const char* kWithheld = "535 5.7.8 (text withheld: it repeats our login)";

  void textWithThePasswordIsWithheld() {
    const AuthDialogue dialogue("secret");
    CPPUNIT_ASSERT_EQUAL(std::string(kWithheld), shown(dialogue, "bad password secret"));
  }

  void textWithAPartOfWhatWeSentIsWithheld() {
    AuthDialogue dialogue("");
    const std::string sent(30, 'a');
    dialogue.remember(sent);
    CPPUNIT_ASSERT_EQUAL(std::string(kWithheld),
                         shown(dialogue, "cannot parse " + base64(sent).substr(5, 30)));
  }

  void otherTextIsKept() {
    AuthDialogue dialogue("secret");
    dialogue.remember("a long enough response");
    CPPUNIT_ASSERT_EQUAL(std::string("535 5.7.8 no such user; Sorry"),
                         shown(dialogue, "no such user"));
    CPPUNIT_ASSERT_EQUAL(std::string("535 5.7.8 secre; Sorry"), shown(dialogue, "secre"));
  }

  void aChallengeIsKept() {
    const AuthDialogue dialogue("secret");
    CPPUNIT_ASSERT_EQUAL(std::string("334 5.7.8 secret; Sorry"), shown(dialogue, "secret", 334));
  }

  // They would be found in any text.
  void shortAnswersAreNotLookedFor() {
    AuthDialogue dialogue("");
    dialogue.remember("x");
    CPPUNIT_ASSERT_EQUAL(std::string("535 5.7.8 eA==; Sorry"), shown(dialogue, "eA=="));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AuthDialogueTest);
