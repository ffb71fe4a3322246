#include <cppunit/extensions/HelperMacros.h>

#include "mailer/io/layered_channel.h"
#include "tests/unit/mailer/io/toy_layer.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::toy;

class LayeredChannelEndsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LayeredChannelEndsTest);
  CPPUNIT_TEST(afterAFailureAHalfWrittenRecordIsNotCompleted);
  CPPUNIT_TEST(theAlertIsSentUnlessARecordIsHalfWritten);
  CPPUNIT_TEST(bytesBeforeAFailureAreHandedOut);
  CPPUNIT_TEST(aSealThatFailsIsAFailure);
  CPPUNIT_TEST(aFailureBelowIsReportedWithItsText);
  CPPUNIT_TEST(theClosingMessageIsReportedOnceAndWritingContinues);
  CPPUNIT_TEST(bytesAfterTheClosingMessageAreIgnored);
  CPPUNIT_TEST(anEndWithoutAClosingMessageIsAFailure);
  CPPUNIT_TEST(anEndIsReportedAfterAllUnreadBytes);
  CPPUNIT_TEST(anEndlessPeerFillsABoundedAmountOfMemory);
  CPPUNIT_TEST(aPeerThatDoesNotReadTheLayersAnswersIsAFailure);
  CPPUNIT_TEST(destructionSendsAClosingMessageUnlessARecordIsHalfWritten);
  CPPUNIT_TEST_SUITE_END();

  void afterAFailureAHalfWrittenRecordIsNotCompleted() {
    Wire wire;
    auto channel = over(wire);
    std::string in;
    std::string_view out = "the end\r\n.\r\n";
    wire.room = 10;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    wire.room = kAll;
    wire.to_us = record('?');
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("no such record"), channel->failure());
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(!channel->quiet());
    channel.reset();
    CPPUNIT_ASSERT_EQUAL(std::size_t{10}, wire.from_us.size());
    CPPUNIT_ASSERT_EQUAL(std::size_t{12}, out.size());
  }

  void theAlertIsSentUnlessARecordIsHalfWritten() {
    Wire wire;
    auto channel = over(wire);
    std::string in;
    std::string_view out;
    wire.to_us = record('?');
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    channel.reset();
    CPPUNIT_ASSERT_EQUAL(record('!'), wire.from_us);
  }

  void bytesBeforeAFailureAreHandedOut() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out;
    wire.to_us = record('d', "421 bye\r\n") + record('?');
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("421 bye\r\n"), in);
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
  }

  void aSealThatFailsIsAFailure() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "unsealable";
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("cannot be sealed"), channel->failure());
    CPPUNIT_ASSERT(wire.from_us.empty());
  }

  void aFailureBelowIsReportedWithItsText() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "x";
    wire.broken = true;
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("read: broken"), channel->failure());
    wire.broken = false;
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
  }

  void theClosingMessageIsReportedOnceAndWritingContinues() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "answer";
    wire.to_us = record('d', "QUIT\r\n") + record('g');
    wire.ended = true;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("QUIT\r\n"), in);
    check(IoStatus::kClosed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("closed"), channel->failure());
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));  // the end below, nothing new
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT_EQUAL(record('d', "answer"), wire.from_us);
    std::string_view nothing;
    check(IoStatus::kClosed, channel->exchange(nothing, in, soon()));
  }

  void bytesAfterTheClosingMessageAreIgnored() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "x";
    wire.to_us = record('g') + record('d', "250 ok\r\n");
    check(IoStatus::kClosed, channel->exchange(out, in, soon()));
    wire.to_us = record('d', "250 ok\r\n");
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(in.empty() && out.empty());
  }

  void anEndWithoutAClosingMessageIsAFailure() {
    for (const std::string& rest : {std::string(), record('d', "250 ok\r\n").substr(0, 12)}) {
      Wire wire;
      const auto channel = over(wire);
      std::string in;
      std::string_view out;
      wire.to_us = record('d', "250-a\r\n") + rest;
      wire.ended = true;
      check(IoStatus::kProgress, channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("250-a\r\n"), in);
      check(IoStatus::kFailed, channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("truncated"), channel->failure());
      check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    }
  }

  void anEndIsReportedAfterAllUnreadBytes() {
    Wire wire;
    const auto channel = over(wire);
    std::string in(300'000, 'x');
    std::string_view out;
    wire.to_us = record('d', "421 bye\r\n");
    wire.ended = true;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    out = "y";
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{300'009}, in.size());
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(wire.from_us.empty());
  }

  void anEndlessPeerFillsABoundedAmountOfMemory() {
    Wire wire;
    const auto channel = over(wire);
    wire.to_us = record('d', std::string(20'000, 'x'));
    wire.endless = true;
    std::string in;
    std::string_view out;
    for (int i = 0; i < 100; ++i) {
      channel->exchange(out, in, Clock::now());
    }
    CPPUNIT_ASSERT(in.size() >= 256 * 1024 && in.size() < 300 * 1024);
    out = "421 slow down\r\n";
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    wire.endless = false;
    wire.to_us.clear();
    // Sealed bytes that waited are not lost, and need no more bytes from below.
    const std::size_t before = in.size();
    in.clear();
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(in.size() >= before - 20'000 && in.size() < 300 * 1024);
  }

  void aPeerThatDoesNotReadTheLayersAnswersIsAFailure() {
    Wire wire;
    wire.room = 0;
    const auto channel = over(wire);
    for (int i = 0; i < 1000; ++i) {
      wire.to_us += record('q');
    }
    wire.endless = true;
    std::string in;
    std::string_view out;
    int rounds = 0;
    IoStatus status = IoStatus::kProgress;
    while (status == IoStatus::kProgress && ++rounds < 1000) {
      status = channel->exchange(out, in, soon());
    }
    check(IoStatus::kFailed, status);
    CPPUNIT_ASSERT(rounds < 100);
    CPPUNIT_ASSERT_EQUAL(std::string("the peer does not read the answers that it asks for"),
                         channel->failure());
  }

  void destructionSendsAClosingMessageUnlessARecordIsHalfWritten() {
    Wire wire;
    over(wire).reset();
    CPPUNIT_ASSERT_EQUAL(record('g'), wire.from_us);
    Wire half;
    half.room = 5;
    auto channel = over(half);
    std::string in;
    std::string_view out = "x";
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    half.room = kAll;
    channel.reset();
    CPPUNIT_ASSERT_EQUAL(std::size_t{5}, half.from_us.size());
    Wire gone;
    gone.ended = true;
    channel = over(gone);
    channel->exchange(out, in, soon());
    channel.reset();
    CPPUNIT_ASSERT(gone.from_us.empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LayeredChannelEndsTest);
