#include "mailer/settings/ldap_filter.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/options/option_reader.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class LdapFilterTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LdapFilterTest);
  CPPUNIT_TEST(placesAreFilledIn);
  CPPUNIT_TEST(anAddressWithoutARequiredPartIsNotSearched);
  CPPUNIT_TEST(aValueStaysOneValue);
  CPPUNIT_TEST(everyByteIsPlainOrEscaped);
  CPPUNIT_TEST(anInvalidFilterIsAnErrorAtTheStart);
  CPPUNIT_TEST_SUITE_END();

  static std::string filled(const char* filter, std::string_view local, std::string_view domain) {
    return LdapFilter(filter).fill_in(local, domain).value_or("nothing");
  }

  void placesAreFilledIn() {
    const struct {
      const char* filter;
      const char* becomes;
    } rows[] = {
        {"(mail=%s)", "(mail=alice@example.org)"},
        {"(|(mail=%s)(mailLocalAddress=%s))",
         "(|(mail=alice@example.org)(mailLocalAddress=alice@example.org))"},
        {"(&(uid=%u)(dc=%d))", "(&(uid=alice)(dc=example.org))"},
        {"(note=100%% %u)", "(note=100% alice)"},
        {"(uid=%u%d%s)", "(uid=aliceexample.orgalice@example.org)"},
        {"(a=\\28%u\\29)", "(a=\\28alice\\29)"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.becomes), filled(row.filter, "alice", "example.org"));
    }
  }

  void anAddressWithoutARequiredPartIsNotSearched() {
    CPPUNIT_ASSERT_EQUAL(std::string("(mail=alice)"), filled("(mail=%s)", "alice", ""));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), filled("(&(uid=%u)(dc=%d))", "alice", ""));
    CPPUNIT_ASSERT_EQUAL(std::string("(mail=@x)"), filled("(mail=%s)", "", "x"));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), filled("(uid=%u)", "", "x"));
    CPPUNIT_ASSERT_EQUAL(std::string("(dc=x)"), filled("(dc=%d)", "", "x"));
  }

  // RFC 4515 section 3: NUL, ( ) * and the backslash must be escaped.
  void aValueStaysOneValue() {
    CPPUNIT_ASSERT_EQUAL(std::string("(mail=\\2a\\29\\28uid=\\2a@x)"),
                         filled("(mail=%s)", "*)(uid=*", "x"));
    CPPUNIT_ASSERT_EQUAL(std::string("(mail=a\\5c29@x)"), filled("(mail=%s)", "a\\29", "x"));
    CPPUNIT_ASSERT_EQUAL(std::string("(mail=\\25s@\\25u)"), filled("(mail=%s)", "%s", "%u"));
    CPPUNIT_ASSERT_EQUAL(std::string("(mail=\\c3\\a4@x)"), filled("(mail=%s)", "\xc3\xa4", "x"));
    CPPUNIT_ASSERT_EQUAL(std::string("a\\00b\\20c"), filter_value(std::string_view("a\0b c", 5)));
  }

  void everyByteIsPlainOrEscaped() {
    const std::string_view safe = "@.-_+=";
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      const std::string made = filter_value(std::string(1, c));
      const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                         (byte >= 'A' && byte <= 'Z') || safe.find(c) != safe.npos;
      if (plain) {
        CPPUNIT_ASSERT_EQUAL(std::string(1, c), made);
      } else {
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, made.size());
        CPPUNIT_ASSERT_EQUAL(byte, std::stoi(made.substr(1), nullptr, 16));
      }
    }
  }

  void anInvalidFilterIsAnErrorAtTheStart() {
    const struct {
      const char* filter;
      const char* words;
    } rows[] = {
        {"", "unbalanced parentheses"},
        {"mail=%s", "unbalanced parentheses"},
        {"(mail=%s", "unbalanced parentheses"},
        {"(mail=%s))", "unbalanced parentheses"},
        {"(mail=%s)(uid=%u)", "unbalanced parentheses"},
        {")mail=%s(", "unbalanced parentheses"},
        {"(mail=alice)", "the filter has no %s, %u or %d"},
        {"(mail=100%%)", "the filter has no %s, %u or %d"},
        {"(mail=%0)", "% must be followed by s"},
        {"(mail=%S)", "% must be followed by s"},
        {"(mail=%s%)", "% must be followed by s"},
    };
    for (const auto& row : rows) {
      try {
        const LdapFilter taken(row.filter);
        CPPUNIT_FAIL(std::string("taken: ") + row.filter);
      } catch (const ConfigError& error) {
        CPPUNIT_ASSERT_MESSAGE(error.what(), std::string(error.what()).starts_with(row.words));
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LdapFilterTest);
