#include "trace_id.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::TraceId;

class TraceIdTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TraceIdTest);
  CPPUNIT_TEST(takesWhatTheServerTakes);
  CPPUNIT_TEST(refusesWhatTheServerAnswersWith501);
  CPPUNIT_TEST(takes255BytesAndNot256);
  CPPUNIT_TEST(isEmptyUntilParsed);
  CPPUNIT_TEST_SUITE_END();

  void takesWhatTheServerTakes() {
    for (const char* text : {"a", "-", "_", ".", "t1-aaa", "4AL9K0Yv012345.x_Z", "---"}) {
      const auto id = TraceId::parse(text);
      CPPUNIT_ASSERT_MESSAGE(text, id.has_value());
      CPPUNIT_ASSERT_EQUAL(std::string(text), id->text());
      CPPUNIT_ASSERT_MESSAGE(text, !id->empty());
    }
  }

  void refusesWhatTheServerAnswersWith501() {
    const std::string_view refused[] = {"",    " ",        "a b",   "a\r\nRSET", "a\n",
                                        "a/b", "a:b",      "a@b",   "<a>",       "a+b",
                                        "a,b", "\xc3\xa4", "a\x7f", {"a\0b", 3}, "[a]"};
    for (const std::string_view text : refused) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text), !TraceId::parse(text));
    }
  }

  void takes255BytesAndNot256() {
    CPPUNIT_ASSERT(TraceId::parse(std::string(255, 'x')));
    CPPUNIT_ASSERT(!TraceId::parse(std::string(256, 'x')));
  }

  void isEmptyUntilParsed() {
    CPPUNIT_ASSERT(TraceId().empty());
    CPPUNIT_ASSERT(TraceId() == TraceId());
    CPPUNIT_ASSERT(!(*TraceId::parse("a") == TraceId()));
    CPPUNIT_ASSERT(*TraceId::parse("a") == *TraceId::parse("a"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TraceIdTest);
