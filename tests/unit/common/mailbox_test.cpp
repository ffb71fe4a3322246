#include "common/mailbox.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::Mailbox;
using lmtpq::take_path;

class MailboxTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MailboxTest);
  CPPUNIT_TEST(splitsAtTheAtSignAfterTheLocalPart);
  CPPUNIT_TEST(keepsEveryByteOfTheText);
  CPPUNIT_TEST(refusesInvalidMailboxes);
  CPPUNIT_TEST(refusesControlCharactersEverywhere);
  CPPUNIT_TEST(acceptsBytesOfOlderCharsets);
  CPPUNIT_TEST(acceptsAddressesFromDevicesAndQmail);
  CPPUNIT_TEST(needsUtf8OnlyWithAByteAbove127);
  CPPUNIT_TEST(accepts1024BytesAndNot1025);
  CPPUNIT_TEST(aDefaultMailboxIsTheNullReversePath);
  CPPUNIT_TEST(takesAPathAndLeavesWhatFollows);
  CPPUNIT_TEST(dropsASourceRoute);
  CPPUNIT_TEST(findsTheBracketThatClosesThePath);
  CPPUNIT_TEST(leavesTheTextUnchangedIfItHasNoPath);
  CPPUNIT_TEST_SUITE_END();

  void splitsAtTheAtSignAfterTheLocalPart() {
    const struct {
      const char* text;
      const char* local_part;
      const char* domain;
    } cases[] = {
        {"alice@example.org", "alice", "example.org"},
        {"alice", "alice", ""},
        {"alice+in.box", "alice+in.box", ""},
        {"\"a@b\"@example.org", "\"a@b\"", "example.org"},
        {"\"a\\\"@b\"", "\"a\\\"@b\"", ""},
        {"\"\"@example.org", "\"\"", "example.org"},
        {"user@[192.0.2.1]", "user", "[192.0.2.1]"},
        {"user@[IPv6:2001:db8::1]", "user", "[IPv6:2001:db8::1]"},
        {"SRS0=xx=yy=example.com=bob@example.org", "SRS0=xx=yy=example.com=bob", "example.org"},
    };
    for (const auto& row : cases) {
      const auto mailbox = Mailbox::parse(row.text);
      CPPUNIT_ASSERT_MESSAGE(row.text, mailbox.has_value());
      CPPUNIT_ASSERT_EQUAL(std::string(row.local_part), std::string(mailbox->local_part()));
      CPPUNIT_ASSERT_EQUAL(std::string(row.domain), std::string(mailbox->domain()));
    }
  }

  void keepsEveryByteOfTheText() {
    for (const char* text :
         {"a..b.@example.org", ".a@example.org", "!#$%&'*+-/=?^_`{|}~@x", "\"a\\b c\"@x",
          "\" ~\"@x", "Alice@EXAMPLE.Org", "a@host_name.example", "a@example.org.", "a@-x-",
          "j\xc3\xb6rg@b\xc3\xbc"
          "cher.example",
          "\xe2\x82\xac", "\"\xf0\x9f\x93\xac\"@x"}) {
      const auto mailbox = Mailbox::parse(text);
      CPPUNIT_ASSERT_MESSAGE(text, mailbox.has_value());
      CPPUNIT_ASSERT_EQUAL(std::string(text), mailbox->text());
      CPPUNIT_ASSERT_EQUAL("<" + std::string(text) + ">", mailbox->path());
      CPPUNIT_ASSERT(!mailbox->null());
    }
  }

  void refusesInvalidMailboxes() {
    for (const char* text :
         {"",        "@",        "@b",       "a@",     "a@b@c", "a b@c", "a b",          "<a@b>",
          "a@b>",    "<>",       "a,b",      "a:b",    "a;b",   "(a)b",  "a\\",          "\"a",
          "\"a\\\"", "\"a\"b@c", "a\"b\"@c", "a@b c",  "a@[",   "a@[]]", "a@[192.0.2.1", "a@[a>b]",
          "a@[a b]", "a@b/c",    "a@b:24",   "@x:a@b", "a@[1]x"}) {
      CPPUNIT_ASSERT_MESSAGE(text, !Mailbox::parse(text));
    }
  }

  void refusesControlCharactersEverywhere() {
    const std::string_view refused[] = {"a\r@b",     "a\n@b",       "a@b\r\nDATA", {"a\0@b", 4},
                                        "\"a\x01\"", "\"a\\\n\"@b", "a@b\x7f",     "\"\x7f\"@b",
                                        "a\t@b",     "a@[1\n]",     "a\xc2\x85@b", "a@b\xc2\x80"};
    for (const std::string_view text : refused) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text), !Mailbox::parse(text));
    }
  }

  // The store may know the charset, so it decides.
  void acceptsBytesOfOlderCharsets() {
    for (const char* text : {"j\xf6rg@x", "a\x80@x", "a\xc3@x", "a\xc0\xafz@x", "\"\xe2\x82\"@x",
                             "a@\xed\xa0\x80", "j\xc3\xb6rg\xff@x"}) {
      const auto mailbox = Mailbox::parse(text);
      CPPUNIT_ASSERT_MESSAGE(text, mailbox && mailbox->text() == text && !mailbox->needs_utf8());
    }
  }

  void acceptsAddressesFromDevicesAndQmail() {
    for (const char* text : {"CORP\\jdoe@x.test", "a\\b", "a\\@b@c", "#@[]", "a@[]"}) {
      const auto mailbox = Mailbox::parse(text);
      CPPUNIT_ASSERT_MESSAGE(text, mailbox && mailbox->text() == text);
    }
    CPPUNIT_ASSERT(!Mailbox::parse("a\\\n@b") && !Mailbox::parse("a\\\x7f@b"));
  }

  void needsUtf8OnlyWithAByteAbove127() {
    CPPUNIT_ASSERT(!Mailbox::parse("alice@example.org")->needs_utf8());
    CPPUNIT_ASSERT(!Mailbox().needs_utf8());
    CPPUNIT_ASSERT(Mailbox::parse("j\xc3\xb6rg@example.org")->needs_utf8());
    CPPUNIT_ASSERT(Mailbox::parse("a@b\xc3\xbc"
                                  "cher.example")
                       ->needs_utf8());
  }

  void accepts1024BytesAndNot1025() {
    CPPUNIT_ASSERT(Mailbox::parse(std::string(1022, 'a') + "@b"));
    CPPUNIT_ASSERT(!Mailbox::parse(std::string(1023, 'a') + "@b"));
    const std::string path = "<" + std::string(1025, 'a') + ">";
    std::string_view rest = path;
    CPPUNIT_ASSERT(!take_path(rest));
    CPPUNIT_ASSERT_EQUAL(path.size(), rest.size());
  }

  void aDefaultMailboxIsTheNullReversePath() {
    CPPUNIT_ASSERT(Mailbox().null());
    CPPUNIT_ASSERT_EQUAL(std::string("<>"), Mailbox().path());
    CPPUNIT_ASSERT(Mailbox().local_part().empty());
    CPPUNIT_ASSERT(Mailbox().domain().empty());
  }

  void check_path(std::string_view text, const std::string& mailbox,
                  const std::string& expected_rest) {
    std::string_view rest = text;
    const auto taken = take_path(rest);
    CPPUNIT_ASSERT_MESSAGE(std::string(text), taken.has_value());
    CPPUNIT_ASSERT_EQUAL(mailbox, taken->text());
    CPPUNIT_ASSERT_EQUAL(expected_rest, std::string(rest));
  }

  void takesAPathAndLeavesWhatFollows() {
    check_path("<>", "", "");
    check_path("<> SIZE=5", "", " SIZE=5");
    check_path("<a@b>", "a@b", "");
    check_path("<alice> IGNOREQUOTA", "alice", " IGNOREQUOTA");
    check_path("<a@b>x", "a@b", "x");
  }

  void dropsASourceRoute() {
    check_path("<@a:b@c>", "b@c", "");
    check_path("<@a,@b.example,@[192.0.2.1]:c@d> X", "c@d", " X");
  }

  void findsTheBracketThatClosesThePath() {
    check_path("<\"a>b\"@c> SIZE=1", "\"a>b\"@c", " SIZE=1");
    check_path("<\"a\\\">\"@c>>", "\"a\\\">\"@c", ">");
  }

  void leavesTheTextUnchangedIfItHasNoPath() {
    for (const char* text : {"", "<", "a@b", "<a@b", " <a@b>", "<<>>", "<a@b >", "< a@b>", "<a b>",
                             "<@>", "<@a>", "<@a:>", "<@a,b@c>", "<@a,:b@c>", "<@a@b:c>", "<@a,",
                             "<@a:@b:c@d", "<\"a>", "<a@b\r\n>"}) {
      std::string_view rest = text;
      CPPUNIT_ASSERT_MESSAGE(text, !take_path(rest));
      CPPUNIT_ASSERT_EQUAL(std::string(text), std::string(rest));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MailboxTest);
