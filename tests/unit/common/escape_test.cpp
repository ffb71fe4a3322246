#include "common/escape.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>

class EscapeTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(EscapeTest);
  CPPUNIT_TEST(measuresWellFormedSequences);
  CPPUNIT_TEST(measuresZeroForMalformedSequences);
  CPPUNIT_TEST(keepsUtf8AndEscapesTheOthers);
  CPPUNIT_TEST(escapesWhatControlsTheDisplay);
  CPPUNIT_TEST(displaysQuotesAndBackslashesAsTheyAre);
  CPPUNIT_TEST_SUITE_END();

  void measuresWellFormedSequences() {
    const std::string_view cases[] = {"a",
                                      {"\0", 1},
                                      "\xc2\x80",
                                      "\xdf\xbf",
                                      "\xe0\xa0\x80",
                                      "\xed\x9f\xbf",
                                      "\xef\xbf\xbf",
                                      "\xf0\x90\x80\x80",
                                      "\xf4\x8f\xbf\xbf"};
    for (const std::string_view text : cases) {
      CPPUNIT_ASSERT_EQUAL(text.size(), lmtpq::utf8_length(std::string(text) + "z"));
    }
  }

  void measuresZeroForMalformedSequences() {
    for (const char* text :
         {"", "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z", "\xe0\x9f\xbf", "\xe2\x82",
          "\xe2\x82z", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
          "\xff", "\xf0\x90\x80"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(lmtpq::escaped(text), std::size_t{0}, lmtpq::utf8_length(text));
    }
  }

  void keepsUtf8AndEscapesTheOthers() {
    const struct {
      std::string_view text;
      const char* shown;
    } cases[] = {{"plain =", "plain ="},
                 {"\r\n\t", "\\r\\n\\t"},
                 {"\"\\", "\\\"\\\\"},
                 {{"\0\x1b\x7f", 3}, "\\x00\\x1b\\x7f"},
                 {"\xc3\xbc\xc2\xa0", "\xc3\xbc\xc2\xa0"},
                 {"\xc2\x85\xc2\x9f", "\\xc2\\x85\\xc2\\x9f"},
                 {"\xfcz\xe2\x82", "\\xfcz\\xe2\\x82"}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.shown), lmtpq::escaped(row.text));
    }
  }

  // The C1 controls, the Unicode property Default_Ignorable_Code_Point, U+2028, U+2029, and U+FFF9
  // to U+FFFB. Their neighbours are shown.
  void escapesWhatControlsTheDisplay() {
    const auto utf8 = [](unsigned code) {
      std::string text;
      if (code < 0x800) {
        text += static_cast<char>(0xC0 | code >> 6);
      } else {
        if (code < 0x10000) {
          text += static_cast<char>(0xE0 | code >> 12);
        } else {
          text += static_cast<char>(0xF0 | code >> 18);
          text += static_cast<char>(0x80 | (code >> 12 & 0x3F));
        }
        text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      }
      return text + static_cast<char>(0x80 | (code & 0x3F));
    };
    const std::set<unsigned> single = {0xAD,   0x34F,  0x61C,  0x115F, 0x1160,
                                       0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0};
    const auto misleads = [&single](unsigned code) {
      return code <= 0x9F || single.contains(code) || (code >= 0x180B && code <= 0x180F) ||
             (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
             (code >= 0x2060 && code <= 0x206F) || (code & ~0xFU) == 0xFE00 ||
             (code >= 0xFFF0 && code <= 0xFFFB) || (code & ~3U) == 0x1BCA0 ||
             (code >= 0x1D173 && code <= 0x1D17A) || code >> 12 == 0xE0;
    };
    for (unsigned code = 0x80; code < 0x110000; ++code) {
      if (code >> 11 == 0xD800 >> 11) {
        continue;  // surrogates
      }
      const std::string shown = lmtpq::escaped(utf8(code));
      CPPUNIT_ASSERT_MESSAGE(shown, misleads(code) == shown.starts_with("\\x"));
      CPPUNIT_ASSERT_EQUAL(misleads(code), lmtpq::controls_display(utf8(code)));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("\\xef\\xbb\\xbf250 ok"), lmtpq::escaped("\xef\xbb\xbf"
                                                                              "250 ok"));
    CPPUNIT_ASSERT_EQUAL(std::string("gpj.\\xe2\\x80\\xaeexe"), lmtpq::escaped("gpj.\xe2\x80\xae"
                                                                               "exe"));
  }

  void displaysQuotesAndBackslashesAsTheyAre() {
    CPPUNIT_ASSERT_EQUAL(std::string("CN=\"a\\b\" \\n\\x1b\\xe2\\x81\\xa7"),
                         lmtpq::displayed("CN=\"a\\b\" \n\x1b\xe2\x81\xa7"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(EscapeTest);
