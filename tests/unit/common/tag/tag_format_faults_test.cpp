#include <cppunit/extensions/HelperMacros.h>

#include "tests/unit/common/tag/tag_vectors.h"

using namespace lmtpq;
using namespace lmtpq::tags;

class TagFormatFaultsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TagFormatFaultsTest);
  CPPUNIT_TEST(faultsAreFoundInTheirOrder);
  CPPUNIT_TEST(everyChangedByteIsRejected);
  CPPUNIT_TEST(everyMissingOrExtraByteIsRejected);
  CPPUNIT_TEST(onlySpaceTabAndLineEndsAreBlanks);
  CPPUNIT_TEST(fieldsMustAppearOnceAndInOrder);
  CPPUNIT_TEST(expiryIsADecimalNumberAndTheLastValidSecond);
  CPPUNIT_TEST(aListMustHaveWholeDigests);
  CPPUNIT_TEST(acceptsAtMost32KiB);
  CPPUNIT_TEST(aTagIsValidForItsMessageOnly);
  CPPUNIT_TEST_SUITE_END();

  void faultsAreFoundInTheirOrder() {
    const std::string rest = ";t=t1;q=*;x=0;i=4GROmIcZ_LQ;";
    const std::string good = sealed("v=1;k=2026a" + rest);
    const TaggedMessage other{"", "6213AB7c099999"};
    const struct {
      const char* name;
      std::string value;
      TaggedMessage message;
      std::int64_t now;
    } rows[] = {
        {"malformed", sealed("v=2;k=2024z" + rest) + "A", other, 1},
        {"unknown key", sealed("v=1;k=2024z" + rest) + "A", other, 1},
        {"bad mac", good + "A", other, 1},
        {"malformed", sealed("v=1;k=2026a;t=t1;q=short;x=0;i=4GROmIcZ_LQ;"), other, 1},
        {"bad mac", sealed("v=1;k=2026a;t=t1;q=short;x=0;i=4GROmIcZ_LQ;") + "A", other, 1},
        {"expired", good, other, 1},
        {"wrong message", good, other, 0},
        {"good", good, kMessage, 0},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.name), verdict(row.value, row.message, row.now));
    }
  }

  void everyChangedByteIsRejected() {
    for (const std::string_view vector : kVectors) {
      for (std::size_t at = 0; at < vector.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
          std::string edited(vector);
          edited[at] = static_cast<char>(byte);
          if (squeezed(edited) != squeezed(vector)) {
            CPPUNIT_ASSERT_MESSAGE(edited, verdict(edited) != "good");
          }
        }
      }
    }
  }

  void everyMissingOrExtraByteIsRejected() {
    for (std::size_t at = 0; at <= kToTheListed.size(); ++at) {
      for (const char more : {'A', '-', ';', ',', '=', '*', '\0'}) {
        std::string edited(kToTheListed);
        edited.insert(at, 1, more);
        CPPUNIT_ASSERT_MESSAGE(edited, verdict(edited) != "good");
      }
      std::string edited(kToTheListed);
      edited.erase(at, 1);
      CPPUNIT_ASSERT_MESSAGE(edited,
                             (verdict(edited) == "good") ==
                                 (squeezed(edited).size() == squeezed(kToTheListed).size()));
      CPPUNIT_ASSERT(at == kToTheListed.size() || verdict(kToTheListed.substr(0, at)) != "good");
    }
  }

  void onlySpaceTabAndLineEndsAreBlanks() {
    for (const std::string_view other : {"\v", "\f", "\xc2\xa0", "\x85"}) {
      for (std::size_t at = 0; at <= kToNobody.size(); ++at) {
        std::string edited(kToNobody);
        edited.insert(at, other);
        CPPUNIT_ASSERT_MESSAGE(edited, verdict(edited) != "good");
      }
    }
  }

  void fieldsMustAppearOnceAndInOrder() {
    const std::string v = "v=1;", k = "k=2026a;", t = "t=t1;", q = "q=*;", x = "x=1772971200;",
                      m = "m=n0gPkA12ca0;", i = "i=4GROmIcZ_LQ;";
    CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(sealed(v + k + t + q + x + m + i)));
    const std::string refused[] = {k + v + t + q + x + m + i,
                                   v + t + k + q + x + m + i,
                                   v + k + q + t + x + m + i,
                                   v + k + t + x + q + m + i,
                                   v + k + t + q + m + x + i,
                                   v + k + t + q + x + i + m,
                                   k + t + q + x + m + i,
                                   v + t + q + x + m + i,
                                   v + k + q + x + m + i,
                                   v + k + t + x + m + i,
                                   v + k + t + q + m + i,
                                   v + k + t + q + x,
                                   v + v + k + t + q + x + i,
                                   v + k + k + t + q + x + i,
                                   v + k + t + t + q + x + i,
                                   v + k + t + q + q + x + i,
                                   v + k + t + q + x + x + i,
                                   v + k + t + q + x + m + m + i,
                                   v + k + t + q + x + i + i,
                                   v + k + t + q + x + i + "z=1;",
                                   v + "z=1;" + k + t + q + x + i,
                                   v + k + t + q + x + i + ";",
                                   ";" + v + k + t + q + x + i,
                                   v + ";" + k + t + q + x + i,
                                   v + k + "t=;" + q + x + i,
                                   v + k + "t=a/b;" + q + x + i,
                                   v + k + t + q + "x=;" + i,
                                   v + k + "t=" + std::string(256, 'a') + ';' + q + x + i,
                                   "v=;" + k + t + q + x + i,
                                   "v=2;" + k + t + q + x + i,
                                   "v=01;" + k + t + q + x + i,
                                   "V=1;" + k + t + q + x + i,
                                   v + "K=2026a;" + t + q + x + i,
                                   "v;" + k + t + q + x + i,
                                   ""};
    for (const std::string& text : refused) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::string("malformed"), verdict(sealed(text)));
    }
    const std::string all = sealed(v + k + t + q + x + i);
    CPPUNIT_ASSERT_EQUAL(std::string("malformed"), verdict(all.substr(0, all.rfind("b="))));
    CPPUNIT_ASSERT_EQUAL(std::string("bad mac"), verdict(v + k + t + q + x + i + "b="));
    CPPUNIT_ASSERT_EQUAL(std::string("bad mac"), verdict(all + '='));
    CPPUNIT_ASSERT_EQUAL(std::string("bad mac"), verdict(all + ";"));
    CPPUNIT_ASSERT_EQUAL(std::string("unknown key"), verdict(sealed(v + "k=;" + t + q + x + i)));
    CPPUNIT_ASSERT_EQUAL(std::string("wrong message"), verdict(sealed(v + k + t + q + x + "m=;")));
    CPPUNIT_ASSERT_EQUAL(std::string("malformed"), verdict(""));
    CPPUNIT_ASSERT_EQUAL(std::string("malformed"), verdict(" \r\n "));
  }

  void expiryIsADecimalNumberAndTheLastValidSecond() {
    const struct {
      const char* text;
      const char* expected;
    } rows[] = {{"1772971200", "good"},
                {"1772971199", "expired"},
                {"17729\r\n 71200", "good"},
                {"9223372036854775807", "good"},
                {"9223372036854775808", "malformed"},
                {"99999999999999999999999999999999", "malformed"},
                {"0", "expired"},
                {"00", "malformed"},
                {"-0", "malformed"},
                {"01772971200", "malformed"},
                {"-01772971200", "malformed"},
                {"-1772971200", "expired"},
                {"-9223372036854775808", "expired"},
                {"-9223372036854775809", "malformed"},
                {"+1772971200", "malformed"},
                {"1772971200.5", "malformed"},
                {"1772971200s", "malformed"},
                {"1e9", "malformed"},
                {"0x7fffffff", "malformed"},
                {"--1", "malformed"},
                {"-", "malformed"},
                {" ", "malformed"}};
    for (const auto& row : rows) {
      std::string value = with_expiry(squeezed(row.text));
      value.replace(value.find("x=") + 2, squeezed(row.text).size(), row.text);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.text, std::string(row.expected), verdict(value));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(kToNobody, kMessage, kExpiry));
    CPPUNIT_ASSERT_EQUAL(std::string("expired"), verdict(kToNobody, kMessage, kExpiry + 1));
  }

  void aListMustHaveWholeDigests() {
    const std::string one = "nJMdJAvHkFw";
    CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(with_quota(one)));
    CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(with_quota("o0FXMoJ8M3c," + one)));
    CPPUNIT_ASSERT(believed(with_quota("o0FXMoJ8M3c," + one)).ignores_quota("alice@example.org"));
    for (const std::string& list :
         {std::string(), one.substr(1), one + 'A', one + ',', ',' + one, one + ",," + one,
          one + ",*", "*," + one, one + one, one + 'A' + one, one + '.' + one, one + ",A",
          one + ',' + one + 'A', std::string("**"), std::string("--"), std::string(","),
          std::string(10'000, ',')}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(list, std::string("malformed"), verdict(with_quota(list)));
    }
  }

  void acceptsAtMost32KiB() {
    std::string value(kToTheListed);
    value.insert(5, kMaxTagLength - value.size(), ' ');
    CPPUNIT_ASSERT_EQUAL(std::size_t{32768}, value.size());
    CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(value));
    CPPUNIT_ASSERT_EQUAL(std::string("malformed"), verdict(value + ' '));
  }

  void aTagIsValidForItsMessageOnly() {
    // A digest of an empty id matches no message, not even one without an id.
    const std::string h = "v=1;k=2026a;t=t1;q=*;x=1772971200;";
    const std::string of_nothing[] = {sealed(h + "m=" + digest("message-id:") + ';'),
                                      sealed(h + "i=" + digest("queue-id:") + ';')};
    for (const std::string& value : of_nothing) {
      CPPUNIT_ASSERT_EQUAL(std::string("wrong message"), verdict(value, {"", ""}));
    }
    const struct {
      std::string_view tag;
      std::string_view message_id;
      std::string_view queue_id;
      const char* expected;
    } rows[] = {{kToEverybody, " <20260301120000.1234@example.org>", kQueueId, "good"},
                {kToEverybody, "\r\n\t<20260301120000.\r\n 1234@example.org> ", kQueueId, "good"},
                {kToEverybody, "<20260301120000.1234@EXAMPLE.org>", kQueueId, "wrong message"},
                {kToEverybody, "20260301120000.1234@example.org", kQueueId, "wrong message"},
                {kToEverybody, "", kQueueId, "wrong message"},
                {kToEverybody, kMessageId, "", "wrong message"},
                {kToEverybody, kMessageId, "6213AB7C012345", "wrong message"},
                {kToEverybody, kMessageId, "6213AB7c012346", "wrong message"},
                {kToEverybody, kQueueId, kMessageId, "wrong message"},
                {kToNobody, "", kQueueId, "good"},
                {kToNobody, "<another@example.org>", kQueueId, "good"},
                {kToNobody, kMessageId, "", "wrong message"},
                {kWithoutQueueId, kMessageId, "", "good"},
                {kWithoutQueueId, kMessageId, "6213AB7c099999", "good"},
                {kWithoutQueueId, "", kQueueId, "wrong message"}};
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(row.message_id), std::string(row.expected),
                                   verdict(row.tag, {row.message_id, row.queue_id}));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TagFormatFaultsTest);
