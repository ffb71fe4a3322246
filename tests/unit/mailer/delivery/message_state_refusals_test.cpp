#include "tests/unit/mailer/delivery/message_state_fixture.h"

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
  CPPUNIT_TEST(aLongHeaderIsReadToItsEnd);
  CPPUNIT_TEST(aStoreWithUtf8GetsTheParameter);
  CPPUNIT_TEST_SUITE_END();

  void aSizeRefusedBelowTheLimitIsTriedOnceWithoutSize() {  // trap: misjudged-size
    const std::string refusal = "552 5.2.3 Message size exceeds limit\r\n";
    MessageStateFixture fixture({"--trace=off"});
    fixture.meet({refusal});
    CPPUNIT_ASSERT(!fixture.transact());
    CPPUNIT_ASSERT(fixture.told().empty());
    fixture.hear({kOk, refusal});
    CPPUNIT_ASSERT(!fixture.transact());
    check("RSET | MAIL FROM:<sender@example.org>", fixture.heard());
    check("alice refused 5.2.3 no, bob refused 5.2.3 no, carol refused 5.2.3 no", fixture.fates());

    MessageStateFixture better({"--trace=off"}, "", {"alice"});
    better.meet({refusal});
    CPPUNIT_ASSERT(!better.transact());
    better.hear({kOk, kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!better.transact());
    check("alice sent 2.1.5 no", better.fates());
  }

  void aSizeRefusedByAStoreThatOffersNoneIsFinal() {
    MessageStateFixture fixture({}, "", {"alice"});
    fixture.meet({"552 5.3.4 too large\r\n"}, "250 store\r\n");
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice refused 5.3.4 no", fixture.fates());
  }

  void aMessageOverTheStoresSizeIsRefusedWithoutSendingIt() {
    MessageStateFixture fixture({}, "Subject: s\r\n\r\n" + std::string(985, 'x') + "\r\n");
    fixture.meet({});
    CPPUNIT_ASSERT(!fixture.state().next_transaction(fixture.upstream().client().capabilities()));
    check("alice refused 5.3.4 no, bob refused 5.3.4 no, carol refused 5.3.4 no", fixture.fates());
    check("Message too large: 1001 bytes; the store's limit is 1000",
          fixture.state().outcome(0).text);
    CPPUNIT_ASSERT_EQUAL(552, fixture.state().outcome(0).code);
  }

  void aMessageOfExactlyTheStoresSizeIsSent() {
    MessageStateFixture fixture({}, "Subject: s\r\n\r\n" + std::string(984, 'x') + "\r\n",
                                {"alice"});
    fixture.meet({kOk, kOk, kGo, kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("alice sent 2.1.5 no", fixture.fates());
    // SIZE without a number, or 0: no known limit.
    for (const char* size : {"SIZE", "SIZE 0"}) {
      MessageStateFixture free({}, std::string(5000, 'x') + "\r\n", {"alice"});
      free.meet({kOk, kOk, kGo, kSent}, "250-store\r\n250 " + std::string(size) + "\r\n");
      CPPUNIT_ASSERT(!free.transact());
      check("MAIL FROM:<sender@example.org> SIZE=5002 | RCPT TO:<alice> | DATA", free.heard());
      check("alice sent 2.1.5 no", free.fates());
    }
  }

  void anAddressThatNeedsUtf8IsRefusedAlone() {
    MessageStateFixture fixture({"--trace=off"}, "",
                                {"alice",
                                 "b\xc3\xb6"
                                 "b",
                                 "carol"});
    fixture.envelope().charset = AddressCharset::kUtf8;
    fixture.meet({kOk, kOk, kOk, kGo, kSent + kSent});
    CPPUNIT_ASSERT(!fixture.transact());
    check("MAIL FROM:<sender@example.org> SIZE=44 | RCPT TO:<alice> | RCPT TO:<carol> | DATA",
          fixture.heard());
    check(
        "b\xc3\xb6"
        "b refused 5.6.7 no, alice sent 2.1.5 no, carol sent 2.1.5 no",
        fixture.fates());
    CPPUNIT_ASSERT_EQUAL(550, fixture.state().outcome(1).code);
  }

  void aSenderThatNeedsUtf8RefusesAll() {
    MessageStateFixture fixture;
    fixture.envelope().sender = mailbox("s\xc3\xb6@example.org");
    fixture.meet({});
    CPPUNIT_ASSERT(!fixture.state().next_transaction(fixture.upstream().client().capabilities()));
    check("alice refused 5.6.7 no, bob refused 5.6.7 no, carol refused 5.6.7 no", fixture.fates());
  }

  // The client used SMTPUTF8, the store does not offer it.
  static std::string utf8_fate(const std::string& message, const std::string& policy) {
    MessageStateFixture fixture({"--utf8-headers=" + policy}, message, {"alice"});
    fixture.envelope().charset = AddressCharset::kUtf8;
    fixture.envelope().body = BodyType::k8BitMime;
    fixture.meet({kOk, kOk, kGo, kSent}, "250-store\r\n250 8BITMIME\r\n");
    if (fixture.state().next_transaction(fixture.upstream().client().capabilities())) {
      CPPUNIT_ASSERT(!fixture.transact());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          fixture.heard(),
          std::string("MAIL FROM:<sender@example.org> BODY=8BITMIME | RCPT TO:<alice> | DATA"),
          fixture.heard());
    }
    return fixture.fates();
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

  void aLongHeaderIsReadToItsEnd() {
    std::string header;
    while (header.size() < MessageSpool::kHead) {
      header += "X-Filler: 0123456789\r\n";
    }
    check("alice sent 2.1.5 no", utf8_fate(header + "\r\nhi \xc3\xbc\r\n", "refuse"));
    check("alice refused 5.6.7 no", utf8_fate(header + "A: \xc3\xbc\r\n\r\nhi\r\n", "refuse"));
    check("alice sent 2.1.5 no", utf8_fate(header + "A: \xc3\xbc\r\n\r\nhi\r\n", "allow"));
  }

  void aStoreWithUtf8GetsTheParameter() {
    const std::string offers = "250-store\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
    MessageStateFixture declared({}, "", {"alice"});
    declared.envelope().charset = AddressCharset::kUtf8;
    MessageStateFixture needed({}, "", {"\xc3\xa4lice"});
    for (MessageStateFixture* fixture : {&declared, &needed}) {
      fixture->meet({kOk, kOk, kGo, kSent}, offers);
      CPPUNIT_ASSERT(!fixture->transact());
      CPPUNIT_ASSERT_MESSAGE(fixture->heard(), fixture->heard().starts_with(
                                                   "MAIL FROM:<sender@example.org> SMTPUTF8 | "));
      CPPUNIT_ASSERT(!fixture->state().undecided());
    }
    MessageStateFixture plain({}, "", {"alice"});
    plain.meet({kOk, kOk, kGo, kSent}, offers);
    CPPUNIT_ASSERT(!plain.transact());
    CPPUNIT_ASSERT(plain.heard().find("SMTPUTF8") == std::string::npos);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageStateRefusalsTest);
