#include "mailer/routes/route_file.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/options/option_reader.h"
#include "tests/unit/mailer/routes/route_texts.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class RouteFileTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RouteFileTest);
  CPPUNIT_TEST(theMostSpecificPatternCounts);
  CPPUNIT_TEST(theFirstPatternWithAStarCounts);
  CPPUNIT_TEST(anAddressWithDetailIsLookedUpBeforeTheOneWithout);
  CPPUNIT_TEST(addressesAreComparedWithoutCaseAndQuotes);
  CPPUNIT_TEST(aRecipientWithoutDomainHasNoDomainRoute);
  CPPUNIT_TEST(aRouteIsAListInOrder);
  CPPUNIT_TEST(anErrorRouteRefusesTheRecipient);
  CPPUNIT_TEST(anErrorThatMayBeMeantToDeferIsRefused);
  CPPUNIT_TEST(commentsAndBlankLinesAreSkipped);
  CPPUNIT_TEST(anErrorNamesTheLine);
  CPPUNIT_TEST(theNumberOfPatternsWithStarsIsLimited);
  CPPUNIT_TEST(aHundredThousandLinesAreFound);
  CPPUNIT_TEST_SUITE_END();

  struct Row {
    const char* address;
    const char* route;
  };
  template <std::size_t N>
  static void check(const std::string& text, const Row (&rows)[N]) {
    const RouteFile file = RouteFile::parse(text, "routes");
    for (const Row& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.address, std::string(row.route),
                                   route_text(file.find(recipient(row.address))));
    }
  }
  static std::string mistake(const std::string& text) {
    try {
      RouteFile::parse(text, "routes");
      return "none";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }

  // In any order of the lines.
  void theMostSpecificPatternCounts() {
    const std::string lines[] = {"*@example.org glob\n", "@example.org domain\n", "alice@ user\n",
                                 "alice@example.org exact\n", "carol bare\n"};
    const Row rows[] = {{"alice@example.org", "inet:exact"},
                        {"alice@example.net", "inet:user"},
                        {"alice", "inet:user"},
                        {"bob@example.org", "inet:domain"},
                        {"bob@example.net", "default"},
                        {"carol@example.org", "inet:bare"},
                        {"carol", "inet:bare"},
                        {"bob@sub.example.org", "default"},
                        {"bob", "default"},
                        {"xalice@example.net", "default"}};
    std::string forwards;
    std::string backwards;
    for (const std::string& line : lines) {
      forwards += line;
      backwards = line + backwards;
    }
    check(forwards, rows);
    check(backwards, rows);
  }

  void theFirstPatternWithAStarCounts() {
    check("*@a.example.org a\n*@*.example.org sub\n?ob@* short\nm* smtp:mx\n* rest\n",
          {{"u@a.example.org", "inet:a"},
           {"u@b.example.org", "inet:sub"},
           {"bob@b.example.org", "inet:sub"},
           {"bob@x", "inet:short"},
           {"mary@x", "smtp:mx"},
           {"u@x", "inet:rest"},
           {"u", "inet:rest"}});
  }

  void anAddressWithDetailIsLookedUpBeforeTheOneWithout() {
    check(
        "alice@x exact\nalice+lists@x detail\nbob@ user\nbob+d@ userdetail\n@x domain\n"
        "g?b@* glob\n+common@ common\n",
        {{"alice+lists@x", "inet:detail"},
         {"alice+other@x", "inet:exact"},
         {"alice+lists+more@x", "inet:exact"},
         {"alice+@x", "inet:exact"},
         {"bob+d@y", "inet:userdetail"},
         {"bob+e@y", "inet:user"},
         {"bob+d@x", "inet:userdetail"},
         {"dave+d@x", "inet:domain"},
         {"gob+d@y", "inet:glob"},
         {"+shared@y", "default"},
         {"+common@x", "inet:common"},
         {"alice-lists@y", "default"}});
  }

  void addressesAreComparedWithoutCaseAndQuotes() {
    check(
        "Alice@Example.ORG exact\n\"b b\"@x blank\n@DOMAIN. domain\nC*@y glob\n"
        "\"d\\\" d\"@x quote\n",
        {{"aLICE@eXAMPLE.org", "inet:exact"},
         {"alice@example.org.", "inet:exact"},
         {"\"alice\"@example.org", "inet:exact"},
         {"\"al\\ice\"@example.org", "inet:exact"},
         {"\"B b\"@x", "inet:blank"},
         {"u@domain", "inet:domain"},
         {"u@domain.", "inet:domain"},
         {"\"c\"@Y", "inet:glob"},
         {R"("d\" d"@x)", "inet:quote"},
         {"\xc3\xa4@domain", "inet:domain"}});
  }

  void aRecipientWithoutDomainHasNoDomainRoute() {
    check("@x domain\nalice@x exact\n", {{"alice", "default"},
                                         {"\"alice@x\"", "default"},
                                         {"\"u@x\"", "default"},
                                         {"\"\"@x", "inet:domain"}});
  }

  void aRouteIsAListInOrder() {
    const Row rows[] = {{"u@x", "inet:b:24, unix:/a, inet:[2001:db8::1]:2003"}};
    check("u@x b:24, unix:/a, [2001:DB8::1]:2003\n", rows);
    check("u@x\tb:24 unix:/a inet:[2001:db8::1]:2003\r\n", rows);
    check("u@x b:24,unix:/a , [2001:db8::1]:2003", rows);
  }

  void anErrorRouteRefusesTheRecipient() {
    check(
        "b@x error: gone for good\nc@x ERROR:5.1.6 Moved, to y\nd@x error:4.2.1 \n"
        "e@x error:5.7.1\nf@x error\n",
        {{"b@x", "550 5.1.1 gone for good"},
         {"c@x", "550 5.1.6 Moved, to y"},
         {"d@x", "451 4.2.1 User unknown"},
         {"e@x", "550 5.7.1 User unknown"},
         {"f@x", "inet:error"}});
  }

  // Without a status the recipient bounces.
  void anErrorThatMayBeMeantToDeferIsRefused() {
    for (const std::string text : {"",
                                   " ",
                                   ":4.2.1 moved",
                                   "\"4.2.1 moved\"",
                                   "'4.2.1",
                                   "@moved",
                                   "`moved",
                                   "{moved",
                                   "(4.2.1) x",
                                   ", moved",
                                   "[moved]",
                                   "42.1 x",
                                   "4.21 x",
                                   "4.2 x",
                                   "421 x",
                                   "451 4.2.1 x",
                                   "4.2.1moved",
                                   "4,2,1 x",
                                   "4.2.1.1 x",
                                   "4.x.1 moved",
                                   "X4.2.1 moved",
                                   "status 4.2.1 moved",
                                   "moved (4.2.1)",
                                   "moved, 4.2.1.",
                                   "moved 5.1.6",
                                   "\xEF\xBC\x94.2.1 x",
                                   "-4.2.1 x",
                                   "2.1.5 fine"}) {
      const std::string words = mistake("u@x error:" + text);
      CPPUNIT_ASSERT_MESSAGE(text + " gives: " + words,
                             words.starts_with("routes:1: expected error:TEXT or error:STATUS"));
    }
    check(
        "a@x error:Use 192.0.2.4 or 4.2.1.1, room 4.2\nb@x error:4.2.1 See 5.1.1\nc@x error:v2 is "
        "gone\n",
        {{"a@x", "550 5.1.1 Use 192.0.2.4 or 4.2.1.1, room 4.2"},
         {"b@x", "451 4.2.1 See 5.1.1"},
         {"c@x", "550 5.1.1 v2 is gone"}});
    check("a@x error:a\nb@x error:z\nc@x error:A\nd@x error:Z\n", {{"a@x", "550 5.1.1 a"},
                                                                   {"b@x", "550 5.1.1 z"},
                                                                   {"c@x", "550 5.1.1 A"},
                                                                   {"d@x", "550 5.1.1 Z"}});
  }

  void commentsAndBlankLinesAreSkipped() {
    const RouteFile file = RouteFile::parse(
        "\xEF\xBB\xBF# first\n\n   \t\r\n  # more\n  u@x   s  \n#u@x t\n", "routes");
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, file.size());
    CPPUNIT_ASSERT_EQUAL(std::string("inet:s"), route_text(file.find(recipient("u@x"))));
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, RouteFile::parse("", "routes").size());
  }

  void anErrorNamesTheLine() {
    const struct {
      std::string text;
      std::string words;
    } rows[] = {
        {"u@x s\nv@x\n", "routes:2: no DEST after \"v@x\"; expected `PATTERN DEST"},
        {"\n\nu@x a:b:c", "routes:3: \"a:b:c\": an IPv6 address must be in [ ]; expected"},
        {"u@x a, /run/s", "routes:1: \"/run/s\": did you mean unix:/run/s?"},
        {"u@x ,", "routes:1: expected `PATTERN DEST"},  // trap: route-to-nowhere
        {"<u@x> s", "routes:1: \"<u@x>\" is not an address; expected user@domain"},
        {"u@x@ s", "routes:1: \"u@x@\" is not an address"},
        {"@ s", "routes:1: \"@\" is not an address"},
        {"\"\"@x s", "routes:1: \"\\\"\\\"@x\" is not an address"},
        {"u@x s\nU@X. t\n", "routes:2: \"U@X.\" has a route already, in line 1; remove one"},
        {"u s\nu@ t\n", "routes:2: \"u@\" has a route already, in line 1"},
        {"u@x s\x1b[1m", "routes:1: control character in the line"},
        {"u@x s\x7f", "routes:1: control character in the line"},
        {"u@x \x1f", "routes:1: control character in the line"},
        {std::string("u@x s\0t", 7), "routes:1: control character in the line"},
        {"u@x " + std::string(RouteFile::kMaxLine, 's'),
         "routes:1: the line is longer than 4096 bytes"},
        {"u@x error:2.1.5 fine",
         "routes:1: expected error:TEXT or error:STATUS TEXT with a STATUS of class 4 or 5"},
        {"u@x error:550 no",
         "routes:1: expected error:TEXT or error:STATUS TEXT with a STATUS of class 4 or 5"},
        {"u@x a, b:no-such-service", "routes:1: \"b:no-such-service\": no service no-such-service"},
        {std::string(2000, 'u') + "@x s", "routes:1: \"" + std::string(64, 'u') + "...\" is no"},
        {std::string(64, 'u') + "@ ",
         "routes:1: no DEST after \"" + std::string(64, 'u') + "...\";"},
        {std::string(63, 'u') + "@ ", "routes:1: no DEST after \"" + std::string(63, 'u') + "@\";"},
        {"u@x s\nu@x\\", "routes:2: no DEST after \"u@x\\\\\";"},
        {"u@x " + std::string(RouteFile::kMaxLine - 3, 's'), "routes:1: the line is longer"},
        {"u@x " + std::string(RouteFile::kMaxLine - 4, ':'), "routes:1: \"::"},
    };
    for (const auto& row : rows) {
      const std::string words = mistake(row.text);
      CPPUNIT_ASSERT_MESSAGE(row.text.substr(0, 80) + " gives: " + words,
                             words.starts_with(row.words));
    }
  }

  void theNumberOfPatternsWithStarsIsLimited() {
    std::string text;
    for (std::size_t i = 0; i < RouteFile::kMaxGlobs; ++i) {
      text += "*" + std::to_string(i) + "@x s\n";
    }
    CPPUNIT_ASSERT_EQUAL(RouteFile::kMaxGlobs, RouteFile::parse(text, "routes").size());
    CPPUNIT_ASSERT(mistake(text + "*@x s\n").starts_with("routes:1001: more than 1000 patterns"));
  }

  void aHundredThousandLinesAreFound() {
    std::string text;
    for (int i = 0; i < 100'000; ++i) {
      text += "user" + std::to_string(i) + "@example.org imap" + std::to_string(i % 50) + ":24\n";
    }
    const RouteFile file = RouteFile::parse(text, "routes");
    CPPUNIT_ASSERT_EQUAL(std::size_t{100'000}, file.size());
    for (int i = 0; i < 100'000; ++i) {
      const std::string address = "user" + std::to_string(i) + "+d@example.org";
      const Route route = file.find(recipient(address));
      const auto& list = std::get<DestinationList>(route);
      CPPUNIT_ASSERT(list->front().host == "imap" + std::to_string(i % 50));
    }
    // Patterns with the same text after them share one list, to save memory.
    CPPUNIT_ASSERT(std::get<DestinationList>(file.find(recipient("user1@example.org"))) ==
                   std::get<DestinationList>(file.find(recipient("user51@example.org"))));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RouteFileTest);
