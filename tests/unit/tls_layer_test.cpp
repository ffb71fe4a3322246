#include "tls_layer.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "descriptor_channel.h"
#include "tls_meeting.h"

using namespace lmtpq;
using namespace std::chrono_literals;

namespace {

constexpr int kVersions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
constexpr std::size_t kAll = ~std::size_t{0};

const Certified& certified() {
  static const Certified made = [] {
    Request request;
    request.names = "DNS:store";
    return Authority::certify_itself(request);
  }();
  return made;
}

// A server of one version, and a client that believes everybody.
struct Sides {
  explicit Sides(int version) : server(&certified()), client(settings, "store") {
    server.versions(version, version);
  }
  TlsSettings settings;
  TlsServer server;
  TlsClient client;
};

std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  unsigned state = 7;
  for (char& c : bytes) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

void check(IoStatus expected, IoStatus status) {
  CPPUNIT_ASSERT_EQUAL(static_cast<int>(expected), static_cast<int>(status));
}

// Reads until the road is empty.
std::string hear(Channel& channel) {
  std::string all;
  std::string in;
  std::string_view nothing;
  while (channel.exchange(nothing, in, soon()) == IoStatus::kProgress) {
    all += std::exchange(in, {});
  }
  return all;
}

// Reads until it is over, one way or the other.
IoStatus last_status(Channel& channel, std::string& in) {
  std::string_view nothing;
  for (;;) {
    const IoStatus status = channel.exchange(nothing, in, soon());
    if (status != IoStatus::kProgress) {
      return status;
    }
  }
}

// A peer that says one thing, for ever or once, whatever it hears.
class Parrot : public Channel {
 public:
  Parrot(std::string words, bool for_ever) : words_(std::move(words)), for_ever_(for_ever) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!out.empty()) {
      out = {};
    } else if (words_.empty()) {
      failure_ = "the peer closed the connection";
      return IoStatus::kClosed;
    } else {
      in += for_ever_ ? words_ : std::exchange(words_, {});
    }
    return IoStatus::kProgress;
  }
  bool quiet() override { return false; }
  const std::string& failure() const override { return failure_; }

 private:
  std::string words_;
  bool for_ever_;
  std::string failure_;
};

}  // namespace

class TlsLayerTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsLayerTest);
  CPPUNIT_TEST(bytesComeOutAsTheyWentIn);
  CPPUNIT_TEST(theFactsOfTheConnectionAreKnown);
  CPPUNIT_TEST(nothingOfItIsReadableBelow);
  CPPUNIT_TEST(bytesBehindTheHandshakeStayInTheLayer);
  CPPUNIT_TEST(bytesBesideTheHandshakeStayInTheLayer);
  CPPUNIT_TEST(aRecordIsOfUseOnlyAsAWhole);
  CPPUNIT_TEST(ticketsAndKeyUpdatesAreNotThePeerSpeaking);
  CPPUNIT_TEST(renegotiationIsRefused);
  CPPUNIT_TEST(aCertificateIsNotAskedForLater);
  CPPUNIT_TEST(truncationIsToldFromGoodbye);
  CPPUNIT_TEST(whatIsNoRecordEndsTheConnection);
  CPPUNIT_TEST(aChangedByteEndsTheConnection);
  CPPUNIT_TEST(anAlertIsAFailureWithItsName);
  CPPUNIT_TEST(destructionSaysGoodbye);
  CPPUNIT_TEST(aHandshakeWithNoTlsFailsAtOnce);
  CPPUNIT_TEST(aHandshakeThatStallsEndsAtTheDeadline);
  CPPUNIT_TEST(aHandshakeThatNeverEndsEndsAtTheDeadline);
  CPPUNIT_TEST(aPeerThatGoesAwayEndsTheHandshake);
  CPPUNIT_TEST(channelBindingsAreTheSameOnBothSides);
  CPPUNIT_TEST(withoutExtendedMasterSecretNothingBinds);
  CPPUNIT_TEST(bytesAfterAFailureTakeNoMemory);
  CPPUNIT_TEST_SUITE_END();

  void bytesComeOutAsTheyWentIn() {
    for (const int version : kVersions) {
      for (const std::size_t size : {1UL, 16'383UL, 16'384UL, 16'385UL, 1'000'000UL}) {
        for (const std::size_t most : {1UL, 1000UL, kAll}) {
          if (size / most > 20'000) {
            continue;  // only slow
          }
          Sides sides(version);
          Meeting meeting(sides.client, sides.server, {most, most, false});
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

  void theFactsOfTheConnectionAreKnown() {
    for (const int version : kVersions) {
      Sides sides(version);
      const Meeting meeting(sides.client, sides.server);
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

  void nothingOfItIsReadableBelow() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.client, sides.server);
      const auto channel = meeting.channel();
      std::string in;
      CPPUNIT_ASSERT(write_all(*channel, "MAIL FROM:<secret@example.org>\r\n", in, soon()));
      CPPUNIT_ASSERT(meeting.store.taken.find("secret") == std::string::npos);
      CPPUNIT_ASSERT(meeting.store.heard.find("secret") != std::string::npos);
    }
  }

  void bytesBehindTheHandshakeStayInTheLayer() {
    for (const int version : kVersions) {
      Sides sides(version);
      TlsStore store(sides.server);
      store.say("250 early\r\n");  // at the handshake's end
      Road road;
      auto layer = sides.client.connect();
      StoreChannel below(store, road);
      std::string failure;
      CPPUNIT_ASSERT(shake_hands(*layer, below, soon(), failure));
      CPPUNIT_ASSERT(version == TLS1_3_VERSION || store.to_client.empty());
      LayeredChannel channel(std::make_unique<StoreChannel>(store, road), std::move(layer));
      CPPUNIT_ASSERT(!channel.quiet());
      CPPUNIT_ASSERT_EQUAL(std::string("250 early\r\n"), hear(channel));
    }
  }

  // A server may speak before it has heard the end of the client's handshake: these bytes come
  // while that is being written.
  void bytesBesideTheHandshakeStayInTheLayer() {
    Sides sides(TLS1_3_VERSION);
    TlsStore store(sides.server);
    SSL* theirs = store.connection();
    const auto layer = sides.client.connect();
    std::string hello;
    layer->handshake("", hello);
    BIO_write(SSL_get_rbio(theirs), hello.data(), static_cast<int>(hello.size()));
    char none = 0;
    std::size_t count = 0;
    CPPUNIT_ASSERT_EQUAL(SSL_READ_EARLY_DATA_FINISH, SSL_read_early_data(theirs, &none, 1, &count));
    CPPUNIT_ASSERT_EQUAL(1, SSL_write_early_data(theirs, "250 early\r\n", 11, &count));
    store.flush();
    Road road{1, 1, false};
    StoreChannel below(store, road);
    std::string failure;
    CPPUNIT_ASSERT(shake_hands(*layer, below, soon(), failure));
    std::string plain;
    std::string answer;
    CPPUNIT_ASSERT(layer->open("", plain, answer));
    CPPUNIT_ASSERT_EQUAL(std::string("250 early\r\n"), plain);
    CPPUNIT_ASSERT(store.shook_hands());
  }

  void aRecordIsOfUseOnlyAsAWhole() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.client, sides.server);
      hear(*std::make_unique<StoreChannel>(meeting.store, meeting.road));
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

  void ticketsAndKeyUpdatesAreNotThePeerSpeaking() {
    Sides sides(TLS1_3_VERSION);
    Meeting meeting(sides.client, sides.server);
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
    meeting.store.say_goodbye();
    CPPUNIT_ASSERT(!channel->quiet());
  }

  void renegotiationIsRefused() {
    Sides sides(TLS1_2_VERSION);
    Meeting meeting(sides.client, sides.server);
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

  // The kinds of what passed below.
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
  void aCertificateIsNotAskedForLater() {
    Sides sides(TLS1_3_VERSION);
    Meeting meeting(sides.client, sides.server);
    SSL_set_verify(meeting.store.connection(), SSL_VERIFY_PEER, nullptr);
    CPPUNIT_ASSERT_EQUAL(0, SSL_verify_client_post_handshake(meeting.store.connection()));
  }

  void truncationIsToldFromGoodbye() {
    for (const int version : kVersions) {
      struct Row {
        const char* name;
        bool goodbye;
        std::size_t cut;
        IoStatus status;
        const char* in;
        const char* words;
      };
      const Row rows[] = {
          {"goodbye", true, 0, IoStatus::kClosed, "221 bye\r\n", "the peer closed the connection"},
          {"none", false, 0, IoStatus::kFailed, "221 bye\r\n",
           "the peer closed the connection without TLS's goodbye (close_notify)"},
          {"in a record", false, 1, IoStatus::kFailed, "",
           "the peer closed the connection without TLS's goodbye (close_notify)"},
      };
      for (const Row& row : rows) {
        Sides sides(version);
        Meeting meeting(sides.client, sides.server);
        const auto channel = meeting.channel();
        hear(*channel);
        meeting.store.say("221 bye\r\n");
        std::string& wire = meeting.store.to_client;
        wire.resize(wire.size() - row.cut);
        if (row.goodbye) {
          meeting.store.say_goodbye();
        }
        meeting.road.ended = true;
        std::string in;
        check(row.status, last_status(*channel, in));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, std::string(row.in), in);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, std::string(row.words), channel->failure());
      }
    }
  }

  void whatIsNoRecordEndsTheConnection() {
    for (const int version : kVersions) {
      for (const std::string_view garbage :
           {std::string_view("250 2.1.5 ok in clear\r\n"), std::string_view("\x17\x03\x03\xff\xff"),
            std::string_view("\x00\x00\x00\x00\x00\x00", 6),
            std::string_view("\x17\x03\x03\x00\x02xx", 7)}) {
        Sides sides(version);
        Meeting meeting(sides.client, sides.server);
        const auto channel = meeting.channel();
        hear(*channel);
        meeting.store.to_client = garbage;
        std::string in;
        check(IoStatus::kFailed, last_status(*channel, in));
        CPPUNIT_ASSERT(in.empty() && !channel->failure().empty());
        CPPUNIT_ASSERT(channel->failure().find("unknown error") == std::string::npos);
        CPPUNIT_ASSERT(!meeting.store.error.empty());  // it heard an alert
        std::string_view out = "MAIL FROM:<>\r\n";
        check(IoStatus::kFailed, channel->exchange(out, in, soon()));
        CPPUNIT_ASSERT(meeting.store.heard.empty());
      }
    }
  }

  void aChangedByteEndsTheConnection() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.client, sides.server);
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

  void anAlertIsAFailureWithItsName() {
    Sides sides(TLS1_2_VERSION);
    sides.settings.least_version = TLS1_3_VERSION;
    const Meeting meeting(sides.client, sides.server);
    CPPUNIT_ASSERT(!meeting.done);
    CPPUNIT_ASSERT_EQUAL(std::string("tlsv1 alert protocol version"), meeting.failure);
    CPPUNIT_ASSERT(!meeting.layer->ended());
    CPPUNIT_ASSERT(meeting.layer->facts().chain.empty());
    CPPUNIT_ASSERT(meeting.layer->facts().protocol.empty());
  }

  void destructionSaysGoodbye() {
    for (const int version : kVersions) {
      Sides sides(version);
      Meeting meeting(sides.client, sides.server);
      auto channel = meeting.channel();
      hear(*channel);
      CPPUNIT_ASSERT(!meeting.store.client_said_goodbye);
      channel.reset();
      CPPUNIT_ASSERT(meeting.store.client_said_goodbye);
    }
  }

  void aHandshakeWithNoTlsFailsAtOnce() {
    Sides sides(TLS1_3_VERSION);
    for (const char* words : {"220 ready\r\n", "454 4.7.0 no\r\n", "HTTP/1.0 400\r\n\r\n"}) {
      const auto layer = sides.client.connect();
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
    const auto layer = sides.client.connect();
    const auto start = Clock::now();
    std::string failure;
    CPPUNIT_ASSERT(!shake_hands(*layer, channel, start + 50ms, failure));
    const auto waited = Clock::now() - start;
    CPPUNIT_ASSERT(waited >= 50ms && waited < 3s);
    CPPUNIT_ASSERT_EQUAL(std::string("time was up during the TLS handshake"), failure);
  }

  // A peer that dribbles or floods is never silent.
  void aHandshakeThatNeverEndsEndsAtTheDeadline() {
    const std::string empty_handshakes("\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9);  // HelloRequest
    for (const std::string& words : {std::string("\x16", 1), empty_handshakes}) {
      Sides sides(TLS1_2_VERSION);
      const auto layer = sides.client.connect();
      Parrot channel(words, true);
      const auto start = Clock::now();
      std::string failure;
      CPPUNIT_ASSERT(!shake_hands(*layer, channel, start + 50ms, failure));
      CPPUNIT_ASSERT(Clock::now() - start < 3s);
      CPPUNIT_ASSERT(!failure.empty());
    }
  }

  void aPeerThatGoesAwayEndsTheHandshake() {
    Sides sides(TLS1_3_VERSION);
    const auto layer = sides.client.connect();
    Parrot channel("", false);
    std::string failure;
    CPPUNIT_ASSERT(!shake_hands(*layer, channel, soon(), failure));
    CPPUNIT_ASSERT_EQUAL(std::string("the peer closed the connection during the TLS handshake"),
                         failure);
  }

  // As Cyrus's server takes it, whatever the version.
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
      CPPUNIT_ASSERT(sides.client.connect()->channel_binding("tls-unique").empty());
      for (const bool resumed : {false, true}) {
        Meeting meeting(sides.client, sides.server);
        SSL* theirs = meeting.store.connection();
        const TlsLayer& ours = *meeting.layer;
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
  void withoutExtendedMasterSecretNothingBinds() {
    Sides sides(TLS1_2_VERSION);
    SSL_CTX_set_options(sides.server.context(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
    const Meeting meeting(sides.client, sides.server);
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
    const auto layer = sides.client.connect();
    std::string to_send;
    layer->handshake("220 ready\r\n", to_send);
    const std::string much(1'000'000, 'x');
    const std::size_t before = resident_pages();
    std::string plain;
    std::string answer;
    for (int i = 0; i < 100; ++i) {
      CPPUNIT_ASSERT(layer->handshake(much, to_send) == TlsLayer::Handshake::kFailed);
      CPPUNIT_ASSERT(!layer->open(much, plain, answer));
    }
    CPPUNIT_ASSERT(resident_pages() < before + 10'000);
    CPPUNIT_ASSERT(!layer->seal("x", answer).has_value());
    CPPUNIT_ASSERT(plain.empty() && to_send.size() < 1000);
    CPPUNIT_ASSERT(!layer->ended());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsLayerTest);
