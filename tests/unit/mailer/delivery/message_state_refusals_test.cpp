#include "tests/unit/mailer/store/scripted_store.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

// Which recipients are refused for a store's SIZE, or since it does not offer SMTPUTF8.
class MessageStateRefusalsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageStateRefusalsTest);
  CPPUNIT_TEST(aSizeRefusedBelowTheLimitIsTriedOnceWithoutSize);
  CPPUNIT_TEST(aSizeRefusedByAStoreThatOffersNoneIsFinal);
  CPPUNIT_TEST(aMessageOverTheStoresSizeIsRefusedWithoutSendingIt);
  CPPUNIT_TEST(aMessageOfExactlyTheStoresSizeIsSent);
  CPPUNIT_TEST(anAddressThatNeedsUtf8IsRefusedAlone);
  CPPUNIT_TEST(aSenderThatNeedsUtf8RefusesAll);
  CPPUNIT_TEST(utf8InTheHeaderAloneFollowsThePolicy);
  CPPUNIT_TEST(utf8InTheBodyIsNeverRefused);
  CPPUNIT_TEST(aHeaderOfUnknownLengthMayContainUtf8);
  CPPUNIT_TEST(aStoreWithUtf8GetsTheParameter);
  CPPUNIT_TEST_SUITE_END();

  void aSizeRefusedBelowTheLimitIsTriedOnceWithoutSize() {  // trap: misjudged-size
    const std::string refusal = "552 5.2.3 Message size exceeds limit\r\n";
    Road road({"--trace=off"});
    road.meet({refusal});
    CPPUNIT_ASSERT(!road.transact());
    CPPUNIT_ASSERT(road.told().empty());
    road.hear({kOk, refusal});
    CPPUNIT_ASSERT(!road.transact());
    check("RSET | MAIL FROM:<sender@example.org>", road.heard());
    check("alice refused 5.2.3 no, bob refused 5.2.3 no, carol refused 5.2.3 no", road.fates());

    Road better({"--trace=off"}, "", {"alice"});
    better.meet({refusal});
    CPPUNIT_ASSERT(!better.transact());
    better.hear({kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!better.transact());
    check("alice sent 2.1.5 no", better.fates());
  }

  void aSizeRefusedByAStoreThatOffersNoneIsFinal() {
    Road road({}, "", {"alice"});
    road.meet({"552 5.3.4 too large\r\n"}, "250 store\r\n");
    CPPUNIT_ASSERT(!road.transact());
    check("alice refused 5.3.4 no", road.fates());
  }

  void aMessageOverTheStoresSizeIsRefusedWithoutSendingIt() {
    Road road({}, "Subject: s\r\n\r\n" + std::string(985, 'x') + "\r\n");
    road.meet({});
    CPPUNIT_ASSERT(!road.progress().next_transaction(road.upstream().client().capabilities()));
    check("alice refused 5.3.4 no, bob refused 5.3.4 no, carol refused 5.3.4 no", road.fates());
    check("Message too large: 1001 bytes; the store's limit is 1000",
          road.progress().outcome(0).text);
    CPPUNIT_ASSERT_EQUAL(552, road.progress().outcome(0).code);
  }

  void aMessageOfExactlyTheStoresSizeIsSent() {
    Road road({}, "Subject: s\r\n\r\n" + std::string(984, 'x') + "\r\n", {"alice"});
    road.meet({kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!road.transact());
    check("alice sent 2.1.5 no", road.fates());
    // SIZE without a number, or 0: no known limit.
    for (const char* size : {"SIZE", "SIZE 0"}) {
      Road free({}, std::string(5000, 'x') + "\r\n", {"alice"});
      free.meet({kOk, kOk, kGo, kSent}, "250-store\r\n250 " + std::string(size) + "\r\n");
      CPPUNIT_ASSERT(!free.transact());
      check("MAIL FROM:<sender@example.org> SIZE=5002 | RCPT TO:<alice> | DATA", free.heard());
      check("alice sent 2.1.5 no", free.fates());
    }
  }

  void anAddressThatNeedsUtf8IsRefusedAlone() {
    Road road({"--trace=off"}, "",
              {"alice",
               "b\xc3\xb6"
               "b",
               "carol"});
    road.envelope().charset = AddressCharset::kUtf8;
    road.meet({kOk, kOk, kOk, kGo, kSent + kSent});
    CPPUNIT_ASSERT(!road.transact());
    check("MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<alice> | RCPT TO:<carol> | DATA",
          road.heard());
    check(
        "b\xc3\xb6"
        "b refused 5.6.7 no, alice sent 2.1.5 no, carol sent 2.1.5 no",
        road.fates());
    CPPUNIT_ASSERT_EQUAL(550, road.progress().outcome(1).code);
  }

  void aSenderThatNeedsUtf8RefusesAll() {
    Road road;
    road.envelope().sender = mailbox("s\xc3\xb6@example.org");
    road.meet({});
    CPPUNIT_ASSERT(!road.progress().next_transaction(road.upstream().client().capabilities()));
    check("alice refused 5.6.7 no, bob refused 5.6.7 no, carol refused 5.6.7 no", road.fates());
  }

  // The client used SMTPUTF8, the store does not offer it.
  static std::string utf8_fate(const std::string& message, const std::string& policy) {
    Road road({"--utf8-headers=" + policy}, message, {"alice"});
    road.envelope().charset = AddressCharset::kUtf8;
    road.envelope().body = BodyType::k8BitMime;
    road.meet({kOk, kOk, kGo, kSent}, "250-store\r\n250 8BITMIME\r\n");
    if (road.progress().next_transaction(road.upstream().client().capabilities())) {
      CPPUNIT_ASSERT(!road.transact());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          road.heard(),
          std::string("MAIL FROM:<sender@example.org> BODY=8BITMIME | RCPT TO:<alice> | DATA"),
          road.heard());
    }
    return road.fates();
  }

  void utf8InTheHeaderAloneFollowsThePolicy() {
    const std::string message = "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\nhi\r\n";
    check("alice sent 2.1.5 no", utf8_fate(message, "allow"));
    check("alice refused 5.6.7 no", utf8_fate(message, "refuse"));
    check("alice refused 5.6.7 no", utf8_fate("Subject: \xc3\xbc\r\n", "refuse"));
    check("alice sent 2.1.5 no", utf8_fate("Subject: plain\r\n\r\nhi\r\n", "refuse"));
  }

  void utf8InTheBodyIsNeverRefused() {
    check("alice sent 2.1.5 no",
          utf8_fate("Subject: s\r\n\r\n\xc3\xbc\r\n\r\n\xc3\xbc\r\n", "refuse"));
    // A message without a header begins with its empty line.
    check("alice sent 2.1.5 no", utf8_fate("\r\n\xc3\xbc\r\n\r\nhi\r\n", "refuse"));
  }

  void aHeaderOfUnknownLengthMayContainUtf8() {
    std::string header;
    while (header.size() < MessageSpool::kHead) {
      header += "X-Filler: 0123456789\r\n";
    }
    check("alice refused 5.6.7 no", utf8_fate(header + "\r\nhi\r\n", "refuse"));
    check("alice sent 2.1.5 no", utf8_fate(header + "\r\nhi\r\n", "allow"));
  }

  void aStoreWithUtf8GetsTheParameter() {
    const std::string offers = "250-store\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
    Road declared({}, "", {"alice"});
    declared.envelope().charset = AddressCharset::kUtf8;
    Road needed({}, "", {"\xc3\xa4lice"});
    for (Road* road : {&declared, &needed}) {
      road->meet({kOk, kOk, kGo, kSent}, offers);
      CPPUNIT_ASSERT(!road->transact());
      CPPUNIT_ASSERT_MESSAGE(
          road->heard(), road->heard().starts_with("MAIL FROM:<sender@example.org> SMTPUTF8 | "));
      CPPUNIT_ASSERT(!road->progress().undecided());
    }
    Road plain({}, "", {"alice"});
    plain.meet({kOk, kOk, kGo, kSent}, offers);
    CPPUNIT_ASSERT(!plain.transact());
    CPPUNIT_ASSERT(plain.heard().find("SMTPUTF8") == std::string::npos);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageStateRefusalsTest);
