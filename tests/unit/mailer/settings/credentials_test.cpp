#include "mailer/settings/credentials.h"

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include "common/options/option_reader.h"
#include "tests/unit/common/freed_memory.h"
#include "tests/unit/common/scratch_file.h"

using lmtpq::ConfigError;
using lmtpq::mailer::Credentials;
using lmtpq::mailer::Login;
using lmtpq::mailer::parse_destination;

namespace {

// "user password" for the DEST, or "none".
std::string found(const Credentials& credentials, const std::string& destination,
                  const std::string& user = "") {
  const Login* const login = credentials.find(parse_destination(destination), user);
  return login == nullptr ? "none" : login->user + ' ' + std::string(login->password.text());
}

std::string complaint(const std::string& text) {
  try {
    Credentials::parse(text, "passwords");
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

}  // namespace

class CredentialsTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(CredentialsTest);
  CPPUNIT_TEST(theLineOfTheDestinationIsFound);
  CPPUNIT_TEST(theNearestLineIsFound);
  CPPUNIT_TEST(theUserNarrowsTheChoice);
  CPPUNIT_TEST(thePasswordIsEverythingAfterTheFirstColon);
  CPPUNIT_TEST(blankLinesAndCommentsAreSkipped);
  CPPUNIT_TEST(anErrorNamesTheLineAndNeverQuotesIt);
  CPPUNIT_TEST(onlyADestOrADomainBeginsALine);
  CPPUNIT_TEST(aControlCharacterIsRefused);
  CPPUNIT_TEST(aFileThatOthersCanReadIsRefused);
  CPPUNIT_TEST(passwordsAreWipedFromMemory);
  CPPUNIT_TEST_SUITE_END();

 public:
  CredentialsTest() : ScratchFileFixture("passwords") {}

 private:
  void theLineOfTheDestinationIsFound() {
    const Credentials credentials = Credentials::parse(
        "imap1.example.org two:2\n"
        "inet:imap1.example.org:24 one:1\n"
        "IMAP2.example.org:lmtp three:3\n"
        "inet:[192.0.2.1] four:4\n"
        "inet:[2001:DB8::1]:2003 five:5\n"
        "unix:/var/run/lmtp six:6\n"
        "imap1.example.org:24 seven:7\n",
        "passwords");
    const struct {
      const char* destination;
      const char* expected;
    } rows[] = {
        {"inet:imap1.example.org:24", "one 1"}, {"imap1.example.org:24", "one 1"},
        {"Imap1.Example.ORG:24", "one 1"},      {"imap1.example.org:25", "two 2"},
        {"imap1.example.org:lmtp", "one 1"},    {"imap1.example.org.", "one 1"},
        {"imap2.example.org:lmtp", "three 3"},  {"imap2.example.org:024", "three 3"},
        {"imap2.example.org", "three 3"},       {"imap2.example.org:25", "none"},
        {"192.0.2.1:2003", "four 4"},           {"inet:[2001:db8:0::1]:2003", "five 5"},
        {"inet:[192.0.2.10]", "none"},          {"inet:[2001:db8::1]:2003", "five 5"},
        {"inet:[2001:db8::1]", "none"},         {"unix:/var/run/lmtp", "six 6"},
        {"unix:/var/run/LMTP", "none"},         {"unix:/var/run/lmtp2", "none"},
        {"imap3.example.org", "none"},          {"example.org", "none"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.destination, std::string(row.expected),
                                   found(credentials, row.destination));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("none"), found(Credentials::parse("", "x"), "imap1"));
  }

  void theNearestLineIsFound() {
    const Credentials credentials = Credentials::parse(
        ".example.org one:1\n"
        ".imap.example.org two:2\n"
        ".imap.example.org:24 three:3\n"
        "a.imap.example.org four:4\n"
        "a.imap.example.org:2003 five:5\n"
        "smtp:.example.org six:6\n"
        "smtp:mx.example.org:465 seven:7\n"
        ".org eight:8\n"
        ".example.org nine:9\n"
        ".example.org.:25 ten:10\n",
        "passwords");
    const struct {
      const char* destination;
      const char* expected;
    } rows[] = {
        {"a.imap.example.org:2003", "five 5"},  {"a.imap.example.org", "four 4"},
        {"b.imap.example.org", "three 3"},      {"B.IMAP.example.org.:24", "three 3"},
        {"b.imap.example.org:25", "two 2"},     {"imap.example.org", "one 1"},
        {"x.y.example.org:25", "ten 10"},       {"example.org", "eight 8"},
        {"smtp:mx.example.org", "six 6"},       {"smtp:mx.example.org:465", "seven 7"},
        {"smtp:mail.example.org:465", "six 6"}, {"smtp:example.org", "none"},
        {"inet:[2001:db8::1]", "none"},         {"127.0.0.1", "none"},
        {"unix:/a.imap.example.org", "none"},   {"org", "none"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.destination, std::string(row.expected),
                                   found(credentials, row.destination));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("nine 9"), found(credentials, "b.imap.example.org", "nine"));
  }

  void theUserNarrowsTheChoice() {
    const Credentials credentials =
        Credentials::parse("imap1 one:1\nimap2 two:2\nimap1 three:3\nimap1 three:4\n", "passwords");
    CPPUNIT_ASSERT_EQUAL(std::string("one 1"), found(credentials, "imap1"));
    CPPUNIT_ASSERT_EQUAL(std::string("one 1"), found(credentials, "imap1", "one"));
    CPPUNIT_ASSERT_EQUAL(std::string("three 3"), found(credentials, "imap1", "three"));
    CPPUNIT_ASSERT_EQUAL(std::string("none"), found(credentials, "imap1", "two"));
    CPPUNIT_ASSERT_EQUAL(std::string("none"), found(credentials, "imap1", "Three"));
    CPPUNIT_ASSERT_EQUAL(std::string("none"), found(credentials, "imap1", "thre"));
  }

  void thePasswordIsEverythingAfterTheFirstColon() {
    const struct {
      const char* line;
      const char* expected;
    } rows[] = {
        {"h u:p", "u p"},
        {"  h \t u:p\n", "u p"},
        {"h u:p\r\n", "u p"},
        {"h u:p:w", "u p:w"},
        {"h u::", "u :"},
        {"h u: p w ", "u  p w "},
        {"h u:#no comment", "u #no comment"},
        {"h u@realm:p", "u@realm p"},
        {"h u v:p", "u v p"},
        {"h u:p\xc3\xa4\xff", "u p\xc3\xa4\xff"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.line, std::string(row.expected),
                                   found(Credentials::parse(row.line, "passwords"), "h"));
    }
  }

  void blankLinesAndCommentsAreSkipped() {
    const Credentials credentials =
        Credentials::parse("\n# h no:no\n \t\n  #\r\n\r\nh u:p\n\n", "passwords");
    CPPUNIT_ASSERT_EQUAL(std::string("u p"), found(credentials, "h"));
  }

  void anErrorNamesTheLineAndNeverQuotesIt() {
    const std::string dest =
        "no DEST at the beginning (unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT], "
        "smtp:HOST[:PORT] or .DOMAIN[:PORT]); expected `DEST "
        "user:password`";
    const std::string form = "expected `DEST user:password`";
    const std::string user = "no user before the colon; " + form;
    const std::string password = "no password after the colon; " + form;
    const struct {
      std::string text;
      std::string expected;
    } rows[] = {
        {"h s3cret", "passwords:1: " + form},
        {"h", "passwords:1: " + form},
        {"h ", "passwords:1: " + form},
        {"s3cret", "passwords:1: " + form},
        {"user:s3cret", "passwords:1: " + dest},
        {"user:s3cret!x y:z", "passwords:1: " + dest},
        {"h/24 user:s3cret", "passwords:1: " + dest},
        {"/run/lmtp user:s3cret", "passwords:1: " + dest},
        {"h :s3cret", "passwords:1: " + user},
        {"h s3cret:", "passwords:1: " + password},
        {"h s3cret:\r\n", "passwords:1: " + password},
        {"# c\n\nh u:p\n\nh s3cret\nh x\n", "passwords:5: " + form},
    };
    for (const auto& row : rows) {
      const std::string said = complaint(row.text);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.text, row.expected, said);
      CPPUNIT_ASSERT_MESSAGE(said, said.find("s3cret") == std::string::npos);
    }
  }

