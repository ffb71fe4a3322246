#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "mailer/io/descriptor_channel.h"
#include "mailer/secure/tls_layer.h"
#include "tests/unit/mailer/secure/tls_meeting.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;
using namespace std::chrono_literals;

namespace {

// A peer that sends the same bytes, once or endlessly, whatever it receives.
class Parrot : public Channel {
 public:
  Parrot(std::string words, bool endless) : words_(std::move(words)), endless_(endless) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!out.empty()) {
      out = {};
    } else if (words_.empty()) {
      failure_ = "the peer closed the connection";
      return IoStatus::kClosed;
    } else {
      in += endless_ ? words_ : std::exchange(words_, {});
    }
    return IoStatus::kProgress;
  }
  bool quiet() override { return false; }
  const std::string& failure() const override { return failure_; }

 private:
  std::string words_;
  bool endless_;
  std::string failure_;
};

}  // namespace

class TlsHandshakeTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsHandshakeTest);
  CPPUNIT_TEST(theFactsOfTheConnectionAreReported);
  CPPUNIT_TEST(bytesAfterTheHandshakeStayInTheLayer);
  CPPUNIT_TEST(bytesThatComeDuringTheHandshakeStayInTheLayer);
  CPPUNIT_TEST(anAlertIsAFailureWithItsName);
  CPPUNIT_TEST(aHandshakeWithAPeerWithoutTlsFailsAtOnce);
  CPPUNIT_TEST(aHandshakeThatStallsEndsAtTheDeadline);
  CPPUNIT_TEST(anEndlessHandshakeEndsAtTheDeadline);
  CPPUNIT_TEST(aPeerThatClosesEndsTheHandshake);
  CPPUNIT_TEST(channelBindingsAreTheSameOnBothSides);
  CPPUNIT_TEST(withoutExtendedMasterSecretThereIsNoBinding);
  CPPUNIT_TEST(bytesAfterAFailureTakeNoMemory);
  CPPUNIT_TEST_SUITE_END();

  void theFactsOfTheConnectionAreReported() {
    for (const int version : kVersions) {
      Sides sides(version);
      const Meeting meeting(sides.factory, sides.server);
      const TlsFacts& facts = meeting.layer->facts();
      SSL* theirs = meeting.store.connection();
      CPPUNIT_ASSERT_EQUAL(std::string(version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2"),
                           facts.protocol);
      CPPUNIT_ASSERT_EQUAL(std::string(SSL_get_cipher_name(theirs)), facts.cipher);
      CPPUNIT_ASSERT_EQUAL(256, facts.bits);
      CPPUNIT_ASSERT(!facts.resumed && facts.trust == TlsTrust::kUnverified);
      CPPUNIT_ASSERT_EQUAL(std::string("self-signed certificate"), facts.verification);
      CPPUNIT_ASSERT_EQUAL(std::size_t{1}, facts.chain.size());
    }
  }

  void bytesAfterTheHandshakeStayInTheLayer() {
    for (const int version : kVersions) {
      Sides sides(version);
      TlsStore store(sides.server);
      store.say("250 early\r\n");  // at the handshake's end
      WireOptions wire;
      auto layer = sides.factory.connect();
      StoreChannel below(store, wire);
      std::string failure;
      CPPUNIT_ASSERT(shake_hands(*layer, below, soon(), failure));
      CPPUNIT_ASSERT(version == TLS1_3_VERSION || store.to_client.empty());
      LayeredChannel channel(std::make_unique<StoreChannel>(store, wire), std::move(layer));
      CPPUNIT_ASSERT(!channel.quiet());
      CPPUNIT_ASSERT_EQUAL(std::string("250 early\r\n"), hear(channel));
    }
  }

  // A server may send before it has received the end of the client's handshake: these bytes come
  // while that is being written.
  void bytesThatComeDuringTheHandshakeStayInTheLayer() {
    Sides sides(TLS1_3_VERSION);
    TlsStore store(sides.server);
    SSL* theirs = store.connection();
    const auto layer = sides.factory.connect();
    std::string hello;
    layer->handshake("", hello);
    BIO_write(SSL_get_rbio(theirs), hello.data(), static_cast<int>(hello.size()));
    char none = 0;
    std::size_t count = 0;
    CPPUNIT_ASSERT_EQUAL(SSL_READ_EARLY_DATA_FINISH, SSL_read_early_data(theirs, &none, 1, &count));
    CPPUNIT_ASSERT_EQUAL(1, SSL_write_early_data(theirs, "250 early\r\n", 11, &count));
    store.flush();
    WireOptions wire{1, 1, false};
    StoreChannel below(store, wire);
    std::string failure;
    CPPUNIT_ASSERT(shake_hands(*layer, below, soon(), failure));
    std::string plain;
    std::string answer;
    CPPUNIT_ASSERT(layer->open("", plain, answer));
    CPPUNIT_ASSERT_EQUAL(std::string("250 early\r\n"), plain);
    CPPUNIT_ASSERT(store.shook_hands());
  }

  void anAlertIsAFailureWithItsName() {
    Sides sides(TLS1_2_VERSION);
    sides.settings.least_version = TLS1_3_VERSION;
    const Meeting meeting(sides.factory, sides.server);
    CPPUNIT_ASSERT(!meeting.done);
    CPPUNIT_ASSERT_EQUAL(std::string("tlsv1 alert protocol version"), meeting.failure);
    CPPUNIT_ASSERT(!meeting.layer->ended());
    CPPUNIT_ASSERT(meeting.layer->facts().chain.empty());
    CPPUNIT_ASSERT(meeting.layer->facts().protocol.empty());
  }

  void aHandshakeWithAPeerWithoutTlsFailsAtOnce() {
    Sides sides(TLS1_3_VERSION);
    for (const char* words : {"220 ready\r\n", "454 4.7.0 no\r\n", "HTTP/1.0 400\r\n\r\n"}) {
      const auto layer = sides.factory.connect();
      Parrot channel(words, false);
      std::string failure;
      CPPUNIT_ASSERT(!shake_hands(*layer, channel, soon(), failure));
      CPPUNIT_ASSERT_EQUAL(std::string("wrong version number"), failure);
    }
  }

  void aHandshakeThatStallsEndsAtTheDeadline() {
    Sides sides(TLS1_3_VERSION);
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    const Descriptor silent(ends[1]);
    DescriptorChannel channel{Descriptor(ends[0])};
    const auto layer = sides.factory.connect();
    const auto start = Clock::now();
    std::string failure;
    CPPUNIT_ASSERT(!shake_hands(*layer, channel, start + 50ms, failure));
    const auto waited = Clock::now() - start;
    CPPUNIT_ASSERT(waited >= 50ms && waited < 30s);
    CPPUNIT_ASSERT_EQUAL(std::string("timed out during the TLS handshake"), failure);
  }

  // A peer that keeps sending, slowly or fast, never times out in the channel.
  void anEndlessHandshakeEndsAtTheDeadline() {
    const std::string empty_handshakes("\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9);  // HelloRequest
    for (const std::string& words : {std::string("\x16", 1), empty_handshakes}) {
      Sides sides(TLS1_2_VERSION);
      const auto layer = sides.factory.connect();
      Parrot channel(words, true);
      const auto start = Clock::now();
      std::string failure;
      CPPUNIT_ASSERT(!shake_hands(*layer, channel, start + 50ms, failure));
      CPPUNIT_ASSERT(Clock::now() - start < 30s);
      CPPUNIT_ASSERT(!failure.empty());
    }
  }

  void aPeerThatClosesEndsTheHandshake() {
    Sides sides(TLS1_3_VERSION);
    const auto layer = sides.factory.connect();
    Parrot channel("", false);
    std::string failure;
    CPPUNIT_ASSERT(!shake_hands(*layer, channel, soon(), failure));
    CPPUNIT_ASSERT_EQUAL(std::string("the peer closed the connection during the TLS handshake"),
                         failure);
  }

  // As Cyrus's server computes it, with any version.
  static std::string finished(SSL* theirs) {
    std::string bytes(64, '\0');
    bytes.resize(SSL_session_reused(theirs) == 1
                     ? SSL_get_finished(theirs, bytes.data(), bytes.size())
                     : SSL_get_peer_finished(theirs, bytes.data(), bytes.size()));
    return bytes;
  }

  static std::string exported(SSL* theirs) {
    std::string bytes(32, '\0');
    CPPUNIT_ASSERT_EQUAL(
        1, SSL_export_keying_material(theirs, reinterpret_cast<unsigned char*>(bytes.data()), 32,
                                      "EXPORTER-Channel-Binding", 24,
                                      reinterpret_cast<const unsigned char*>(""), 0, 1));
    return bytes;
  }

  static std::string hexadecimal(const std::string& bytes) {
    std::string text;
    for (const char c : bytes) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(c) & 255);
      text += digits;
    }
    return text;
  }

  void channelBindingsAreTheSameOnBothSides() {
    for (const int version : kVersions) {
      Sides sides(version);
      CPPUNIT_ASSERT(sides.factory.connect()->channel_binding("tls-unique").empty());
      for (const bool resumed : {false, true}) {
        Meeting meeting(sides.factory, sides.server);
        SSL* theirs = meeting.store.connection();
        const TlsConnection& ours = *meeting.layer;
        CPPUNIT_ASSERT_EQUAL(resumed, ours.facts().resumed);
        CPPUNIT_ASSERT_EQUAL(std::size_t{version == TLS1_3_VERSION ? 48U : 12U},
                             ours.channel_binding("tls-unique").size());
        CPPUNIT_ASSERT(finished(theirs) == ours.channel_binding("tls-unique"));
        CPPUNIT_ASSERT(exported(theirs) == ours.channel_binding("tls-exporter"));
        CPPUNIT_ASSERT_EQUAL(small_sha256(certified().certificate.get()),
                             hexadecimal(ours.channel_binding("tls-server-end-point")));
        for (const char* other : {"", "none", "tls-unique-for-telnet", "TLS-UNIQUE"}) {
          CPPUNIT_ASSERT(ours.channel_binding(other).empty());
        }
        hear(*meeting.channel());  // tickets
      }
    }
  }

  // Two connections could be made to have one tls-unique (RFC 7627 section 1).
  void withoutExtendedMasterSecretThereIsNoBinding() {
    Sides sides(TLS1_2_VERSION);
    SSL_CTX_set_options(sides.server.context(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
    const Meeting meeting(sides.factory, sides.server);
    CPPUNIT_ASSERT(meeting.done);
    CPPUNIT_ASSERT(meeting.layer->channel_binding("tls-unique").empty());
    CPPUNIT_ASSERT(meeting.layer->channel_binding("tls-exporter").empty());
    CPPUNIT_ASSERT(!meeting.layer->channel_binding("tls-server-end-point").empty());
  }

  static std::size_t resident_pages() {
    std::size_t all = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident;
  }

  void bytesAfterAFailureTakeNoMemory() {
    Sides sides(TLS1_3_VERSION);
    const auto layer = sides.factory.connect();
    std::string to_send;
    layer->handshake("220 ready\r\n", to_send);
    const std::string much(1'000'000, 'x');
    const std::size_t told = to_send.size();  // ClientHello and alert
    const std::size_t before = resident_pages();
    std::string plain;
    std::string answer;
    for (int i = 0; i < 100; ++i) {
      CPPUNIT_ASSERT(layer->handshake(much, to_send) == TlsLayer::Handshake::kFailed);
      CPPUNIT_ASSERT(!layer->open(much, plain, answer));
    }
    CPPUNIT_ASSERT(resident_pages() < before + 10'000);
    CPPUNIT_ASSERT(!layer->seal("x", answer).has_value());
    CPPUNIT_ASSERT(plain.empty() && to_send.size() == told);
    CPPUNIT_ASSERT(!layer->ended());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsHandshakeTest);
