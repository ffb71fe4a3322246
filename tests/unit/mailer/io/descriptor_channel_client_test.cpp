// What a session asks the channel of its client: whether it is there, and what it has taken.

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <thread>

#include "tests/unit/mailer/io/channel_pairs.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class DescriptorChannelClientTest : public WithoutSigpipe {
  CPPUNIT_TEST_SUITE(DescriptorChannelClientTest);
  CPPUNIT_TEST(whatAClientTakesAtOnceIsWrittenWithoutAWait);
  CPPUNIT_TEST(aClientThatHasClosedIsGone);
  CPPUNIT_TEST(theEndOfInputSaysNothingAboutTheReaderOfAPipe);
  CPPUNIT_TEST(aSocketsClientThatEndedItsSideIsThereWhileItsLastLineIsUnread);
  CPPUNIT_TEST(aClientHasTakenWhatItReadBeforeItClosed);
  CPPUNIT_TEST(aTcpClientThatClosedShowsByAWrite);
  CPPUNIT_TEST(anErrorThatACallGotIsNotForgotten);
  CPPUNIT_TEST(aClientWhoseReadingIsAwaited);
  CPPUNIT_TEST(aClientThatStillSendsReadsAllBeforeTheEnd);
  CPPUNIT_TEST(aClientThatDoesNotEndIsNotAwaitedForLong);
  CPPUNIT_TEST_SUITE_END();

  void whatAClientTakesAtOnceIsWrittenWithoutAWait() {
    for (const auto kind : {over_pipes, over_socket, over_tcp}) {
      ChannelPair pair = kind();
      std::string_view out = "250 2.1.5 ok\r\n";
      pair.channel->write_now(out);
      CPPUNIT_ASSERT(out.empty());
      CPPUNIT_ASSERT_EQUAL(std::string("250 2.1.5 ok\r\n"), hear(pair));
      const std::string much(20'000'000, 'x');
      for (std::size_t left = much.size() + 1; out.size() < left;) {
        left = out.empty() ? left : out.size();
        out = out.empty() ? std::string_view(much) : out;
        pair.channel->write_now(out);
      }
      CPPUNIT_ASSERT(out.size() > 1'000'000);  // nobody reads
      pair.close_all();
      const std::size_t left = out.size();
      pair.channel->write_now(out);
      pair.channel->write_now(out);
      CPPUNIT_ASSERT_EQUAL(left, out.size());
    }
  }

  static void check_presence(Presence expected, const ChannelPair& pair) {
    CPPUNIT_ASSERT_EQUAL(static_cast<int>(expected), static_cast<int>(pair.channel->presence()));
  }

  void aClientThatHasClosedIsGone() {
    for (const auto kind : kKinds) {
      ChannelPair pair = kind();
      check_presence(Presence::kThere, pair);
      say(pair, "QUIT\r\n");
      check_presence(Presence::kThere, pair);
      pair.close_all();
      check_presence(Presence::kGone, pair);
    }
    ChannelPair tcp = over_tcp();
    check_presence(Presence::kThere, tcp);
    std::string_view out = "unread";
    tcp.channel->write_now(out);
    tcp.close_all();  // with unread bytes: RST
    check_presence(Presence::kGone, tcp);
  }

  void theEndOfInputSaysNothingAboutTheReaderOfAPipe() {
    ChannelPair pair = over_pipes();
    pair.close_writing();
    check_presence(Presence::kThere, pair);
    pair.from_us = Descriptor();
    check_presence(Presence::kGone, pair);
  }

  void aSocketsClientThatEndedItsSideIsThereWhileItsLastLineIsUnread() {
    for (const auto kind : {over_socket, over_tcp}) {
      const struct {
        const char* unread;
        Presence presence;
      } rows[] = {
          {"", Presence::kFinished}, {"QUI", Presence::kFinished}, {"QUIT\r\n", Presence::kThere}};
      for (const auto& row : rows) {
        ChannelPair pair = kind();
        say(pair, row.unread);
        pair.close_writing();
        check_presence(row.presence, pair);
      }
    }
  }

  void aClientHasTakenWhatItReadBeforeItClosed() {
    for (const auto kind : {over_pipes, over_socket, over_tcp}) {
      for (const bool reads : {true, false}) {
        ChannelPair pair = kind();
        pair.close_writing();
        std::string_view out = "250 2.1.5 ok\r\n";
        pair.channel->write_now(out);
        CPPUNIT_ASSERT(pair.channel->took_all(soon()));  // it can read it
        if (reads) {
          hear(pair);
        }
        pair.close_all();
        CPPUNIT_ASSERT_EQUAL(reads, pair.channel->took_all(soon()));
      }
    }
  }

  void aTcpClientThatClosedShowsByAWrite() {
    ChannelPair pair = over_tcp();
    pair.close_all();
    check_presence(Presence::kFinished, pair);
    CPPUNIT_ASSERT(pair.channel->took_all(soon()));
    std::string_view out = "250 2.1.5 ok\r\n";
    pair.channel->write_now(out);
    CPPUNIT_ASSERT(out.empty());
    CPPUNIT_ASSERT(!pair.channel->took_all(soon()));
    check_presence(Presence::kGone, pair);
    ChannelPair slow = over_tcp();
    slow.close_writing();
    const std::string much(20'000'000, 'x');
    out = much;
    slow.channel->write_now(out);
    CPPUNIT_ASSERT(!slow.channel->took_all(Clock::now()));
    check_presence(Presence::kFinished, slow);
  }

  // poll(2) shows a socket's error until a call has returned it.
  void anErrorThatACallGotIsNotForgotten() {
    for (const auto kind : {over_socket, over_tcp}) {
      for (const bool reads : {true, false}) {
        ChannelPair pair = kind();
        std::string_view out = "250 2.1.5 ok\r\n";
        pair.channel->write_now(out);
        pair.close_all();
        out = "250 2.1.5 ok\r\n";
        if (reads) {
          std::string in;
          std::string_view nothing;
          pair.channel->exchange(nothing, in, soon());
        } else {
          pair.channel->write_now(out);
        }
        CPPUNIT_ASSERT(!pair.channel->took_all(soon()));
        CPPUNIT_ASSERT(!pair.channel->may_have_read());
        CPPUNIT_ASSERT(!pair.channel->await_reader(soon()));
      }
    }
  }

  void aClientWhoseReadingIsAwaited() {
    for (const auto kind : {over_pipes, over_socket, over_tcp}) {
      for (const bool reads : {true, false}) {
        ChannelPair pair = kind();
        std::string_view out = "250 2.1.5 ok\r\n";
        pair.channel->write_now(out);
        if (reads) {
          hear(pair);
        }
        CPPUNIT_ASSERT(reads || kind == over_tcp || !pair.channel->may_have_read());
        CPPUNIT_ASSERT(kind == over_pipes || (reads && kind == over_socket) ||
                       !pair.channel->await_reader(Clock::now()));
        pair.close_all();
        CPPUNIT_ASSERT_EQUAL(reads, pair.channel->await_reader(soon()));
      }
    }
  }

  // A close with input unread resets the connection: the error comes before or after the reply.
  void aClientThatStillSendsReadsAllBeforeTheEnd() {  // trap: closed-with-input-unread
    for (const auto kind : {over_socket, over_tcp}) {
      for (const bool cut : {false, true}) {
        ChannelPair pair = kind();
        std::string_view out = "421 4.3.2 bye\r\n";
        pair.channel->write_now(out);
        say(pair, "QUIT\r\n");
        if (cut) {
          shutdown(pair.from_us.number(), SHUT_WR);
        }
        pair.channel->linger(cut ? soon() : Clock::now());
        pair.channel.reset();
        CPPUNIT_ASSERT_EQUAL(std::string("421 4.3.2 bye\r\n"), hear(pair));
        char byte = 0;
        CPPUNIT_ASSERT_EQUAL(ssize_t{0}, read(pair.reading(), &byte, 1));
      }
    }
  }

  void aClientThatDoesNotEndIsNotAwaitedForLong() {
    ChannelPair silent = over_tcp();
    const Deadline latest = Clock::now() + std::chrono::milliseconds(50);
    silent.channel->linger(latest);
    CPPUNIT_ASSERT(Clock::now() >= latest);
    ChannelPair chatty = over_tcp();
    const std::string much(1'000'000, 'x');
    std::size_t sent = 0;
    std::thread writer([&] {
      for (ssize_t count = 1; count > 0 && sent < 100 * much.size();) {
        count = send(chatty.writing(), much.data(), much.size(), MSG_NOSIGNAL);
        sent += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
      }
    });
    chatty.channel->linger(Deadline::max());
    chatty.channel.reset();
    writer.join();
    CPPUNIT_ASSERT(sent < 100 * much.size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DescriptorChannelClientTest);
