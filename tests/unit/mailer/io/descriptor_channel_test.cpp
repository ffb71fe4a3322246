#include "mailer/io/descriptor_channel.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/mailer/io/channel_pairs.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace std::chrono_literals;

class DescriptorChannelTest : public WithoutSigpipe {
  CPPUNIT_TEST_SUITE(DescriptorChannelTest);
  CPPUNIT_TEST(readsAndWrites);
  CPPUNIT_TEST(bytesThatCanBeReadAreReadBeforeAnyAreWritten);
  CPPUNIT_TEST(theDeadlineEndsTheWait);
  CPPUNIT_TEST(aPassedDeadlineStillReadsBytesThatAreThere);
  CPPUNIT_TEST(afterTheEndOfInputWritingContinues);
  CPPUNIT_TEST(theEndIsReportedAfterTheLastByte);
  CPPUNIT_TEST(aPeerThatReadsNothingIsWaitedForUntilTheDeadline);
  CPPUNIT_TEST(twoPeersWithFullBuffersDoNotWaitForEachOther);
  CPPUNIT_TEST(theLastReplyIsReadFromAPeerThatNoLongerReads);
  CPPUNIT_TEST(theLastReplyIsReadAlthoughTheConnectionIsReset);
  CPPUNIT_TEST(writingToAPeerThatHasClosedFailsWithoutASignal);
  CPPUNIT_TEST(anEndlessPeerFillsABoundedAmountOfMemory);
  CPPUNIT_TEST(quietMeansNoBytesAndNoEnd);
  CPPUNIT_TEST(aSystemErrorIsReportedWithItsText);
  CPPUNIT_TEST(destructionClosesBothDirections);
  CPPUNIT_TEST(aDescriptorIsOwnedOnce);
  CPPUNIT_TEST(anInterruptedWaitReturnsToTheCaller);
  CPPUNIT_TEST_SUITE_END();

