#include "mailer/settings/destination.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/options/option_reader.h"

using lmtpq::ConfigError;
using lmtpq::mailer::Destination;
using lmtpq::mailer::parse_destination;
using lmtpq::mailer::parse_destination_or_domain;

namespace {

// The error's text; empty if `text` is a valid destination.
std::string complaint(const std::string& text) {
  try {
    parse_destination(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

class DestinationTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DestinationTest);
  CPPUNIT_TEST(readsEveryForm);
  CPPUNIT_TEST(theCanonicalTextReadsAsTheSame);
  CPPUNIT_TEST(anInvalidDestinationIsAnErrorWithTheReason);
  CPPUNIT_TEST(everyErrorNamesTheFormsOrTheOneMeant);
  CPPUNIT_TEST(ofSeveralTheWrongOneIsNamed);
  CPPUNIT_TEST(everyErrorIsOneLine);
  CPPUNIT_TEST(bracketsHoldAnAddressOrAName);
  CPPUNIT_TEST(aPortIsTheNameOfAService);
  CPPUNIT_TEST(aPortThatIsNotSaidIsThatOfTheProtocol);
  CPPUNIT_TEST(oneProtocolsDestinationCoversNoOther);
  CPPUNIT_TEST(aDomainCoversTheHostsBelowIt);
  CPPUNIT_TEST(aListenerSpeaksLmtp);
  CPPUNIT_TEST(aSocketPathThatIsTooLongIsAnError);
  CPPUNIT_TEST_SUITE_END();

  struct Row {
    const char* text;
    Destination::Family family;
    const char* host;
    const char* port;
    const char* canonical;
  };

  static constexpr Row kGood[] = {
      {"unix:/run/cyrus/socket/lmtp", Destination::Family::kUnix, "/run/cyrus/socket/lmtp", "",
       "unix:/run/cyrus/socket/lmtp"},
      {"unix:/a b:c", Destination::Family::kUnix, "/a b:c", "", "unix:/a b:c"},
      {"inet:store.example.org", Destination::Family::kInet, "store.example.org", "",
       "inet:store.example.org"},
      {"inet:store.example.org:2003", Destination::Family::kInet, "store.example.org", "2003",
       "inet:store.example.org:2003"},
      {"store.example.org", Destination::Family::kInet, "store.example.org", "",
       "inet:store.example.org"},
      {"store:24", Destination::Family::kInet, "store", "24", "inet:store:24"},
      {"store:lmtp", Destination::Family::kInet, "store", "lmtp", "inet:store:lmtp"},
      {"Store_1.example.:65535", Destination::Family::kInet, "Store_1.example.", "65535",
       "inet:Store_1.example.:65535"},
      {"inet:127.0.0.1:24", Destination::Family::kInet, "127.0.0.1", "24", "inet:127.0.0.1:24"},
      {"inet:[127.0.0.1]:24", Destination::Family::kInet, "127.0.0.1", "24", "inet:127.0.0.1:24"},
      {"[127.0.0.1]", Destination::Family::kInet, "127.0.0.1", "", "inet:127.0.0.1"},
      {"inet:[store.example.org]:24", Destination::Family::kInet, "store.example.org", "24",
       "inet:store.example.org:24"},
      {"inet:[::1]", Destination::Family::kInet, "::1", "", "inet:[::1]"},
      {"inet:[0:0::0001]:0024", Destination::Family::kInet, "::1", "24", "inet:[::1]:24"},
      {"inet:[::1]:24", Destination::Family::kInet, "::1", "24", "inet:[::1]:24"},
      {"[2001:db8::7]:lmtp", Destination::Family::kInet, "2001:db8::7", "lmtp",
       "inet:[2001:db8::7]:lmtp"},
      {"inet:[IPv6:2001:db8::7]:24", Destination::Family::kInet, "2001:db8::7", "24",
       "inet:[2001:db8::7]:24"},
      {"inet:[::ffff:192.0.2.1]:1", Destination::Family::kInet, "::ffff:192.0.2.1", "1",
       "inet:[::ffff:192.0.2.1]:1"},
      {"smtp:mx.example.org", Destination::Family::kInet, "mx.example.org", "",
       "smtp:mx.example.org"},
      {"smtp:[::0001]:025", Destination::Family::kInet, "::1", "25", "smtp:[::1]:25"},
      {"inet:smtp:24", Destination::Family::kInet, "smtp", "24", "inet:smtp:24"},
      {"inet:[fe80::1%eth0]:24", Destination::Family::kInet, "fe80::1%eth0", "24",
       "inet:[fe80::1%eth0]:24"},
  };

  void readsEveryForm() {
    for (const Row& row : kGood) {
      const Destination made = parse_destination(row.text);
      CPPUNIT_ASSERT_MESSAGE(row.text, made.family == row.family);
      CPPUNIT_ASSERT_EQUAL(std::string(row.host), made.host);
      CPPUNIT_ASSERT_EQUAL(std::string(row.port), made.port);
      CPPUNIT_ASSERT_EQUAL(std::string(row.canonical), made.text);
    }
  }

  void theCanonicalTextReadsAsTheSame() {
    for (const Row& row : kGood) {
      const Destination made = parse_destination(row.canonical);
      CPPUNIT_ASSERT_EQUAL(std::string(row.host), made.host);
      CPPUNIT_ASSERT_EQUAL(std::string(row.port), made.port);
      CPPUNIT_ASSERT_EQUAL(std::string(row.canonical), made.text);
    }
  }

  void anInvalidDestinationIsAnErrorWithTheReason() {
    const struct {
      const char* text;
      const char* why;
    } rows[] = {
        {"", "no valid host"},
        {"inet:", "no valid host"},
        {":24", "no valid host"},
        {"inet::24", "no valid host"},
        {"inet:[]:24", "no valid host"},
        {"-store", "no valid host"},
        {"a store", "no valid host"},
        {"store/lmtp", "no valid host"},
        {"st\xc3\xb6re", "no valid host"},
        {"store\n", "no valid host"},
        {"lmtp:store.example.org", "invalid port"},
        {"tcp:store:24", "an IPv6 address must be in [ ]"},
        {"::1", "an IPv6 address must be in [ ]"},
        {"2001:db8::1", "an IPv6 address must be in [ ]"},
        {"store:", "an IPv6 address must be in [ ]"},
        {"store:24:25", "an IPv6 address must be in [ ]"},
        {"inet:[::1", "no ] after the address"},
        {"inet:[::1]24", "only :PORT may follow ]"},
        {"inet:[::1]:", "only :PORT may follow ]"},
        {"inet:[::1]:24:25", "only :PORT may follow ]"},
        {"inet:[::1] ", "only :PORT may follow ]"},
        {"store:0", "a port is a number from 1 to 65535"},
        {"store:65536", "a port is a number from 1 to 65535"},
        {"store:99999999999999999999", "a port is a number from 1 to 65535"},
        {"store:-1", "invalid port"},
        {"store:+24", "invalid port"},
        {"store: 24", "invalid port"},
        {"store:24 ", "invalid port"},
        {"unix:", "the path of a socket must begin with /"},
        {"unix:lmtp", "the path of a socket must begin with /"},
        {"unix: /lmtp", "the path of a socket must begin with /"},
        {"/run/lmtp", "did you mean unix:/run/lmtp?"},
        {"smtp:", "no valid host"},
        {"smtp:25", "did you mean inet:smtp:25 or smtp:HOST:25?"},
        {"smtp:/run/lmtp", "no valid host"},
        {"smtp:mx:0", "a port is a number from 1 to 65535"},
        {".example.org", "no valid host"},
        {"inet:.example.org:24", "no valid host"},
        {"store..example.org", "no valid host"},
        {"store.example.org..", "no valid host"},
        {"10.0.0.256", "no valid host"},
        {"10.0.0.1.2:24", "no valid host"},
        {"10.1", "no valid host"},
        {"10.0.0.01", "no valid host"},
        {"10.0.0.1.", "no valid host"},
        {"[10.0.0]", "no valid host"},
        {"24", "no valid host"},
        {"smtp:mx.1", "no valid host"},
        {"[IPv6:store.example.org]", "no valid host"},
        {"[IPv6:10.0.0.1]", "no valid host"},
    };
    for (const auto& row : rows) {
      const std::string said = complaint(row.text);
      CPPUNIT_ASSERT_MESSAGE(std::string(row.text) + " was taken", !said.empty());
      CPPUNIT_ASSERT_MESSAGE(said, said.find(row.why) != std::string::npos);
    }
  }

  void everyErrorNamesTheFormsOrTheOneMeant() {
    for (const char* text : {"", "inet:", "store:0", "unix:x", "inet:[::1", "a:b:c", "a:+"}) {
      const std::string said = complaint(text);
      CPPUNIT_ASSERT_MESSAGE(
          said, said.ends_with("; expected unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT] or "
                               "smtp:HOST[:PORT]"));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("did you mean unix:/x?"), complaint("/x"));
  }

  void ofSeveralTheWrongOneIsNamed() {
    try {
      lmtpq::mailer::parse_destinations("unix:/a, /b");
      CPPUNIT_FAIL("it was read");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(std::string("\"/b\": did you mean unix:/b?"), std::string(error.what()));
    }
  }

  void everyErrorIsOneLine() {
    for (const std::string& text : {std::string("store\n"), std::string("sto\0re", 6),
                                    std::string("a:b\x1b[1m"), std::string("unix:\r\n250 ok")}) {
      const std::string said = complaint(text);
      CPPUNIT_ASSERT_MESSAGE(said, said.ends_with("smtp:HOST[:PORT]"));
      for (const char c : said) {
        CPPUNIT_ASSERT_MESSAGE(said, c >= ' ' && c != '\x7f');
      }
    }
  }

  // A name that can never be found is an error at the start, not a store that is down.
  void bracketsHoldAnAddressOrAName() {
    for (const char* text :
         {"inet:[:]", "inet:[a:b]:24", "inet:[::1 ]", "inet:[1:2:3]", "inet:[::g]", "inet:[::1/64]",
          "inet:[a:b\n]", "inet:[IPv6:IPv6:::1]", "inet:[IPv6:]", "inet:[/run:x]"}) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text) + " was taken", !complaint(text).empty());
    }
  }

  void aPortIsTheNameOfAService() {
    for (const char* text : {"store:lmpt", "smtp:mx:smpt", "[2001:db8::7]:lmpt"}) {
      CPPUNIT_ASSERT_MESSAGE(
          text + complaint(text),
          complaint(text).starts_with("no service ") &&
              complaint(text).ends_with(" in services(5); correct the name, or use a number"));
    }
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint("store:lmtp"));
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint("smtp:mx:smtp"));
  }

  void aPortThatIsNotSaidIsThatOfTheProtocol() {
    const auto port = [](const char* text, int lmtp_port) {
      Destination made = parse_destination(text);
      made.lmtp_port = lmtp_port;
      return made.port_number();
    };
    CPPUNIT_ASSERT_EQUAL(24, port("store", 24));
    CPPUNIT_ASSERT_EQUAL(2003, port("store", 2003));
    CPPUNIT_ASSERT_EQUAL(2003, port("store:lmtp", 2003));
    CPPUNIT_ASSERT_EQUAL(24, port("store:24", 2003));
    CPPUNIT_ASSERT_EQUAL(25, port("smtp:mx", 2003));
    CPPUNIT_ASSERT_EQUAL(2003, port("smtp:mx:lmtp", 2003));
    CPPUNIT_ASSERT_EQUAL(465, port("smtp:mx:465", 2003));
  }

  void oneProtocolsDestinationCoversNoOther() {
    const auto covers = [](const char* one, const char* other) {
      return parse_destination(one).covers(parse_destination(other));
    };
    CPPUNIT_ASSERT(covers("smtp:mx", "smtp:MX:587"));
    CPPUNIT_ASSERT(covers("smtp:mx:25", "smtp:mx"));
    CPPUNIT_ASSERT(!covers("mx", "smtp:mx"));
    CPPUNIT_ASSERT(!covers("smtp:mx", "mx:25"));
    CPPUNIT_ASSERT(parse_destination("mx").same_host(parse_destination("smtp:mx")));
  }

  void aDomainCoversTheHostsBelowIt() {
    const auto covers = [](const char* domain, const char* host) {
      return parse_destination_or_domain(domain).covers(parse_destination(host));
    };
    CPPUNIT_ASSERT(covers(".example.org", "imap1.example.org:2003"));
    CPPUNIT_ASSERT(covers(".Example.ORG.", "a.b.example.org."));
    CPPUNIT_ASSERT(covers("smtp:.example.org:25", "smtp:mx.example.org"));
    CPPUNIT_ASSERT(!covers(".example.org", "example.org"));
    CPPUNIT_ASSERT(!covers(".example.org", "imap1.example.org.evil.test"));
    CPPUNIT_ASSERT(!covers(".example.org", "imap1example.org"));
    CPPUNIT_ASSERT(!covers(".example.org:25", "imap1.example.org:24"));
    CPPUNIT_ASSERT(!covers(".example.org", "smtp:mx.example.org"));
    CPPUNIT_ASSERT(!covers(".example.org", "unix:/imap1.example.org"));
    CPPUNIT_ASSERT(!covers(".org", "inet:[fe80::1%eth0.org]"));
    for (const char* text : {".", "..", "..example.org", ".0.0.1", ".example.7", ".-x", ".a b"}) {
      CPPUNIT_ASSERT_THROW_MESSAGE(text, lmtpq::mailer::parse_destination_or_domain(text),
                                   ConfigError);
    }
  }

  void aListenerSpeaksLmtp() {
    CPPUNIT_ASSERT_EQUAL(std::string("inet:[::1]:24"),
                         lmtpq::mailer::parse_listen_address("[::1]:24").text);
    try {
      lmtpq::mailer::parse_listen_addresses("unix:/a, smtp:localhost");
      CPPUNIT_FAIL("it was read");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(std::string("\"smtp:localhost\": a listener speaks LMTP; expected "
                                       "unix:PATH or inet:HOST[:PORT]"),
                           std::string(error.what()));
    }
  }

  void aSocketPathThatIsTooLongIsAnError() {  // sun_path: 108 bytes with the NUL
    const std::string longest = "/" + std::string(106, 'a');
    CPPUNIT_ASSERT_EQUAL(longest, parse_destination("unix:" + longest).host);
    const std::string said = complaint("unix:" + longest + "a");
    CPPUNIT_ASSERT_MESSAGE(said, said.find("at most 107 bytes") != std::string::npos);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DestinationTest);
