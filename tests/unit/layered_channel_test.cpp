#include "layered_channel.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

using namespace lmtpq;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kRecord = 1000;  // the toy layer's largest
constexpr std::size_t kHead = 7;

// A record: its type, six digits of length, the bytes.
std::string record(char type, std::string_view bytes = "") {
  std::array<char, kHead + 1> head{};
  std::snprintf(head.data(), head.size(), "%c%06u", type, static_cast<unsigned>(bytes.size()));
  return head.data() + std::string(bytes);
}

// d: bytes; t: a ticket, nothing to the caller; q: wants an answer; g: goodbye; else a failure.
class ToyLayer : public Layer {
 public:
  explicit ToyLayer(std::string held = "") : unopened_(std::move(held)) {}

  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override {
    if (plain.starts_with("unsealable")) {
      failure_ = "cannot be sealed";
      return std::nullopt;
    }
    const std::string_view taken = plain.substr(0, kRecord);
    sealed += record('d', taken);
    return taken.size();
  }

  bool open(std::string_view sealed, std::string& plain, std::string& answer) override {
    unopened_ += sealed;
    while (failure_.empty() && !ended_ && unopened_.size() >= kHead) {
      const std::size_t size = std::stoul(unopened_.substr(1, kHead - 1));
      if (unopened_.size() < kHead + size) {
        break;
      }
      open_record(unopened_[0], unopened_.substr(kHead, size), plain, answer);
      unopened_.erase(0, kHead + size);
    }
    return failure_.empty();
  }

  std::string ending() const override { return ended_ ? "said goodbye" : "truncated"; }
  bool ended() const override { return ended_; }
  const std::string& failure() const override { return failure_; }
  void say_goodbye(std::string& sealed) override { sealed += record('g'); }

 private:
  void open_record(char type, const std::string& bytes, std::string& plain, std::string& answer) {
    switch (type) {
      case 'd':
        plain += bytes;
        break;
      case 't':
        break;
      case 'q':
        answer += record('a');
        break;
      case 'g':
        ended_ = true;
        break;
      default:
        answer += record('!');
        failure_ = "no such record";
    }
  }

  std::string unopened_;
  bool ended_ = false;
  std::string failure_;
};

constexpr std::size_t kAll = ~std::size_t{0};

// What passes below, for the test to look at and to steer.
struct Wire {
  std::string to_us;
  std::string from_us;
  std::size_t most_read = kAll;  // in one call
  std::size_t room = kAll;       // before writing blocks
  bool ended = false;
  bool broken = false;
  bool endless = false;  // to_us never runs dry
  int rounds = 0;
};

class WireChannel : public Channel {
 public:
  explicit WireChannel(Wire& wire) : wire_(wire) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    ++wire_.rounds;
    if (wire_.broken) {
      failure_ = "read: broken";
      return IoStatus::kFailed;
    }
    const std::string_view ready = std::string_view(wire_.to_us).substr(0, wire_.most_read);
    if (!ready.empty() && in.size() < 256 * 1024) {
      in += ready;
      wire_.to_us.erase(0, wire_.endless ? 0 : ready.size());
      return IoStatus::kProgress;
    }
    if (wire_.to_us.empty() && wire_.ended && (!end_told_ || out.empty())) {
      end_told_ = true;
      failure_ = "the peer closed the connection";
      return IoStatus::kClosed;
    }
    const std::size_t count = std::min(out.size(), wire_.room);
    wire_.from_us += out.substr(0, count);
    out.remove_prefix(count);
    wire_.room -= wire_.room == kAll ? 0 : count;
    return count > 0 ? IoStatus::kProgress : IoStatus::kTimeout;
  }

  bool quiet() override { return wire_.to_us.empty() && !wire_.ended && !wire_.broken; }
  const std::string& failure() const override { return failure_; }

 private:
  Wire& wire_;
  bool end_told_ = false;
  std::string failure_;
};

std::unique_ptr<LayeredChannel> over(Wire& wire, std::string held = "") {
  return std::make_unique<LayeredChannel>(std::make_unique<WireChannel>(wire),
                                          std::make_unique<ToyLayer>(std::move(held)));
}

Deadline soon() { return Clock::now() + 5s; }

void check(IoStatus expected, IoStatus status) {
  CPPUNIT_ASSERT_EQUAL(static_cast<int>(expected), static_cast<int>(status));
}

// The bytes within records of data.
std::string opened(std::string_view sealed) {
  ToyLayer layer;
  std::string plain;
  std::string answer;
  CPPUNIT_ASSERT(layer.open(sealed, plain, answer));
  return plain;
}

std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  unsigned state = 1;
  for (char& c : bytes) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace

class LayeredChannelTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LayeredChannelTest);
  CPPUNIT_TEST(bytesComeOutAsTheyWentIn);
  CPPUNIT_TEST(bytesLeaveWhenTheLastByteOfTheirRecordIsTaken);
  CPPUNIT_TEST(anAnswerBehindTheRecordDoesNotHideThatItLeft);
  CPPUNIT_TEST(anAnswerBeforeTheRecordIsNotTakenForIt);
  CPPUNIT_TEST(whatCanBeReadIsReadBeforeAnythingIsWritten);
  CPPUNIT_TEST(commandsGoIntoOneRecordAndALongPieceIntoOneAtATime);
  CPPUNIT_TEST(aRecordForTheLayerAloneIsProgressUntilTheDeadline);
  CPPUNIT_TEST(aTimeOutOfTheChannelBelowIsOne);
  CPPUNIT_TEST(whatTheLayerHoldsIsHandedOutWithoutReading);
  CPPUNIT_TEST(afterAFailureAHalfWrittenRecordStaysHalf);
  CPPUNIT_TEST(theAlertGoesOutWhereNoRecordIsHalfWritten);
  CPPUNIT_TEST(bytesBeforeAFailureAreHandedOut);
  CPPUNIT_TEST(whatCannotBeSealedIsAFailure);
  CPPUNIT_TEST(aFailureBelowHasItsWords);
  CPPUNIT_TEST(theGoodbyeIsToldOnceAndWritingGoesOn);
  CPPUNIT_TEST(nothingIsBelievedBehindTheGoodbye);
  CPPUNIT_TEST(anEndWithoutGoodbyeIsAFailure);
  CPPUNIT_TEST(anEndWhileMuchIsUnreadComesBehindIt);
  CPPUNIT_TEST(quietIsAPeerThatHasNothingForTheCaller);
  CPPUNIT_TEST(halfARecordOnItsWayIsNotQuiet);
  CPPUNIT_TEST(layersMayStandUponEachOther);
  CPPUNIT_TEST(whatQuietFoundIsHandedOut);
  CPPUNIT_TEST(aPeerThatNeverStopsFillsLittleMemory);
  CPPUNIT_TEST(aPeerThatWantsAnswersAndReadsNoneIsGivenUp);
  CPPUNIT_TEST(destructionSaysGoodbyeButNotBehindHalfARecord);
  CPPUNIT_TEST_SUITE_END();

  void bytesComeOutAsTheyWentIn() {
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

  // The peer has the whole record and may act upon it: to be told that it is not out would make the
  // caller send the message again.
  void anAnswerBehindTheRecordDoesNotHideThatItLeft() {
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

  void anAnswerBeforeTheRecordIsNotTakenForIt() {
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

  void whatCanBeReadIsReadBeforeAnythingIsWritten() {
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

  void aTimeOutOfTheChannelBelowIsOne() {
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

  void whatTheLayerHoldsIsHandedOutWithoutReading() {
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

  void afterAFailureAHalfWrittenRecordStaysHalf() {
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

  void theAlertGoesOutWhereNoRecordIsHalfWritten() {
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

  void whatCannotBeSealedIsAFailure() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "unsealable";
    check(IoStatus::kFailed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("cannot be sealed"), channel->failure());
    CPPUNIT_ASSERT(wire.from_us.empty());
  }

  void aFailureBelowHasItsWords() {
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

  void theGoodbyeIsToldOnceAndWritingGoesOn() {
    Wire wire;
    const auto channel = over(wire);
    std::string in;
    std::string_view out = "answer";
    wire.to_us = record('d', "QUIT\r\n") + record('g');
    wire.ended = true;
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("QUIT\r\n"), in);
    check(IoStatus::kClosed, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("said goodbye"), channel->failure());
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));  // the end below, no news
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT_EQUAL(record('d', "answer"), wire.from_us);
    std::string_view nothing;
    check(IoStatus::kClosed, channel->exchange(nothing, in, soon()));
  }

  void nothingIsBelievedBehindTheGoodbye() {
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

  void anEndWithoutGoodbyeIsAFailure() {
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

  void anEndWhileMuchIsUnreadComesBehindIt() {
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

  void quietIsAPeerThatHasNothingForTheCaller() {
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
        {"goodbye", record('g'), false, false},
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

  void halfARecordOnItsWayIsNotQuiet() {
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

  // TLS below a SASL layer: both keep the bytes, neither loses or doubles any.
  void layersMayStandUponEachOther() {
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

  void whatQuietFoundIsHandedOut() {
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

  void aPeerThatNeverStopsFillsLittleMemory() {
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
    // What waited sealed is not lost, nor does it need another byte from below.
    const std::size_t before = in.size();
    in.clear();
    check(IoStatus::kProgress, channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(in.size() >= before - 20'000 && in.size() < 300 * 1024);
  }

  void aPeerThatWantsAnswersAndReadsNoneIsGivenUp() {
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
    CPPUNIT_ASSERT_EQUAL(std::string("the peer asks for more than it reads"), channel->failure());
  }

  void destructionSaysGoodbyeButNotBehindHalfARecord() {
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

CPPUNIT_TEST_SUITE_REGISTRATION(LayeredChannelTest);
