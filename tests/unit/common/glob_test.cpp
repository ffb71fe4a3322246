#include "common/glob.h"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

using lmtpq::glob_matches;

class GlobTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(GlobTest);
  CPPUNIT_TEST(matchesTheWholeText);
  CPPUNIT_TEST(starIsAnyRunAndQuestionMarkAnyByte);
  CPPUNIT_TEST(ignoresTheCaseOfAsciiLetters);
  CPPUNIT_TEST(otherCharactersMatchThemselves);
  CPPUNIT_TEST(agreesWithTheDefinitionOnAllShortTexts);
  CPPUNIT_TEST(timeIsBoundedForEveryPattern);
  CPPUNIT_TEST_SUITE_END();

  struct Case {
    std::string_view pattern;
    std::string_view text;
    bool matches;
  };

  template <std::size_t N>
  static void check(const Case (&cases)[N]) {
    for (const Case& row : cases) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(row.pattern) + " and " + std::string(row.text),
                                   row.matches, glob_matches(row.pattern, row.text));
    }
  }

  void matchesTheWholeText() {
    check({{"", "", true},
           {"", "a", false},
           {"a", "", false},
           {"a", "a", true},
           {"a", "aa", false},
           {"aa", "a", false},
           {"notice@example.org", "notice@example.org", true},
           {"notice@example.org", "notice@example.org.evil.test", false},
           {"notice@example.org", "xnotice@example.org", false}});
  }

  void starIsAnyRunAndQuestionMarkAnyByte() {
    check({{"*", "", true},
           {"*", "abc", true},
           {"***", "", true},
           {"***", "abc", true},
           {"?", "", false},
           {"?", "a", true},
           {"?", "ab", false},
           {"??", "\xc3\xa4", true},
           {"*?", "", false},
           {"*?", "abc", true},
           {"?*", "a", true},
           {"a*", "a", true},
           {"a*", "ba", false},
           {"*a", "ba", true},
           {"*a", "ab", false},
           {"*@example.org", "alice@example.org", true},
           {"*@example.org", "@example.org", true},
           {"*@example.org", "alice@example.org.", false},
           {"*.example.org", "example.org", false},
           {"a*b*c", "abc", true},
           {"a*b*c", "axbxbxc", true},
           {"a*b*c", "axcxb", false},
           {"*ab", "aab", true},
           {"*ab*ab", "abab", true},
           {"*ab*ab", "ab", false},
           {"*a?c", "abcadc", true},
           {"*a?c", "abcadcx", false},
           {"yes*", "yes, please", true},
           {"*\n*", "a\nb", true},
           {"a?b", {"a\0b", 3}, true},
           {"a", {"a\0b", 3}, false}});
  }

  void ignoresTheCaseOfAsciiLetters() {
    check({{"Notice@EXAMPLE.org", "nOTICE@example.ORG", true},
           {"[", "{", false},
           {"@", "`", false},
           {"\xc3\xa4", "\xc3\x84", false},
           {"\xe4", "\xc4", false}});
  }

  void otherCharactersMatchThemselves() {
    check({{"[ab]", "a", false},
           {"[ab]", "[ab]", true},
           {"a.c", "abc", false},
           {"\\*", "*", false},
           {"\\*", "\\anything", true},
           {"{a,b}", "a", false},
           {"a|b", "a", false},
           {"*", "*", true},
           {"!a", "b", false}});
  }

  // The definition of a match, as a recursion for short texts.
  static bool defined(std::string_view pattern, std::string_view text) {
    if (pattern.empty()) {
      return text.empty();
    }
    if (pattern[0] == '*') {
      return defined(pattern.substr(1), text) ||
             (!text.empty() && defined(pattern, text.substr(1)));
    }
    return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
           defined(pattern.substr(1), text.substr(1));
  }

  static std::string word(std::string_view letters, unsigned number) {
    std::string made;
    for (; number > 0; number /= static_cast<unsigned>(letters.size() + 1)) {
      const unsigned digit = number % static_cast<unsigned>(letters.size() + 1);
      if (digit > 0) {
        made += letters[digit - 1];
      }
    }
    return made;
  }

  void agreesWithTheDefinitionOnAllShortTexts() {
    for (unsigned p = 0; p < 3125; ++p) {
      const std::string pattern = word("ab*?", p);
      for (unsigned t = 0; t < 729; ++t) {
        const std::string text = word("ab", t);
        if (glob_matches(pattern, text) != defined(pattern, text)) {
          CPPUNIT_FAIL(pattern + " and " + text);
        }
      }
    }
  }

  // A recursive matcher would take practically forever for each of these.
  void timeIsBoundedForEveryPattern() {
    const std::string text(8 * 1024, 'a');
    CPPUNIT_ASSERT(!glob_matches("*a*a*a*a*b", text));
    CPPUNIT_ASSERT(glob_matches("*a*a*a*a*a", text));
    std::string stars;
    for (int i = 0; i < 500; ++i) {
      stars += "*a";
    }
    CPPUNIT_ASSERT(!glob_matches(stars + "b", text));
    CPPUNIT_ASSERT(glob_matches(stars, text));
    CPPUNIT_ASSERT(!glob_matches("*" + std::string(4096, 'a') + "b", text));
    CPPUNIT_ASSERT(glob_matches(std::string(100'000, '*'), text));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GlobTest);
