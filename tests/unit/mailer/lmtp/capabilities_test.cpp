#include "mailer/lmtp/capabilities.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::mailer::Capabilities;
using lmtpq::mailer::Reply;
using lmtpq::mailer::ReplyParser;

namespace {

Capabilities of(std::string_view bytes) {
  ReplyParser parser;
  CPPUNIT_ASSERT(parser.parse(bytes) == ReplyParser::Result::kReply);
  return Capabilities(parser.take());
}

}  // namespace

class CapabilitiesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CapabilitiesTest);
  CPPUNIT_TEST(offersNothingByDefault);
  CPPUNIT_TEST(skipsTheFirstLineWhichIsTheServersName);
  CPPUNIT_TEST(comparesWholeKeywordsInAnyCase);
  CPPUNIT_TEST(readsTheListThatCyrusEndsWithOk);
  CPPUNIT_TEST(anEnhancedStatusDoesNotChangeTheOrderOfLines);
  CPPUNIT_TEST(readsTheSizeLimit);
  CPPUNIT_TEST(readsLimits);
  CPPUNIT_TEST(ignoresInvalidLines);
  CPPUNIT_TEST_SUITE_END();

  // "mail rcpt domains", "-" if there is no limit.
  static std::string limits(const std::string& parameters) {
    const Capabilities told = of("250-h\r\n250-LIMITS" + parameters + "\r\n250 SIZE\r\n");
    std::string all;
    for (const auto& limit : {told.mail_max(), told.rcpt_max(), told.rcpt_domain_max()}) {
      all += (all.empty() ? "" : " ") + (limit ? std::to_string(*limit) : "-");
    }
    return all;
  }

  void readsLimits() {  // trap: limits-keyword
    const std::pair<const char*, const char*> rows[] = {
        {"", "- - -"},
        {" MAILMAX=1 RCPTMAX=20 RCPTDOMAINMAX=3", "1 20 3"},
        {" rcptmax=999999", "- 999999 -"},
        {" RCPTMAX=1000000", "- - -"},
        {" RCPTMAX=99999999999999999999999", "- - -"},
        {" RCPTMAX=0 MAILMAX=0", "- - -"},
        {" RCPTMAX=-1 MAILMAX=+1 RCPTDOMAINMAX= ", "- - -"},
        {" RCPTMAX=1x MAILMAX=x1", "- - -"},
        {" RCPTMAX MAILMAX:1 =5 == FOO=7 RCPTMAX=5", "- 5 -"},
        {" XRCPTMAX=1 RCPTMAXX=1 RCPTDOMAINMAX=2", "- - 2"},
        {"  RCPTMAX=5   MAILMAX=2  ", "2 5 -"},
        {" RCPTMAX=5 RCPTMAX=3 RCPTMAX=9", "- 3 -"}};
    for (const auto& [parameters, all] : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(parameters, std::string(all), limits(parameters));
    }
    // A similar keyword does not count.
    CPPUNIT_ASSERT(!of("250-LIMITS RCPTMAX=1\r\n250 XLIMITS RCPTMAX=1\r\n").rcpt_max());
  }

  void offersNothingByDefault() {
    CPPUNIT_ASSERT(Capabilities().all().empty() && !Capabilities().offers("SIZE"));
    CPPUNIT_ASSERT(Capabilities(Reply()).all().empty() && !Capabilities().size_limit());
  }

  void skipsTheFirstLineWhichIsTheServersName() {
    CPPUNIT_ASSERT(of("250 IGNOREQUOTA\r\n").all().empty());
    CPPUNIT_ASSERT(of("250-IGNOREQUOTA at your service\r\n250 TRACE\r\n").all().size() == 1);
  }

  void comparesWholeKeywordsInAnyCase() {
    const Capabilities some =
        of("250-h\r\n250-Pipelining\r\n250-XTRACE\r\n250-SIZES\r\n250 trace\r\n");
    CPPUNIT_ASSERT(some.offers("PIPELINING") && some.offers("TRACE"));
    for (const char* missing : {"SIZE", "IGNOREQUOTA", "PIPE", "", "H"}) {
      CPPUNIT_ASSERT_MESSAGE(missing, !some.offers(missing));
    }
  }

  void readsTheListThatCyrusEndsWithOk() {  // trap: sessionid-in-lhlo
    const Capabilities cyrus = of(
        "250-mail\r\n250-8BITMIME\r\n250-SIZE 262144\r\n250-AUTH PLAIN LOGIN\r\n250-IGNOREQUOTA\r\n"
        "250-TRACE\r\n250 Ok SESSIONID=<s>\r\n");
    for (const char* keyword : {"8BITMIME", "SIZE", "AUTH", "IGNOREQUOTA", "TRACE"}) {
      CPPUNIT_ASSERT_MESSAGE(keyword, cyrus.offers(keyword));
    }
    CPPUNIT_ASSERT(!cyrus.offers("SESSIONID") && !cyrus.offers("PLAIN"));
    CPPUNIT_ASSERT_EQUAL(std::string("PLAIN LOGIN"), cyrus.all().at(2).second);
  }

  // Otherwise the server's name in the first line could be read as a keyword.
  void anEnhancedStatusDoesNotChangeTheOrderOfLines() {
    const Capabilities odd = of("250-TRACE\r\n250-SIZE 5\r\n250 2.0.0 Ok\r\n");
    CPPUNIT_ASSERT(odd.offers("SIZE"));
    CPPUNIT_ASSERT(!odd.offers("TRACE"));
  }

  void readsTheSizeLimit() {
    const struct {
      const char* line;
      std::uint64_t limit;  // 0: none
    } rows[] = {
        {"SIZE 1", 1},
        {"size 262144", 262144},
        {"SIZE 18446744073709551615", 18446744073709551615u},
        {"SIZE", 0},
        {"SIZE ", 0},
        {"SIZE 0", 0},  // RFC 1870 section 4: no fixed maximum
        {"SIZE -1", 0},
        {"SIZE 99999999999999999999", 0},
        {"SIZE x", 0},
        {"SIZE 10k", 0},
        {"SIZES 5", 0},
        {"X SIZE 5", 0},
    };
    for (const auto& row : rows) {
      const auto limit = of("250-h\r\n250 " + std::string(row.line) + "\r\n").size_limit();
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.line, row.limit != 0, limit.has_value());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.line, row.limit, limit.value_or(0));
    }
  }

  void ignoresInvalidLines() {  // trap: limits-keyword
    const Capabilities junk =
        of("250-h\r\n250-\r\n250-LIMITS RCPTMAX=0 ?\r\n250-=\r\n250- \r\n"
           "250-\xff\r\n250 IGNOREQUOTA \r\n");
    CPPUNIT_ASSERT(junk.offers("IGNOREQUOTA") && junk.offers("LIMITS") && !junk.size_limit());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CapabilitiesTest);
