#include "mailer/io/layered_channel.h"

#include <cppunit/extensions/HelperMacros.h>

#include <utility>

#include "tests/unit/mailer/io/toy_layer.h"
#include "tests/unit/mailer/message/some_bytes.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::toy;

class LayeredChannelTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LayeredChannelTest);
  CPPUNIT_TEST(bytesAreTheSameOnBothSides);
  CPPUNIT_TEST(bytesLeaveWhenTheLastByteOfTheirRecordIsTaken);
  CPPUNIT_TEST(anAnswerAfterTheRecordDoesNotHideThatItLeft);
  CPPUNIT_TEST(anAnswerBeforeTheRecordDoesNotCountAsIt);
  CPPUNIT_TEST(bytesThatCanBeReadAreReadBeforeAnyAreWritten);
  CPPUNIT_TEST(commandsGoIntoOneRecordAndALongPieceIntoOneAtATime);
  CPPUNIT_TEST(aRecordForTheLayerAloneIsProgressUntilTheDeadline);
  CPPUNIT_TEST(aTimeoutOfTheChannelBelowIsATimeout);
  CPPUNIT_TEST(bytesInTheLayerAreHandedOutWithoutReading);
  CPPUNIT_TEST(recordsForTheLayerAloneLeaveTheChannelQuiet);
  CPPUNIT_TEST(aHalfWrittenRecordIsNotQuiet);
  CPPUNIT_TEST(layersCanBeStacked);
  CPPUNIT_TEST(bytesThatQuietFoundAreHandedOut);
  CPPUNIT_TEST(bytesThatAreStillSealedAreNotQuiet);
  CPPUNIT_TEST_SUITE_END();

  void bytesAreTheSameOnBothSides() {
    for (const std::size_t size : {1UL, kRecord - 1, kRecord, kRecord + 1, 1'000'000UL}) {
      for (const std::size_t most : {1UL, 6UL, 5000UL, kAll}) {
        if (size / most > 10'000) {
          continue;  // only slow
        }
        const std::string bytes = some_bytes(size);
        Wire wire;
        wire.most_read = most;
        const auto channel = over(wire);
        std::string in;
        std::string_view out = bytes;
        while (!out.empty()) {
          wire.room = most;
          check(IoStatus::kProgress, channel->exchange(out, in, soon()));
        }
        CPPUNIT_ASSERT(opened(wire.from_us) == bytes);
        wire.to_us = wire.from_us;
        std::string all;
        while (all.size() < size) {
          check(IoStatus::kProgress, channel->exchange(out, in, soon()));
          all += std::exchange(in, {});
        }
        CPPUNIT_ASSERT(all == bytes);
        check(IoStatus::kTimeout, channel->exchange(out, in, soon()));
      }
    }
  }

  void bytesLeaveWhenTheLastByteOfTheirRecordIsTaken() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "the end\r\n.\r\n";
    const std::size_t whole = record('d', out).size();
    wire.room = whole - 1;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(whole - 1, wire.from_us.size());
    CPPUNIT_ASSERT_EQUAL(std::size_t{12}, out.size());
    check(IoStatus::kTimeout, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{12}, out.size());
    wire.room = 1;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT_EQUAL(record('d', "the end\r\n.\r\n"), wire.from_us);
  }

  // The peer has the whole record and may act on it. If it counted as not sent, the caller would
  // send the message again.
  void anAnswerAfterTheRecordDoesNotHideThatItLeft() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "the end\r\n.\r\n";
    wire.room = 5;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    wire.to_us = record('q');
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{12}, out.size());
    wire.room = record('d', out).size() - 5;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT_EQUAL(record('d', "the end\r\n.\r\n"), wire.from_us);
    wire.room = kAll;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(record('d', "the end\r\n.\r\n") + record('a'), wire.from_us);
  }

  void anAnswerBeforeTheRecordDoesNotCountAsIt() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out;
    wire.to_us = record('q') + record('q');
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    out = "x";
    wire.room = 2 * kHead + kHead;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("x"), std::string(out));
    wire.room = 1;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT_EQUAL(record('a') + record('a') + record('d', "x"), wire.from_us);
  }

  void bytesThatCanBeReadAreReadBeforeAnyAreWritten() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "x\r\n.\r\n";
    wire.to_us = record('d', "452 full\r\n");
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("452 full\r\n"), in);
    CPPUNIT_ASSERT_EQUAL(std::size_t{6}, out.size());
    CPPUNIT_ASSERT(wire.from_us.empty());
  }

  void commandsGoIntoOneRecordAndALongPieceIntoOneAtATime() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n";
    const std::string commands = record('d', out);
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT_EQUAL(commands, wire.from_us);
    const std::string piece(10 * kRecord, 'x');
    out = piece;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(9 * kRecord, out.size());
  }

  void aRecordForTheLayerAloneIsProgressUntilTheDeadline() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out;
    wire.to_us = record('t');
    wire.endless = true;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(in.empty());
    check(IoStatus::kTimeout, channel->exchange(out, in, Clock::now()));
    wire.endless = false;
    wire.to_us = record('t') + record('d', "250 ok\r\n");
    check(IoStatus::kProgress, channel->exchange(out, in, Clock::now()));
    CPPUNIT_ASSERT_EQUAL(std::string("250 ok\r\n"), in);
    wire.to_us = record('d', "part").substr(0, 9);
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
  }

  void aTimeoutOfTheChannelBelowIsATimeout() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out;
    check(IoStatus::kTimeout, channel->exchange(out, in, soon()));
    out = "x";
    wire.room = 0;
    check(IoStatus::kTimeout, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, out.size());
  }

  void bytesInTheLayerAreHandedOutWithoutReading() {
    Wire wire;
    const auto channel = over(wire, record('d', "250 already\r\n"));
    CPPUNIT_ASSERT(!channel->quiet());
    std::string in;
    std::string_view out = "x";
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("250 already\r\n"), in);
    CPPUNIT_ASSERT_EQUAL(0, wire.rounds);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, out.size());
  }

  void recordsForTheLayerAloneLeaveTheChannelQuiet() {
    struct Row {
      const char* name;
      std::string to_us;
      bool ended;
      bool quiet;
    };
    const Row rows[] = {
        {"silence", "", false, true},
        {"a ticket", record('t'), false, true},
        {"three of them and a question", record('t') + record('q') + record('t'), false, true},
        {"half a ticket", record('t', "half").substr(0, 8), false, true},
        {"bytes", record('d', "4"), false, false},
        {"a ticket and bytes", record('t') + record('d', "4"), false, false},
        {"closing message", record('g'), false, false},
        {"the end", "", true, false},
        {"a ticket and the end", record('t'), true, false},
        {"garbage", record('?'), false, false},
    };
    for (const Row& row : rows) {
      Wire wire;
      wire.to_us = row.to_us;
      wire.ended = row.ended;
      const auto channel = over(wire);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, row.quiet, channel->quiet());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, row.quiet, channel->quiet());
    }
    Wire wire;
    wire.to_us = record('t');
    wire.endless = true;
    CPPUNIT_ASSERT(!over(wire)->quiet());
    CPPUNIT_ASSERT(wire.rounds < 20);
  }

  void aHalfWrittenRecordIsNotQuiet() {
    Wire wire;
    wire.room = 3;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "x";
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(!channel->quiet());
    wire.room = kAll;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(channel->quiet());
    CPPUNIT_ASSERT_EQUAL(record('d', "x"), wire.from_us);
  }

  // TLS below a SASL layer: no bytes are lost or doubled.
  void layersCanBeStacked() {
    const std::string bytes = some_bytes(20'000);
    for (const std::size_t most : {1UL, 7UL, 1011UL, kAll}) {
      Wire wire;
      wire.most_read = most;
      LayeredChannel channel(over(wire), std::make_unique<ToyLayer>());
      std::string in;
      std::string_view out = bytes;
      while (!out.empty()) {
        wire.room = most;
        check(IoStatus::kProgress, channel.exchange(out, in, soon()));
      }
      CPPUNIT_ASSERT(opened(opened(wire.from_us)) == bytes);
      wire.to_us = wire.from_us;
      while (in.size() < bytes.size()) {
        check(IoStatus::kProgress, channel.exchange(out, in, soon()));
      }
      CPPUNIT_ASSERT(in == bytes);
      wire.to_us = record('d', record('t'));
      CPPUNIT_ASSERT(channel.quiet());
      wire.to_us = record('d', record('d', "4"));
      CPPUNIT_ASSERT(!channel.quiet());
    }
  }

  void bytesThatQuietFoundAreHandedOut() {
    Wire wire;
    const auto channel = over(wire);
    wire.to_us = record('d', "421 bye\r\n");
    wire.ended = true;
    CPPUNIT_ASSERT(!channel->quiet());
    std::string in;
    std::string_view out;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("421 bye\r\n"), in);
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
  }

  void bytesThatAreStillSealedAreNotQuiet() {
    Wire wire;
    const auto channel = over(wire);
    std::string in(300'000, 'x');  // of a caller that takes nothing
    std::string_view out;
    wire.to_us = record('d', "421 bye\r\n");
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(wire.to_us.empty());
    CPPUNIT_ASSERT(!channel->quiet());
    in.clear();
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("421 bye\r\n"), in);
    CPPUNIT_ASSERT(channel->quiet());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LayeredChannelTest);
