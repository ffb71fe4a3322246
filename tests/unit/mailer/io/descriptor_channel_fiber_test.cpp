// What a channel asks its fiber's scheduler.

#include <cppunit/extensions/HelperMacros.h>

#include "tests/unit/mailer/io/channel_pairs.h"
#include "tests/unit/mailer/io/thread_scheduler.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class DescriptorChannelFiberTest : public WithoutSigpipe {
  CPPUNIT_TEST_SUITE(DescriptorChannelFiberTest);
  CPPUNIT_TEST(inputIsWaitedForAndThenRead);
  CPPUNIT_TEST(afterALargeReadTheNextOneDoesNotWait);
  CPPUNIT_TEST(aWriteWaitsOnlyWhereThereIsNoRoom);
  CPPUNIT_TEST(whatCanBeReadIsReadBeforeAWrite);
  CPPUNIT_TEST(aClientWhoseReplyIsNotTakenSendsLittleMore);
  CPPUNIT_TEST(aCutEndsTheConnection);
  CPPUNIT_TEST_SUITE_END();

  static std::string text(std::size_t size) { return std::string(size, 'x'); }

  void inputIsWaitedForAndThenRead() {
    ThreadScheduler scheduler;
    const ChannelPair pair = over_socket();
    const Deadline deadline = soon();
    std::string in;
    std::string_view out;
    check(IoStatus::kTimeout, pair.channel->exchange(out, in, deadline));
    CPPUNIT_ASSERT_EQUAL(short{POLLIN}, scheduler.asked_events);
    CPPUNIT_ASSERT(scheduler.asked_deadline == deadline);
    say(pair, "x");
    scheduler.answers = {POLLIN, Scheduler::kInterrupted};
    check(IoStatus::kProgress, pair.channel->exchange(out, in, deadline));
    CPPUNIT_ASSERT(in.empty());
    check(IoStatus::kProgress, pair.channel->exchange(out, in, deadline));
    CPPUNIT_ASSERT_EQUAL(std::string("x"), in);
    CPPUNIT_ASSERT_EQUAL(3, scheduler.paces);
  }

  void afterALargeReadTheNextOneDoesNotWait() {
    for (const std::size_t size : {16U * 1024 - 1, 16U * 1024}) {
      ThreadScheduler scheduler;
      ChannelPair pair = over_socket();
      std::string in;
      std::string_view out;
      say(pair, text(size));
      scheduler.answers = {POLLIN};
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(size, in.size());
      scheduler.asked_for = -1;
      const bool large = size == 16U * 1024;
      say(pair, "y");
      check(large ? IoStatus::kProgress : IoStatus::kTimeout,
            pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(large, scheduler.asked_for < 0);
      // It was small, so this one waits.
      check(IoStatus::kTimeout, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT(scheduler.asked_for >= 0);
    }
  }

  void aWriteWaitsOnlyWhereThereIsNoRoom() {
    ThreadScheduler scheduler;
    const ChannelPair pair = over_socket();
    const std::string much = text(4'000'000);
    std::string in;
    std::string_view out = much;
    check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(-1, scheduler.asked_for);
    while (pair.channel->exchange(out, in, soon()) == IoStatus::kProgress) {
    }
    CPPUNIT_ASSERT_EQUAL(short{POLLIN | POLLOUT}, scheduler.asked_events);
    const std::size_t left = out.size();
    hear(pair);
    hear(pair);
    scheduler.asked_for = -1;
    check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT(out.size() < left && scheduler.asked_for < 0);
  }

  void whatCanBeReadIsReadBeforeAWrite() {
    ThreadScheduler scheduler;
    const ChannelPair pair = over_socket();
    const std::string much = text(4'000'000);
    std::string in;
    std::string_view out = much;
    while (pair.channel->exchange(out, in, soon()) == IoStatus::kProgress) {
    }
    for (const short happened : {short{POLLIN}, short{POLLIN | POLLOUT}, short{POLLIN | POLLHUP}}) {
      // The reply comes while it waits.
      struct Late : ThreadScheduler {
        explicit Late(const ChannelPair& ends) : pair(ends) {}
        short wait_for(int, short, Deadline) override {
          say(pair, "4");
          return answer;
        }
        const ChannelPair& pair;
        short answer = 0;
      } late(pair);
      late.answer = happened;
      const std::size_t had = in.size();
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(had + 1, in.size());
    }
  }

  void aClientWhoseReplyIsNotTakenSendsLittleMore() {
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    const ChannelPair pair{std::make_unique<DescriptorChannel>(
                               Descriptor(ends[0]), DescriptorChannel::Order::kWriteFirst),
                           Descriptor(ends[1]), Descriptor()};
    ThreadScheduler scheduler;
    const std::string replies = text(4'000'000);
    std::string in;
    std::string_view out = replies;
    while (pair.channel->exchange(out, in, soon()) == IoStatus::kProgress) {
    }
    say(pair, text(50'000));
    scheduler.answers = {POLLIN, POLLIN, POLLIN};
    check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{16} * 1024, in.size());
    scheduler.answers.clear();
    check(IoStatus::kTimeout, pair.channel->exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(short{POLLOUT}, scheduler.asked_events);
    // Whatever happened to it, there is nothing to read.
    scheduler.answers = {POLLHUP};
    pair.channel->exchange(out, in, soon());
    CPPUNIT_ASSERT_EQUAL(std::size_t{16} * 1024, in.size());
    // Without a reply, more is read at once.
    in.clear();
    std::string_view nothing;
    scheduler.answers = {POLLIN};
    check(IoStatus::kProgress, pair.channel->exchange(nothing, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::size_t{32} * 1024, in.size());
  }

  void aCutEndsTheConnection() {
    for (const auto kind : {over_socket, over_tcp}) {
      const ChannelPair pair = kind();
      pair.channel->cut();
      std::string in;
      std::string_view nothing;
      check(IoStatus::kClosed, pair.channel->exchange(nothing, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string(), hear(pair));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DescriptorChannelFiberTest);
