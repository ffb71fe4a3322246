#include "mailer/message/relief.h"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

using namespace lmtpq::mailer;

namespace {

Capabilities offering(const std::string& keyword) {
  Reply reply;
  reply.code = 250;
  reply.lines = {"store", keyword, "SIZE"};
  return Capabilities(reply);
}

std::string reliefs(const std::string& text, const std::string& keyword = "") {
  MessageSpool spool("/tmp", std::nullopt);
  spool.append(text);
  EightBitParts parts(spool);
  const std::string names = names_of(parts.reliefs_at(offering(keyword)));
  CPPUNIT_ASSERT_EQUAL(names, names_of(parts.reliefs_at(offering(keyword))));
  return names;
}

}  // namespace

class ReliefTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ReliefTest);
  CPPUNIT_TEST(headerAndBodyCountSeparately);
  CPPUNIT_TEST(whatTheStoreOffersIsNoRelief);
  CPPUNIT_TEST(everyByteIsLookedAt);
  CPPUNIT_TEST(aLongHeaderIsReadToItsEnd);
  CPPUNIT_TEST_SUITE_END();

  static void check(const std::string& expected, const std::string& actual) {
    CPPUNIT_ASSERT_EQUAL(expected, actual);
  }

  void headerAndBodyCountSeparately() {
    check("", reliefs(""));
    check("", reliefs("Subject: s\r\n\r\nhi\r\n"));
    check("utf8-headers", reliefs("Subject: \xc3\xbc\r\n\r\nhi\r\n"));
    check("utf8-headers", reliefs("Subject: \xc3\xbc\r\n"));
    check("8bit", reliefs("Subject: s\r\n\r\n\xfc\r\n"));
    check("8bit", reliefs("\r\n\xfc\r\n"));
    check("8bit", reliefs("\r\nA: b\r\n\r\n\xfc\r\n"));
    check("utf8-headers,8bit", reliefs("Subject: \xc3\xbc\r\n\r\n\x80\r\n"));
    check("utf8-headers", reliefs("A: b\r\n\xfc\r\n\r\n"));
  }

  void whatTheStoreOffersIsNoRelief() {
    const std::string both = "Subject: \xc3\xbc\r\n\r\n\x80\r\n";
    check("8bit", reliefs(both, "SMTPUTF8"));
    check("utf8-headers", reliefs(both, "8BITMIME"));
  }

  void everyByteIsLookedAt() {
    for (std::size_t size = 0; size < 40; ++size) {
      check("", reliefs(std::string(size, '\x7f')));
      for (std::size_t at = 0; at < size; ++at) {
        std::string text(size, '\x7f');
        text[at] = '\x80';
        check("utf8-headers", reliefs(text));
      }
    }
  }

  // Over what head() has, and over what is kept in memory.
  void aLongHeaderIsReadToItsEnd() {
    for (const std::size_t size : {MessageSpool::kHead, MessageSpool::kMemory}) {
      std::string header;
      while (header.size() < size) {
        header += "X-Filler: 0123456789\r\n";
      }
      check("", reliefs(header + "\r\nhi\r\n"));
      check("8bit", reliefs(header + "\r\n\xfc\r\n"));
      check("utf8-headers", reliefs(header + "A: \xfc\r\n\r\nhi\r\n"));
      check("utf8-headers,8bit", reliefs(header + "A: \xfc\r\n\r\n\xfc\r\n"));
      check("utf8-headers", reliefs(header + "A: \xfc\r\n\r\n\xfc\r\n", "8BITMIME"));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReliefTest);
