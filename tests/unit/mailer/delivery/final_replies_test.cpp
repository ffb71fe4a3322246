#include "mailer/delivery/final_replies.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using namespace lmtpq::mailer;

class FinalRepliesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(FinalRepliesTest);
  CPPUNIT_TEST(aReplyIsDueWhenItAndAllBeforeItAreDecided);
  CPPUNIT_TEST(onlyTheFirstReplyForARecipientCounts);
  CPPUNIT_TEST(aReplyThatWasWrittenInPartIsContinuedThere);
  CPPUNIT_TEST(everyOrderOfDecisionsGivesTheSameReplies);
  CPPUNIT_TEST_SUITE_END();

  static void check(const std::string& expected, std::string_view found) {
    CPPUNIT_ASSERT_EQUAL(expected, std::string(found));
  }

  void aReplyIsDueWhenItAndAllBeforeItAreDecided() {
    FinalReplies replies(4);
    replies.decide(1, "b\r\n");
    replies.decide(3, "d\r\n");
    check("", replies.due());
    replies.decide(0, "a\r\n");
    check("a\r\nb\r\n", replies.due());
    replies.written(replies.due().size());
    check("", replies.due());
    CPPUNIT_ASSERT(!replies.decided(2) && replies.decided(3));
    replies.decide(2, "c\r\n");
    check("c\r\nd\r\n", replies.due());
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, replies.complete());
    replies.written(6);
    CPPUNIT_ASSERT_EQUAL(std::size_t{4}, replies.complete());
  }

  void onlyTheFirstReplyForARecipientCounts() {
    FinalReplies replies(2);
    replies.decide(1, "250 yes\r\n");
    replies.decide(1, "451 no\r\n");
    replies.decide(0, "250 one\r\n");
    replies.written(9);
    replies.decide(0, "451 other\r\n");
    check("250 yes\r\n", replies.due());
  }

  void aReplyThatWasWrittenInPartIsContinuedThere() {
    FinalReplies replies(3);
    replies.decide(0, "first\r\n");
    replies.written(2);
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, replies.complete());
    replies.decide(1, "second\r\n");
    check("rst\r\nsecond\r\n", replies.due());
    replies.written(6);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, replies.complete());
    replies.written(0);
    check("econd\r\n", replies.due());
    replies.written(7);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, replies.complete());
    check("", replies.due());
  }

  void everyOrderOfDecisionsGivesTheSameReplies() {
    std::string order = "0123";
    do {
      FinalReplies replies(4);
      std::string all;
      for (const char digit : order) {
        replies.decide(static_cast<std::size_t>(digit - '0'), std::string(1, digit) + "\r\n");
        const std::size_t most = std::min<std::size_t>(replies.due().size(), 5);
        all += replies.due().substr(0, most);
        replies.written(most);
      }
      all += replies.due();
      check("0\r\n1\r\n2\r\n3\r\n", all);
    } while (std::next_permutation(order.begin(), order.end()));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FinalRepliesTest);
