#include <cppunit/extensions/HelperMacros.h>

#include <cstdint>

#include "common/options/option_reader.h"

class OptionValuesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OptionValuesTest);
  CPPUNIT_TEST(durationsHaveUnits);
  CPPUNIT_TEST(sizesHaveUnits);
  CPPUNIT_TEST(numbersAreDigits);
  CPPUNIT_TEST(switchesAreYesOrNo);
  CPPUNIT_TEST_SUITE_END();

  template <typename Parse>
  static void check_refused(Parse parse, std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) {
      CPPUNIT_ASSERT_THROW_MESSAGE(std::string(text), parse(text), lmtpq::ConfigError);
    }
  }

  void durationsHaveUnits() {
    const struct {
      const char* text;
      long long milliseconds;
    } cases[] = {{"0", 0},
                 {"30", 30'000},
                 {"30s", 30'000},
                 {"500ms", 500},
                 {"5m", 300'000},
                 {"1h", 3'600'000},
                 {"2d", 172'800'000},
                 {"1w", 604'800'000},
                 {"007s", 7'000},
                 {"5200w", 3'144'960'000'000}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(row.milliseconds, 0LL + lmtpq::parse_duration(row.text).count());
    }
    check_refused(lmtpq::parse_duration,
                  {"", "s", "5x", "5 s", " 5", "-5", "+5", "5S", "1h30m", "1.5h", "5201w", "0x5",
                   "99999999999999999999", "18446744073709551615w"});
  }

  void sizesHaveUnits() {
    const struct {
      const char* text;
      std::uint64_t bytes;
    } cases[] = {{"0", 0},
                 {"4096", 4096},
                 {"64k", 65536},
                 {"1K", 1024},
                 {"30M", 31457280},
                 {"2G", 2147483648},
                 {"18446744073709551615", UINT64_MAX}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(row.bytes, lmtpq::parse_size(row.text));
    }
    check_refused(lmtpq::parse_size, {"", "k", "5x", "5kb", "-1", "1.5M", "18446744073709551616",
                                      "17179869184G", "5 k"});
  }

  void numbersAreDigits() {
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, lmtpq::parse_number("0"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{UINT64_MAX}, lmtpq::parse_number("18446744073709551615"));
    check_refused(lmtpq::parse_number, {"", "-1", "+1", "1k", " 1", "1 ", "18446744073709551616"});
  }

  void switchesAreYesOrNo() {
    for (const char* text : {"yes", "true", "on", "1"}) {
      CPPUNIT_ASSERT(lmtpq::parse_switch(text));
    }
    for (const char* text : {"no", "false", "off", "0"}) {
      CPPUNIT_ASSERT(!lmtpq::parse_switch(text));
    }
    check_refused(lmtpq::parse_switch, {"", "Yes", "y", "2", "yes "});
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OptionValuesTest);