  void onlyADestOrADomainBeginsALine() {
    for (const char* dest :
         {".dom", ".dom:24", ".dom.", "smtp:.dom:587", "inet:.dom", "host", "host:24", "host.:lmtp",
          "1.host", "10.0.0.1", "10.0.0.1:24", "[10.0.0.1]:24", "[host.dom]:24", "[::1]",
          "[::1]:24", "inet:[IPv6:::1]:24", "smtp:[::1]", "unix:/run/lmtp"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(dest, std::string(), complaint(std::string(dest) + " u:p"));
    }
    for (const char* dest : {"[.dom]",      "[.dom]:24",
                             "smtp:[.dom]", "[IPv6:.dom]",
                             "[IPv6:host]", "[IPv6:10.0.0.1]",
                             ".",           "..",
                             "..dom",       ".dom..",
                             ".a..dom",     "a..dom",
                             "a.dom..",     "*.dom",
                             "@dom",        "u@dom",
                             ".10",         ".0.0.1",
                             ".10.0.0.1",   "10.0.0.256",
                             "10.0.0",      "10.0.0.0/8",
                             "24",          ":24",
                             "[]",          "[",
                             "[::1",        "::1",
                             "[::1]24",     "[:::1]",
                             "[::1/64]",    "host:",
                             "host:0",      "host:24:25",
                             "host,other",  "host;",
                             "-host",       "inet:",
                             "unix:run",    "lmtp:host:24",
                             "\"host\""}) {
      const std::string said = complaint("h u:p\n" + std::string(dest) + " u:p");
      CPPUNIT_ASSERT_MESSAGE(dest + (" -> " + said),
                             said.starts_with("passwords:2: no DEST at the beginning ("));
      CPPUNIT_ASSERT_MESSAGE(said, said.ends_with("; expected `DEST user:password`"));
    }
  }

  void aControlCharacterIsRefused() {
    for (int c = 0; c < 256; ++c) {
      const bool control = c < 32 || c == 127;
      if (c == '\n') {
        continue;
      }
      for (const std::string& login : {std::string("u?u:p"), std::string("u:p?p")}) {
        std::string line = "h " + login;
        line[line.find('?')] = static_cast<char>(c);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(
            std::to_string(c),
            std::string(control ? "passwords:1: control character in user or password" : ""),
            complaint(line));
      }
    }
    CPPUNIT_ASSERT(!complaint("h u:p\r\r\n").empty());
  }

  void aFileThatOthersCanReadIsRefused() {
    write("h u:p\n");
    CPPUNIT_ASSERT_EQUAL(std::string("u p"), found(Credentials::read(file_, geteuid()), "h"));
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0644));
    try {
      Credentials::read(file_, geteuid());
      CPPUNIT_FAIL("read");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(file_ + ": others may read or write the passwords; chmod 600 " + file_,
                           std::string(error.what()));
    }
    write("h u:p\nh u\n");
    try {
      Credentials::read(file_, geteuid());
      CPPUNIT_FAIL("read");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(file_ + ":2: expected `DEST user:password`", std::string(error.what()));
    }
  }

  void passwordsAreWipedFromMemory() {
    const std::string secret = "correct horse battery staple";
    write("h u:" + secret + "\nh2 u:" + secret + "\nh3 u:" + secret + "\n");
    const FreedMemory freed(secret);
    {
      const Credentials credentials = Credentials::read(file_, geteuid());
      CPPUNIT_ASSERT(credentials.find(parse_destination("h3"), "") != nullptr);
    }
    CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CredentialsTest);
