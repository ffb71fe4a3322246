#include "mailer/message/tag_filter.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/tag/tag_format.h"

using lmtpq::mailer::TagFilter;

namespace {

// What the filter takes, and what follows the header.
void pass(TagFilter& filter, std::string_view bytes, std::string& out) {
  const std::size_t taken = filter.feed(bytes, out);
  out += bytes.substr(taken);
}

struct Filtered {
  std::string rest;
  std::vector<std::string> tags;
  std::size_t found;
};

// The text in pieces of `piece` bytes.
Filtered filtered(std::string_view text, std::size_t piece) {
  TagFilter filter;
  Filtered made;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    pass(filter, text.substr(at, piece), made.rest);
  }
  filter.finish(made.rest);
  made.tags = filter.tags();
  made.found = filter.found();
  return made;
}

}  // namespace

class TagFilterTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TagFilterTest);
  CPPUNIT_TEST(everyFormOfATagIsRemovedFromTheHeader);
  CPPUNIT_TEST(everythingElseIsLeftAsItIs);
  CPPUNIT_TEST(theNumberAndLengthOfKeptTagsAreLimited);
  CPPUNIT_TEST(theHeaderEndsAtTheFirstEmptyLineOnly);
  CPPUNIT_TEST_SUITE_END();

  // For every split of the bytes.
  static void check(const std::string& text, const std::string& rest,
                    const std::vector<std::string>& tags) {
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      const Filtered made = filtered(text, piece);
      const std::string about = text + " in pieces of " + std::to_string(piece);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(about, rest, made.rest);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(about, tags.size(), made.found);
      CPPUNIT_ASSERT_MESSAGE(about, tags == made.tags);
    }
  }

  void everyFormOfATagIsRemovedFromTheHeader() {
    const std::string rest = "A: 1\r\nB: 2\r\n 3\r\n\r\nbody\r\n";
    const struct {
      const char* field;
      const char* value;
    } rows[] = {
        {"X-LMTPQ-Tag: v\r\n", " v\r\n"},
        {"x-lmtpq-tag:v\r\n", "v\r\n"},
        {"X-Lmtpq-TAG :v\r\n", "v\r\n"},
        {"X-LMTPQ-Tag\t \t: v\r\n", " v\r\n"},
        {"X-LMTPQ-Tag: v\r\n\tw\r\n  x\r\n", " v\r\n\tw\r\n  x\r\n"},
        {"X-LMTPQ-Tag\r\n\t: v\r\n", " v\r\n"},
        {"X-LMTPQ-Tag \r\n \r\n : v\r\n w\r\n", " v\r\n w\r\n"},
        {"X-LMTPQ-Tag:\r\n", "\r\n"},
        {"X-LMTPQ-Tag\r\n", ""},
        {"X-LMTPQ-Tag no colon\r\n", ""},
        {"X-LMTPQ-Tag: a: b\r\n", " a: b\r\n"},
    };
    for (const auto& row : rows) {
      check(row.field + rest, rest, {row.value});
      check("A: 1\r\n" + std::string(row.field) + "B: 2\r\n 3\r\n\r\nbody\r\n", rest, {row.value});
      check("A: 1\r\nB: 2\r\n 3\r\n" + std::string(row.field) + "\r\nbody\r\n", rest, {row.value});
    }
    check("X-LMTPQ-Tag: 1\r\nX-LMTPQ-Tag: 2\r\nA: 1\r\nX-LMTPQ-Tag: 3\r\n", "A: 1\r\n",
          {" 1\r\n", " 2\r\n", " 3\r\n"});
  }

  void everythingElseIsLeftAsItIs() {
    for (const char* text : {
             "",
             "X-LMTPQ-Tag",
             "X-LMTPQ-Ta",
             "A: 1\r\nX-LM",
             "X-LMTPQ-Tags: v\r\n\r\n",
             "X-LMTPQ-Tag-Old: v\r\n\r\n",
             "XX-LMTPQ-Tag: v\r\n\r\n",
             " X-LMTPQ-Tag: v\r\nA: 1\r\n\r\n",
             "A: 1\r\n X-LMTPQ-Tag: v\r\n\r\n",
             "A: X-LMTPQ-Tag: v\r\n\r\n",
             "A: 1\r\n\r\nX-LMTPQ-Tag: v\r\n",
             "\r\nX-LMTPQ-Tag: v\r\n",
             "X-LMTPQ\xE2\x80\x91Tag: v\r\n\r\n",
             "no field\r\n\r\nX-LMTPQ-Tag: v\r\n",
         }) {
      check(text, text, {});
    }
  }

  void theNumberAndLengthOfKeptTagsAreLimited() {
    std::string text;
    for (int i = 0; i < 1000; ++i) {
      text += "X-LMTPQ-Tag: " + std::to_string(i) + "\r\n";
    }
    const Filtered many = filtered(text + "A: 1\r\n", 100);
    CPPUNIT_ASSERT_EQUAL(std::string("A: 1\r\n"), many.rest);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1000}, many.found);
    CPPUNIT_ASSERT_EQUAL(TagFilter::kMaxTags, many.tags.size());
    CPPUNIT_ASSERT_EQUAL(std::string(" 15\r\n"), many.tags.back());

    std::string large = "X-LMTPQ-Tag:";
    for (int i = 0; i < 1000; ++i) {
      large += std::string(990, 'x') + "\r\n\t";
    }
    for (const std::size_t piece : {std::size_t{1}, std::size_t{4096}, large.size()}) {
      const Filtered one = filtered(large, piece);
      CPPUNIT_ASSERT_EQUAL(std::string(), one.rest);
      CPPUNIT_ASSERT_EQUAL(lmtpq::kMaxTagLength + 1, one.tags.at(0).size());
    }
  }

  void theHeaderEndsAtTheFirstEmptyLineOnly() {
    check("no field\r\nX-LMTPQ-Tag: v\r\n\r\nbody\r\n", "no field\r\n\r\nbody\r\n", {" v\r\n"});
    check("A: 1\r\n \r\nX-LMTPQ-Tag: v\r\n\r\nb", "A: 1\r\n \r\n\r\nb", {" v\r\n"});
    TagFilter filter;
    std::string out;
    pass(filter, "A: 1\r\n", out);
    CPPUNIT_ASSERT(filter.in_header());
    pass(filter, "\r", out);
    pass(filter, "\n", out);
    CPPUNIT_ASSERT(!filter.in_header());
    CPPUNIT_ASSERT_EQUAL(std::string("A: 1\r\n\r\n"), out);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TagFilterTest);
