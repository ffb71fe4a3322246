#include "mailer/secure/sasl_layer.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sasl/sasl.h>

#include <utility>

#include "tests/unit/mailer/secure/sasl_server.h"

using lmtpq::Secret;
using lmtpq::mailer::AuthSettings;
using lmtpq::mailer::exchange;
using lmtpq::mailer::kServerName;
using lmtpq::mailer::kServerPassword;
using lmtpq::mailer::kServerUser;
using lmtpq::mailer::Layer;
using lmtpq::mailer::Login;
using lmtpq::mailer::SaslClient;
using lmtpq::mailer::SaslServer;

namespace {

// Both ends of a connection without TLS, after DIGEST-MD5.
struct Ends {
  AuthSettings settings;
  Login login{kServerUser, Secret(kServerPassword)};
  SaslServer store;
  unsigned bits = 0;
  std::unique_ptr<Layer> layer;

  // What the store accepts: the strength of its layer, the length of a record.
  explicit Ends(unsigned most_bits, unsigned max_record = 4096)
      : store({"DIGEST-MD5", 0, "", "", "", most_bits, max_record}) {
    settings.security = SASL_SEC_NOANONYMOUS;
    settings.mechanisms = {"DIGEST-MD5"};
    auto client = std::make_unique<SaslClient>(
        settings, login, lmtpq::mailer::SaslSurroundings{kServerName, false, 0, "", "", ""});
    CPPUNIT_ASSERT(client->start(store.offered()));
    CPPUNIT_ASSERT(exchange(*client, store).yes);
    CPPUNIT_ASSERT_EQUAL(most_bits > 0, client->layer_bits() > 0);
    bits = client->layer_bits();
    SaslClient& exchange = *client;
    layer = exchange.into_layer(std::move(client));
  }

  // All of it, record by record, as LayeredChannel asks.
  std::string sealed(std::string_view plain) const {
    std::string out;
    while (!plain.empty()) {
      const auto taken = layer->seal(plain, out);
      CPPUNIT_ASSERT_MESSAGE(layer->failure(), taken);
      CPPUNIT_ASSERT(*taken > 0 && *taken <= plain.size());
      plain.remove_prefix(*taken);
    }
    return out;
  }
};

std::string message_of(std::size_t size) {
  std::string text;
  while (text.size() < size) {
    text += "line " + std::to_string(text.size()) + "\r\n";
  }
  text.resize(size);
  return text;
}

std::string frame_of(std::uint32_t length) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>((length >> shift) & 0xff);
  }
  return bytes;
}

}  // namespace

class SaslLayerTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SaslLayerTest);
  CPPUNIT_TEST(aMechanismWithoutALayerGivesNone);
  CPPUNIT_TEST(sealedBytesAreOpenedInBothDirections);
  CPPUNIT_TEST(noMoreIsSealedThanTheStoreAccepts);
  CPPUNIT_TEST(aRecordMayComeInAnyPieces);
  CPPUNIT_TEST(nothingIsSentUnsealed);
  CPPUNIT_TEST(aChangedRecordIsAFinalFailure);
  CPPUNIT_TEST(aRecordOutOfOrderIsAFailure);
  CPPUNIT_TEST(plainTextIsAFailure);
  CPPUNIT_TEST(theLengthOfARecordIsLimited);
  CPPUNIT_TEST(theEndOfTheStreamIsTheChannelsEnd);
  CPPUNIT_TEST_SUITE_END();

 private:
  void aMechanismWithoutALayerGivesNone() {
    const Ends ends(0);
    CPPUNIT_ASSERT_EQUAL(0U, ends.bits);
    CPPUNIT_ASSERT(ends.layer == nullptr);
  }

  void sealedBytesAreOpenedInBothDirections() {
    for (const unsigned most_bits : {1U, 56U, 128U}) {  // integrity, DES or RC4-56, RC4 or 3DES
      Ends ends(most_bits);
      CPPUNIT_ASSERT(ends.bits >= 1 && ends.bits <= most_bits);
      CPPUNIT_ASSERT_EQUAL(most_bits > 1, ends.bits > 1);
      for (const std::size_t size : {1U, 100U, 4096U, 100000U}) {
        const std::string message = message_of(size);
        CPPUNIT_ASSERT(ends.store.open(ends.sealed(message)) == message);
        std::string plain = "before ";
        std::string answer;
        CPPUNIT_ASSERT(ends.layer->open(ends.store.seal(message), plain, answer));
        CPPUNIT_ASSERT(plain == "before " + message);
        CPPUNIT_ASSERT_EQUAL(std::string(), answer);
      }
      CPPUNIT_ASSERT_EQUAL(std::string(), ends.layer->failure());
    }
  }

  void noMoreIsSealedThanTheStoreAccepts() {
    for (const unsigned record : {100U, 1000U, 4096U, 65536U}) {
      Ends ends(128, record);
      std::string out;
      const auto taken = ends.layer->seal(message_of(1000000), out);
      CPPUNIT_ASSERT(taken && *taken > 0 && *taken <= record);
      CPPUNIT_ASSERT_MESSAGE(std::to_string(out.size()), out.size() <= record + 4);
      CPPUNIT_ASSERT(ends.store.open(out) == message_of(1000000).substr(0, *taken));
    }
  }

  void aRecordMayComeInAnyPieces() {
    for (const std::size_t piece : {1U, 3U, 4096U, 70000U}) {
      Ends ends(128);
      const std::string message = message_of(piece < 10 ? 10000 : 200000);
      const std::string sealed = ends.store.seal(message);
      std::string plain;
      std::string answer;
      for (std::size_t at = 0; at < sealed.size(); at += piece) {
        CPPUNIT_ASSERT(ends.layer->open(sealed.substr(at, piece), plain, answer));
      }
      CPPUNIT_ASSERT(plain == message);
    }
    Ends ends(128);
    std::string plain;
    std::string answer;
    CPPUNIT_ASSERT(ends.layer->open("", plain, answer));
    CPPUNIT_ASSERT_EQUAL(std::string(), plain);
  }

  void nothingIsSentUnsealed() {
    const Ends ends(128);
    CPPUNIT_ASSERT(ends.sealed("MAIL FROM:<bob@example.org>").find("bob") == std::string::npos);
    const Ends signed_only(1);
    CPPUNIT_ASSERT(signed_only.sealed("MAIL FROM:<bob>").find("bob") != std::string::npos);
  }

  void aChangedRecordIsAFinalFailure() {
    for (const std::size_t at : {4U, 10U, 20U, 30U}) {
      Ends ends(128);
      std::string sealed = ends.store.seal(message_of(30));
      CPPUNIT_ASSERT(at < sealed.size());
      sealed[at] = static_cast<char>(sealed[at] ^ 1);
      std::string plain;
      std::string answer;
      CPPUNIT_ASSERT(!ends.layer->open(sealed, plain, answer));
      CPPUNIT_ASSERT_EQUAL(std::string(), plain);
      const std::string failure = ends.layer->failure();
      CPPUNIT_ASSERT_MESSAGE(failure,
                             failure.starts_with("invalid record in SASL's security layer: "));
      CPPUNIT_ASSERT(!ends.layer->open(ends.store.seal("250 ok\r\n"), plain, answer));
      CPPUNIT_ASSERT(!ends.layer->seal("x", answer));
      CPPUNIT_ASSERT_EQUAL(failure, ends.layer->failure());
      CPPUNIT_ASSERT_EQUAL(std::string(), plain);
    }
  }

  void aRecordOutOfOrderIsAFailure() {
    Ends again(128);
    const std::string first = again.store.seal("250 ok\r\n");
    std::string plain;
    std::string answer;
    CPPUNIT_ASSERT(again.layer->open(first, plain, answer));
    CPPUNIT_ASSERT(!again.layer->open(first, plain, answer));
    CPPUNIT_ASSERT_EQUAL(std::string("250 ok\r\n"), plain);
  }

  void plainTextIsAFailure() {
    Ends ends(128);
    std::string plain;
    std::string answer;
    CPPUNIT_ASSERT(!ends.layer->open("250 2.0.0 ok\r\n", plain, answer));
    CPPUNIT_ASSERT_EQUAL(std::string(), plain);
  }

  // A record that announces its length as too long is refused before its bytes are stored.
  void theLengthOfARecordIsLimited() {
    for (const std::uint32_t length :
         {0x4001U, 0x10001U, 0x00ffffffU, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
      Ends ends(128);
      std::string plain;
      std::string answer;
      const std::string frame = frame_of(length);
      CPPUNIT_ASSERT(ends.layer->open(frame.substr(0, 3), plain, answer));
      CPPUNIT_ASSERT(!ends.layer->open(frame.substr(3), plain, answer));
      CPPUNIT_ASSERT_EQUAL(
          "record too long in SASL's security layer: " + std::to_string(length) + " bytes",
          ends.layer->failure());
      CPPUNIT_ASSERT(!ends.layer->open("x", plain, answer));
    }
    Ends longest(128);
    std::string nothing;
    CPPUNIT_ASSERT(longest.layer->open(frame_of(0x4000) + "xxxx", nothing, nothing));
    for (const std::uint32_t length : {0U, 1U, 15U}) {  // no room for its signature
      Ends ends(128);
      std::string plain;
      std::string answer;
      CPPUNIT_ASSERT(!ends.layer->open(frame_of(length) + message_of(64), plain, answer));
      CPPUNIT_ASSERT_EQUAL(std::string(), plain);
    }
  }

  void theEndOfTheStreamIsTheChannelsEnd() {
    const Ends ends(128);
    CPPUNIT_ASSERT(!ends.layer->ended());
    CPPUNIT_ASSERT_EQUAL(std::string("the peer closed the connection"), ends.layer->ending());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SaslLayerTest);
