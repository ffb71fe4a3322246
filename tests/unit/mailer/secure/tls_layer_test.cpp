#include "mailer/secure/tls_layer.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <utility>

#include "tests/unit/mailer/message/some_bytes.h"
#include "tests/unit/mailer/secure/tls_meeting.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;

namespace {

constexpr std::size_t kAll = ~std::size_t{0};

void check(IoStatus expected, IoStatus status) {
  CPPUNIT_ASSERT_EQUAL(static_cast<int>(expected), static_cast<int>(status));
}

// Reads until the end or a failure.
IoStatus last_status(Channel& channel, std::string& in) {
  std::string_view nothing;
  for (;;) {
    const IoStatus status = channel.exchange(nothing, in, soon());
    if (status != IoStatus::kProgress) {
      return status;
    }
  }
}

}  // namespace

class TlsLayerTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsLayerTest);
  CPPUNIT_TEST(bytesAreTheSameOnBothSides);
  CPPUNIT_TEST(nothingIsReadableBelowTheLayer);
  CPPUNIT_TEST(aRecordCanBeOpenedOnlyAsAWhole);
  CPPUNIT_TEST(ticketsAndKeyUpdatesLeaveTheChannelQuiet);
  CPPUNIT_TEST(renegotiationIsRefused);
  CPPUNIT_TEST(aLaterRequestForACertificateIsRefused);
  CPPUNIT_TEST(truncationIsReportedUnlikeCloseNotify);
  CPPUNIT_TEST(anInvalidRecordEndsTheConnection);
  CPPUNIT_TEST(aChangedByteEndsTheConnection);
  CPPUNIT_TEST(destructionSendsCloseNotify);
  CPPUNIT_TEST_SUITE_END();

  void bytesAreTheSameOnBothSides() {
    for (const int version : kVersions) {
      for (const std::size_t size : {1UL, 3'000UL, 16'383UL, 16'384UL, 16'385UL, 1'000'000UL}) {
        for (const std::size_t most : {1UL, 1000UL, kAll}) {
          if (size / most > 5'000) {
            continue;  // only slow
          }
          Sides sides(version);
          Meeting meeting(sides.factory, sides.server, {most, most, false});
          CPPUNIT_ASSERT(meeting.done);
          const auto channel = meeting.channel();
          const std::string bytes = some_bytes(size);
          std::string in;
          CPPUNIT_ASSERT(write_all(*channel, bytes, in, soon()));
          CPPUNIT_ASSERT(meeting.store.heard == bytes);
          meeting.store.say(bytes);
          CPPUNIT_ASSERT(in + hear(*channel) == bytes);
          CPPUNIT_ASSERT_EQUAL(std::string(), channel->failure());
        }
      }
    }
  }

  void nothingIsReadableBelowTheLayer() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.factory, sides.server);
      const auto channel = meeting.channel();
      std::string in;
      CPPUNIT_ASSERT(write_all(*channel, "MAIL FROM:<secret@example.org>\r\n", in, soon()));
      CPPUNIT_ASSERT(meeting.store.taken.find("secret") == std::string::npos);
      CPPUNIT_ASSERT(meeting.store.heard.find("secret") != std::string::npos);
    }
  }

  void aRecordCanBeOpenedOnlyAsAWhole() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.factory, sides.server);
      hear(*std::make_unique<StoreChannel>(meeting.store, meeting.wire));
      const std::string much(100'000, 'x');
      std::string sealed;
      const auto count = meeting.layer->seal(much, sealed);
      CPPUNIT_ASSERT(count.has_value());
      CPPUNIT_ASSERT_EQUAL(std::size_t{16'384}, *count);
      meeting.store.take(std::string_view(sealed).substr(0, sealed.size() - 1));
      CPPUNIT_ASSERT(meeting.store.heard.empty());
      meeting.store.take(std::string_view(sealed).substr(sealed.size() - 1));
      CPPUNIT_ASSERT_EQUAL(*count, meeting.store.heard.size());
    }
  }

  void ticketsAndKeyUpdatesLeaveTheChannelQuiet() {
    Sides sides(TLS1_3_VERSION);
    Meeting meeting(sides.factory, sides.server);
    const auto channel = meeting.channel();
    SSL* theirs = meeting.store.connection();
    CPPUNIT_ASSERT(!meeting.store.to_client.empty());
    for (int i = 0; i < 40; ++i) {
      CPPUNIT_ASSERT(channel->quiet());
      CPPUNIT_ASSERT(meeting.store.to_client.empty());
      std::string in;
      CPPUNIT_ASSERT(write_all(*channel, "RSET\r\n", in, soon()));
      meeting.store.say("250 ok\r\n");
      CPPUNIT_ASSERT(!channel->quiet());
      CPPUNIT_ASSERT_EQUAL(std::string("250 ok\r\n"), hear(*channel));
      // A new ticket, and new keys.
      CPPUNIT_ASSERT_EQUAL(1, SSL_new_session_ticket(theirs));
      CPPUNIT_ASSERT_EQUAL(1, SSL_do_handshake(theirs));
      CPPUNIT_ASSERT_EQUAL(1, SSL_key_update(theirs, SSL_KEY_UPDATE_REQUESTED));
      CPPUNIT_ASSERT_EQUAL(1, SSL_do_handshake(theirs));
      meeting.store.flush();
      CPPUNIT_ASSERT(!meeting.store.to_client.empty());
    }
    CPPUNIT_ASSERT_EQUAL(std::string(), meeting.store.error);
    meeting.store.to_client.clear();
    meeting.store.send_close_notify();
    CPPUNIT_ASSERT(!channel->quiet());
  }

  void renegotiationIsRefused() {
    Sides sides(TLS1_2_VERSION);
    Meeting meeting(sides.factory, sides.server);
    const auto channel = meeting.channel();
    SSL* theirs = meeting.store.connection();
    CPPUNIT_ASSERT_EQUAL(1, SSL_renegotiate(theirs));
    SSL_do_handshake(theirs);
    meeting.store.flush();
    CPPUNIT_ASSERT(!meeting.store.to_client.empty());
    std::string in;
    std::string_view out = "MAIL FROM:<secret@example.org>\r\n";
    meeting.store.taken.clear();
    IoStatus status = IoStatus::kProgress;
    for (int i = 0; i < 5 && status == IoStatus::kProgress; ++i) {
      status = channel->exchange(out, in, soon());
    }
    CPPUNIT_ASSERT(in.empty());
    CPPUNIT_ASSERT_EQUAL(std::string("no renegotiation"), meeting.store.error);
    CPPUNIT_ASSERT(meeting.store.taken.find("secret") == std::string::npos);
    CPPUNIT_ASSERT_EQUAL(std::string("data alert "), records(meeting.store.taken));
  }

  // The types of the records below.
  static std::string records(std::string_view taken) {
    std::string kinds;
    while (taken.size() >= 5) {
      const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(taken[i]); };
      kinds += byte(0) == 21   ? "alert "
               : byte(0) == 22 ? "handshake "
               : byte(0) == 23 ? "data "
                               : "other ";
      taken.remove_prefix(std::min<std::size_t>(taken.size(), 5U + byte(3) * 256U + byte(4)));
    }
    return kinds;
  }

  // TLS 1.3's post-handshake authentication, which we never offered.
  void aLaterRequestForACertificateIsRefused() {
    Sides sides(TLS1_3_VERSION);
    Meeting meeting(sides.factory, sides.server);
    SSL_set_verify(meeting.store.connection(), SSL_VERIFY_PEER, nullptr);
    CPPUNIT_ASSERT_EQUAL(0, SSL_verify_client_post_handshake(meeting.store.connection()));
  }

  void truncationIsReportedUnlikeCloseNotify() {
    for (const int version : kVersions) {
      struct Row {
        const char* name;
        bool close_notify;
        std::size_t cut;
        IoStatus status;
        const char* in;
        const char* words;
      };
      const Row rows[] = {
          {"close_notify", true, 0, IoStatus::kClosed, "221 bye\r\n",
           "the peer closed the connection"},
          {"none", false, 0, IoStatus::kFailed, "221 bye\r\n",
           "the peer closed the connection without TLS close_notify"},
          {"in a record", false, 1, IoStatus::kFailed, "",
           "the peer closed the connection without TLS close_notify"},
      };
      for (const Row& row : rows) {
        Sides sides(version);
        Meeting meeting(sides.factory, sides.server);
        const auto channel = meeting.channel();
        hear(*channel);
        meeting.store.say("221 bye\r\n");
        std::string& wire = meeting.store.to_client;
        wire.resize(wire.size() - row.cut);
        if (row.close_notify) {
          meeting.store.send_close_notify();
        }
        meeting.wire.ended = true;
        std::string in;
        check(row.status, last_status(*channel, in));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, std::string(row.in), in);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, std::string(row.words), channel->failure());
      }
    }
  }

  void anInvalidRecordEndsTheConnection() {
    for (const int version : kVersions) {
      for (const std::string_view garbage :
           {std::string_view("250 2.1.5 ok in clear\r\n"), std::string_view("\x17\x03\x03\xff\xff"),
            std::string_view("\x00\x00\x00\x00\x00\x00", 6),
            std::string_view("\x17\x03\x03\x00\x02xx", 7)}) {
        Sides sides(version);
        Meeting meeting(sides.factory, sides.server);
        const auto channel = meeting.channel();
        hear(*channel);
        meeting.store.to_client = garbage;
        std::string in;
        check(IoStatus::kFailed, last_status(*channel, in));
        CPPUNIT_ASSERT(in.empty() && !channel->failure().empty());
        CPPUNIT_ASSERT(channel->failure().find("unknown error") == std::string::npos);
        CPPUNIT_ASSERT(!meeting.store.error.empty());  // it received an alert
        std::string_view out = "MAIL FROM:<>\r\n";
        check(IoStatus::kFailed, channel->exchange(out, in, soon()));
        CPPUNIT_ASSERT(meeting.store.heard.empty());
      }
    }
  }

  void aChangedByteEndsTheConnection() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.factory, sides.server);
      const auto channel = meeting.channel();
      hear(*channel);
      meeting.store.say("250 ok\r\n");
      meeting.store.to_client.back() ^= 1;
      std::string in;
      check(IoStatus::kFailed, last_status(*channel, in));
      CPPUNIT_ASSERT_EQUAL(std::string("decryption failed or bad record mac"), channel->failure());
      CPPUNIT_ASSERT(in.empty());
    }
  }

  void destructionSendsCloseNotify() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.factory, sides.server);
      auto channel = meeting.channel();
      hear(*channel);
      CPPUNIT_ASSERT(!meeting.store.got_close_notify);
      channel.reset();
      CPPUNIT_ASSERT(meeting.store.got_close_notify);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsLayerTest);
