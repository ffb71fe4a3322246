#include "common/tag/trace_id.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>

using lmtpq::TraceId;

class TraceIdTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TraceIdTest);
  CPPUNIT_TEST(acceptsIdsThatTheServerAccepts);
  CPPUNIT_TEST(refusesIdsThatTheServerAnswersWith501);
  CPPUNIT_TEST(accepts255BytesAndNot256);
  CPPUNIT_TEST(isEmptyUntilParsed);
  CPPUNIT_TEST(aGeneratedIdIsTheQueueIdAndARandomPart);
  CPPUNIT_TEST(aGeneratedIdWithoutAUsableQueueIdIsRandom);
  CPPUNIT_TEST(aGeneratedIdIsNeverTooLong);
  CPPUNIT_TEST(aGeneratedIdIsValidInEveryCyrusThatHasTrace);
  CPPUNIT_TEST(generatedIdsAreDifferent);
  CPPUNIT_TEST_SUITE_END();

  void acceptsIdsThatTheServerAccepts() {
    for (const char* text : {"a", "-", "_", ".", "t1-aaa", "4AL9K0Yv012345.x_Z", "---"}) {
      const auto id = TraceId::parse(text);
      CPPUNIT_ASSERT_MESSAGE(text, id.has_value());
      CPPUNIT_ASSERT_EQUAL(std::string(text), id->text());
      CPPUNIT_ASSERT_MESSAGE(text, !id->empty());
    }
  }

  void refusesIdsThatTheServerAnswersWith501() {
    const std::string_view refused[] = {"",    " ",        "a b",   "a\r\nRSET", "a\n",
                                        "a/b", "a:b",      "a@b",   "<a>",       "a+b",
                                        "a,b", "\xc3\xa4", "a\x7f", {"a\0b", 3}, "[a]"};
    for (const std::string_view text : refused) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text), !TraceId::parse(text));
    }
  }

  void accepts255BytesAndNot256() {
    CPPUNIT_ASSERT(TraceId::parse(std::string(255, 'x')));
    CPPUNIT_ASSERT(!TraceId::parse(std::string(256, 'x')));
  }

  void isEmptyUntilParsed() {
    CPPUNIT_ASSERT(TraceId().empty());
    CPPUNIT_ASSERT(TraceId() == TraceId());
    CPPUNIT_ASSERT(!(*TraceId::parse("a") == TraceId()));
    CPPUNIT_ASSERT(*TraceId::parse("a") == *TraceId::parse("a"));
  }

  void aGeneratedIdIsTheQueueIdAndARandomPart() {
    for (const std::string queue_id : {"58GCx1Rk012345", "6213AB7c012345-1", "4bWx_z", "a"}) {
      const TraceId id = TraceId::make(queue_id);
      CPPUNIT_ASSERT_MESSAGE(id.text(), id.text().starts_with(queue_id + '-'));
      CPPUNIT_ASSERT_EQUAL_MESSAGE(id.text(), queue_id.size() + 9, id.text().size());
      CPPUNIT_ASSERT_MESSAGE(id.text(), TraceId::parse(id.text()) == id);
    }
  }

  void aGeneratedIdWithoutAUsableQueueIdIsRandom() {
    const std::string_view unusable[] = {"",    " ",        "a b", "a\r\nRSET", "58GCx1Rk012345\n",
                                         "a/b", "\xc3\xa4", "<a>", {"a\0b", 3}, ".",
                                         "a.b"};
    for (const std::string_view queue_id : unusable) {
      const TraceId id = TraceId::make(queue_id);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(id.text(), std::size_t{8}, id.text().size());
      CPPUNIT_ASSERT_MESSAGE(id.text(), TraceId::parse(id.text()) == id);
    }
  }

  void aGeneratedIdIsNeverTooLong() {
    for (std::size_t length = 1; length <= 300; ++length) {
      const TraceId id = TraceId::make(std::string(length, 'q'));
      const bool fits = length + 9 <= TraceId::kMaxLength;
      CPPUNIT_ASSERT_EQUAL(fits ? length + 9 : std::size_t{8}, id.text().size());
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{8}, TraceId::make(std::string(1'000'000, 'q')).text().size());
  }

  // Cyrus 3.13.1 to 3.13.4 refuse an id with a dot (trap: dot-in-trace-id).
  void aGeneratedIdIsValidInEveryCyrusThatHasTrace() {
    constexpr std::string_view kAllowed =
        "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    for (const std::string_view queue_id : {"58GCx1Rk012345", "", "a.b", ".", "a b"}) {
      for (int i = 0; i < 100; ++i) {
        const TraceId id = TraceId::make(queue_id);
        CPPUNIT_ASSERT_MESSAGE(id.text(),
                               id.text().find_first_not_of(kAllowed) == std::string::npos);
      }
    }
  }

  void generatedIdsAreDifferent() {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
      seen.insert(TraceId::make("58GCx1Rk012345").text());
      seen.insert(TraceId::make("").text());
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{2000}, seen.size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TraceIdTest);
