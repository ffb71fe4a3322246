#include "common/header.h"

#include "common/ascii.h"

#include <cppunit/extensions/HelperMacros.h>

#include <vector>

using lmtpq::Field;
using lmtpq::HeaderReader;

namespace {

std::vector<Field> read_all(std::string_view text) {
  HeaderReader reader(text);
  std::vector<Field> fields;
  while (const auto field = reader.next()) {
    fields.push_back(*field);
  }
  return fields;
}

void check_equal(const std::string& expected, std::string_view actual) {
  CPPUNIT_ASSERT_EQUAL(expected, std::string(actual));
}

}  // namespace

class HeaderTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(HeaderTest);
  CPPUNIT_TEST(returnsFieldsInOrder);
  CPPUNIT_TEST(keepsAFoldedFieldTogether);
  CPPUNIT_TEST(stopsAtTheEmptyLine);
  CPPUNIT_TEST(returnsNoFieldThatIsCutOff);
  CPPUNIT_TEST(continuesAfterALineThatIsNoField);
  CPPUNIT_TEST(ignoresWhiteSpaceBeforeTheColon);
  CPPUNIT_TEST(aBareCrOrLfIsNoLineEnd);
  CPPUNIT_TEST(rawPartsAddUpToTheHeader);
  CPPUNIT_TEST(aNameHasAnyPrintableCharacterButTheColon);
  CPPUNIT_TEST(comparesNamesWithoutCase);
  CPPUNIT_TEST(unfoldsToOneTrimmedLine);
  CPPUNIT_TEST_SUITE_END();

  void returnsFieldsInOrder() {
    const auto fields = read_all("Received: a\r\nSubject:b \r\nX-Empty:\r\n\r\nNot: here\r\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, fields.size());
    check_equal("Received", fields[0].name);
    check_equal(" a", fields[0].value);
    check_equal("Received: a\r\n", fields[0].raw);
    check_equal("Subject", fields[1].name);
    check_equal("b ", fields[1].value);
    check_equal("X-Empty", fields[2].name);
    check_equal("", fields[2].value);
  }

  void keepsAFoldedFieldTogether() {
    const auto fields = read_all("A: 1\r\n 2\r\n\t3\r\n \r\nB: 4\r\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, fields.size());
    check_equal(" 1\r\n 2\r\n\t3\r\n ", fields[0].value);
    check_equal("B", fields[1].name);
  }

  void stopsAtTheEmptyLine() {
    HeaderReader reader("A: 1\r\n\r\nB: 2\r\n");
    CPPUNIT_ASSERT(reader.next());
    CPPUNIT_ASSERT(!reader.next());
    CPPUNIT_ASSERT(!reader.next());
    CPPUNIT_ASSERT(read_all("\r\nA: 1\r\n").empty());
    CPPUNIT_ASSERT(read_all("").empty());
  }

  void returnsNoFieldThatIsCutOff() {
    for (const char* text : {"A: 1\r\nB: 2", "A: 1\r\nB: 2\r", "A: 1\r\nB: 2\r\n 3", "A: 1\r\nB"}) {
      const auto fields = read_all(text);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::size_t{1}, fields.size());
      check_equal("A", fields[0].name);
    }
  }

  void continuesAfterALineThatIsNoField() {
    for (const char* line : {"no colon here\r\n", "two words: x\r\n", ": no name\r\n", " : x\r\n",
                             "n\xc3\xa4me: x\r\n", "a\x01: x\r\n", " continued\r\n more\r\n",
                             "From alice Sat Nov 21 09:20:00 2026\r\n", "word\r\n text: x\r\n"}) {
      const std::string text = std::string(line) + "B: 2\r\n";
      const auto fields = read_all(text);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(line, std::size_t{2}, fields.size());
      check_equal("", fields[0].name);
      check_equal(line, fields[0].raw);
      check_equal("B", fields[1].name);
    }
  }

  void ignoresWhiteSpaceBeforeTheColon() {
    for (const char* text : {"X-Tag : v\r\n", "X-Tag \t: v\r\n", "X-Tag\r\n : v\r\n"}) {
      const auto fields = read_all(text);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::size_t{1}, fields.size());
      check_equal("X-Tag", fields[0].name);
      check_equal(" v", fields[0].value);
    }
  }

  void aBareCrOrLfIsNoLineEnd() {
    const auto fields = read_all("A: 1\nB: 2\rC: 3\r\nD: 4\r\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, fields.size());
    check_equal("A", fields[0].name);
    check_equal("D", fields[1].name);
    check_equal("", read_all("A\nB: 1\r\n").at(0).name);
  }

  void rawPartsAddUpToTheHeader() {
    const std::string header = "A: 1\r\n 2\r\nbad line\r\nB : 3\r\n\t\r\n";
    std::string sum;
    const std::string message = header + "\r\nbody\r\n";
    for (const Field& field : read_all(message)) {
      sum += field.raw;
    }
    CPPUNIT_ASSERT_EQUAL(header, sum);
  }

  // RFC 5322 section 2.2: printable ASCII without the colon.
  void aNameHasAnyPrintableCharacterButTheColon() {
    for (int i = 0; i < 256; ++i) {
      const bool printable = i >= 33 && i <= 126 && i != ':';
      const std::string name = {'a', static_cast<char>(i)};
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::to_string(i), printable, lmtpq::is_field_name(name));
    }
    CPPUNIT_ASSERT(!lmtpq::is_field_name(""));
  }

  void comparesNamesWithoutCase() {
    CPPUNIT_ASSERT(lmtpq::same_word("Message-ID", "message-id"));
    CPPUNIT_ASSERT(lmtpq::same_word("", ""));
    CPPUNIT_ASSERT(!lmtpq::same_word("To", "Too"));
    CPPUNIT_ASSERT(!lmtpq::same_word("a[", "a{"));
    CPPUNIT_ASSERT(!lmtpq::same_word("\xc3\xa4", "\xc3\x84"));
  }

  void unfoldsToOneTrimmedLine() {
    const struct {
      const char* value;
      const char* text;
    } cases[] = {{" a\r\n b", "a b"},
                 {"a\r\n\tb ", "a\tb"},
                 {"", ""},
                 {" \t ", ""},
                 {"\r\n \r\n x", "x"},
                 {"a\r\r\n\nb", "ab"},
                 {"a\rX-Tag: v", "aX-Tag: v"},
                 {"  a  ", "a"}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.text), lmtpq::unfold(row.value));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HeaderTest);