  void readsAndWrites() {
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      std::string in = "kept ";
      std::string_view out = "EHLO\r\n";
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT(out.empty());
      CPPUNIT_ASSERT_EQUAL(std::string("EHLO\r\n"), hear(pair));
      say(pair, "500 no\r\n");
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("kept 500 no\r\n"), in);
    }
  }

  void bytesThatCanBeReadAreReadBeforeAnyAreWritten() {
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      say(pair, "452 full\r\n");
      std::string in;
      std::string_view out = ".\r\n";
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("452 full\r\n"), in);
      CPPUNIT_ASSERT_EQUAL(std::string(".\r\n"), std::string(out));
    }
  }

  void theDeadlineEndsTheWait() {
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      std::string in;
      std::string_view out;
      const auto start = Clock::now();
      check(IoStatus::kTimeout, pair.channel->exchange(out, in, start + 30ms));
      CPPUNIT_ASSERT(Clock::now() - start >= 30ms);
      say(pair, "x");
      check(IoStatus::kProgress, pair.channel->exchange(out, in, Deadline::max()));
      CPPUNIT_ASSERT_EQUAL(std::string("x"), in);
    }
  }

  void aPassedDeadlineStillReadsBytesThatAreThere() {
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      std::string in;
      std::string_view out;
      const Deadline past = Clock::now() - 1h;
      check(IoStatus::kTimeout, pair.channel->exchange(out, in, past));
      say(pair, "x");
      check(IoStatus::kProgress, pair.channel->exchange(out, in, past));
      CPPUNIT_ASSERT_EQUAL(std::string("x"), in);
    }
  }

  // `printf '...' | lmtpq relay` waits for its replies.
  void afterTheEndOfInputWritingContinues() {
    for (const auto kind : kKinds) {
      ChannelPair pair = kind();
      pair.close_writing();
      std::string in;
      std::string_view out = "250 ok\r\n";
      check(IoStatus::kClosed, pair.channel->exchange(out, in, soon()));
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("250 ok\r\n"), hear(pair));
      check(IoStatus::kClosed, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT(write_all(*pair.channel, "221 bye\r\n", in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("221 bye\r\n"), hear(pair));
    }
  }

  void theEndIsReportedAfterTheLastByte() {
    for (const auto kind : kKinds) {
      ChannelPair pair = kind();
      say(pair, "421 bye\r\n");
      pair.close_all();
      std::string in;
      std::string_view out;
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("421 bye\r\n"), in);
      check(IoStatus::kClosed, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("the peer closed the connection"), pair.channel->failure());
    }
  }

  void aPeerThatReadsNothingIsWaitedForUntilTheDeadline() {
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      const std::string much(4'000'000, 'x');
      std::string in;
      const auto start = Clock::now();
      CPPUNIT_ASSERT(!write_all(*pair.channel, much, in, start + 100ms));
      const auto waited = Clock::now() - start;
      CPPUNIT_ASSERT(waited >= 100ms);
    }
  }

  void twoPeersWithFullBuffersDoNotWaitForEachOther() {  // trap: both-sides-write
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      const std::string ours(1'000'000, 'a');
      const std::string theirs(200'000, 'b');
      std::string got;
      // It writes all before it reads anything.
      std::thread peer([&] {
        std::string_view rest = theirs;
        while (!rest.empty()) {
          const ssize_t count = write(pair.writing(), rest.data(), rest.size());
          if (count <= 0) {
            return;
          }
          rest.remove_prefix(static_cast<std::size_t>(count));
        }
        while (got.size() < ours.size()) {
          const std::string more = hear(pair);
          if (more.empty()) {
            return;
          }
          got += more;
        }
      });
      std::string in;
      const bool all = write_all(*pair.channel, ours, in, soon());
      std::string_view none;
      while (in.size() < theirs.size() &&
             pair.channel->exchange(none, in, soon()) == IoStatus::kProgress) {
      }
      peer.join();
      CPPUNIT_ASSERT(all);
      CPPUNIT_ASSERT(got == ours);
      CPPUNIT_ASSERT(in == theirs);
    }
  }

  // A store that refuses and closes while we still send.
  void theLastReplyIsReadFromAPeerThatNoLongerReads() {
    for (const auto kind : kKinds) {
      ChannelPair pair = kind();
      const std::string much(1'000'000, 'x');
      std::string in;
      std::string_view out = much;
      // The system's buffers are full, then the peer sends a reply and closes.
      while (pair.channel->exchange(out, in, Clock::now()) == IoStatus::kProgress) {
      }
      CPPUNIT_ASSERT(in.empty() && !out.empty());
      say(pair, "552 too large\r\n");
      if (pair.to_us.valid()) {
        pair.from_us = Descriptor();
      } else {
        shutdown(pair.from_us.number(), SHUT_RD);
      }
      CPPUNIT_ASSERT(!write_all(*pair.channel, out, in, Clock::now() + 200ms));
      CPPUNIT_ASSERT_EQUAL(std::string("552 too large\r\n"), in);
      say(pair, "421 bye\r\n");
      out = "more";
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT_EQUAL(std::string("552 too large\r\n421 bye\r\n"), in);
      pair.close_all();
      // A socket whose peer left bytes unread is reset, a pipe ends.
      const IoStatus end = pair.channel->exchange(out, in, soon());
      CPPUNIT_ASSERT(end == IoStatus::kClosed || end == IoStatus::kFailed);
      CPPUNIT_ASSERT(!pair.channel->failure().empty());
      CPPUNIT_ASSERT_EQUAL(std::string("more"), std::string(out));
    }
  }

  void theLastReplyIsReadAlthoughTheConnectionIsReset() {
    ChannelPair pair = over_tcp();
    const std::string much(100'000, 'x');
    std::string in;
    CPPUNIT_ASSERT(write_all(*pair.channel, much, in, soon()));
    say(pair, "552 too large\r\n");
    pair.close_all();  // with all of it unread: the system sends RST
    CPPUNIT_ASSERT(!write_all(*pair.channel, std::string(20'000'000, 'x'), in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("552 too large\r\n"), in);
  }

  void writingToAPeerThatHasClosedFailsWithoutASignal() {
    for (const auto kind : kKinds) {
      signal(SIGPIPE, kind == over_socket ? SIG_DFL : SIG_IGN);  // MSG_NOSIGNAL
      ChannelPair pair = kind();
      pair.close_all();
      std::string in;
      const Deadline deadline = soon();
      CPPUNIT_ASSERT(!write_all(*pair.channel, std::string(100'000, 'x'), in, deadline));
      CPPUNIT_ASSERT(Clock::now() < deadline);
      CPPUNIT_ASSERT(in.empty());
    }
  }

  void anEndlessPeerFillsABoundedAmountOfMemory() {
    for (const auto kind : kKinds) {
      const ChannelPair pair = kind();
      fcntl(pair.writing(), F_SETFL, O_NONBLOCK);
      const std::string much(65'536, 'x');
      std::string in;
      std::string_view out;
      for (int i = 0; i < 100; ++i) {
        [[maybe_unused]] const ssize_t count = write(pair.writing(), much.data(), much.size());
        pair.channel->exchange(out, in, Clock::now());
      }
      CPPUNIT_ASSERT(in.size() >= 100'000 && in.size() < 400'000);
      // Our replies are sent nevertheless.
      out = "421 slow down\r\n";
      check(IoStatus::kProgress, pair.channel->exchange(out, in, soon()));
      CPPUNIT_ASSERT(out.empty());
    }
  }

  void quietMeansNoBytesAndNoEnd() {
    for (const auto kind : kKinds) {
      ChannelPair silent = kind();
      CPPUNIT_ASSERT(silent.channel->quiet());
      CPPUNIT_ASSERT(silent.channel->quiet());
      say(silent, "4");
      CPPUNIT_ASSERT(!silent.channel->quiet());
      ChannelPair closed = kind();
      closed.close_all();
      CPPUNIT_ASSERT(!closed.channel->quiet());
    }
  }

  void aSystemErrorIsReportedWithItsText() {
    DescriptorChannel channel{Descriptor(open("/", O_RDONLY | O_CLOEXEC))};
    std::string in;
    std::string_view out;
    check(IoStatus::kFailed, channel.exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("read: Is a directory"), channel.failure());
    DescriptorChannel full{Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)),
                           Descriptor(open("/dev/full", O_WRONLY | O_CLOEXEC))};
    out = "x";
    check(IoStatus::kClosed, full.exchange(out, in, soon()));
    check(IoStatus::kFailed, full.exchange(out, in, soon()));
    CPPUNIT_ASSERT_EQUAL(std::string("write: No space left on device"), full.failure());
  }

  void destructionClosesBothDirections() {
    for (const auto kind : kKinds) {
      ChannelPair pair = kind();
      char byte = 0;
      pair.channel.reset();
      CPPUNIT_ASSERT_EQUAL(ssize_t{0}, read(pair.reading(), &byte, 1));
      CPPUNIT_ASSERT_EQUAL(ssize_t{-1}, write(pair.writing(), "x", 1));
    }
  }

  void aDescriptorIsOwnedOnce() {
    Descriptor first(dup(STDERR_FILENO));
    const int number = first.number();
    Descriptor second(std::move(first));
    CPPUNIT_ASSERT(second.valid());
    CPPUNIT_ASSERT_EQUAL(number, second.number());
    second = Descriptor();
    CPPUNIT_ASSERT_EQUAL(-1, fcntl(number, F_GETFD));
    Descriptor third(dup(STDERR_FILENO));
    const Descriptor fourth(third.release());
    CPPUNIT_ASSERT(!third.valid());
    CPPUNIT_ASSERT(fcntl(fourth.number(), F_GETFD) >= 0);
  }

  // After SIGTERM the session must look at its flag, which it does between two exchanges.
  void anInterruptedWaitReturnsToTheCaller() {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, &before);
    const ChannelPair pair = over_pipes();
    std::string in;
    std::string_view out;
    // Again and again: on a loaded machine the first signal may come before the wait.
    const itimerval every{{0, 50'000}, {0, 50'000}};
    setitimer(ITIMER_REAL, &every, nullptr);
    const IoStatus status = pair.channel->exchange(out, in, soon());
    const itimerval never{};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before, nullptr);
    check(IoStatus::kProgress, status);
    CPPUNIT_ASSERT(in.empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DescriptorChannelTest);
