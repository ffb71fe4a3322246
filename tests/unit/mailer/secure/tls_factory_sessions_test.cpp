#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <thread>

#include "mailer/secure/tls_factory.h"
#include "tests/unit/mailer/secure/tls_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace lmtpq::mailer::tls_test;

class TlsFactorySessionsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsFactorySessionsTest);
  CPPUNIT_TEST(aSessionIsResumed);
  CPPUNIT_TEST(aSessionIsUsedOnce);
  CPPUNIT_TEST(aSessionSurvivesAConnectionThatWasCut);
  CPPUNIT_TEST(aResumedSessionIsVerifiedAgain);
  CPPUNIT_TEST(noSessionIsKeptFromARefusedPeer);
  CPPUNIT_TEST(noSessionIsKeptFromARefusedAnonymousPeer);
  CPPUNIT_TEST(theSessionOfAnotherStoreDoesNoHarm);
  CPPUNIT_TEST(severalThreadsMayUseOneClient);
  CPPUNIT_TEST_SUITE_END();

  void aSessionIsResumed() {
    for (const int version : kVersions) {
      for (const TlsLevel level : kLevels) {
        for (const bool tickets : {true, false}) {
          TlsServer server(&world().long_way);
          server.versions(version, version);
          SSL_CTX_set_options(server.context(), tickets ? 0 : SSL_OP_NO_TICKET);
          TlsSettings settings = world().settings(level);
          settings.fingerprints = {small_sha256(world().long_way.certificate.get())};
          TlsFactory factory(settings, kHost);
          for (int i = 0; i < 4; ++i) {
            Meeting meeting(factory, server);
            const TlsFacts& facts = meeting.layer->facts();
            CPPUNIT_ASSERT(meeting.done);
            CPPUNIT_ASSERT_EQUAL(i > 0, facts.resumed);
            CPPUNIT_ASSERT_EQUAL(i > 0, SSL_session_reused(meeting.store.connection()) == 1);
            CPPUNIT_ASSERT_EQUAL(std::string("ok"), facts.verification);
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, facts.chain.size());
            CPPUNIT_ASSERT(level != TlsLevel::kVerify || facts.trust == TlsTrust::kVerified);
            talk(meeting);
          }
        }
      }
    }
  }

  // An eavesdropper must not see that two connections belong together.
  void aSessionIsUsedOnce() {
    TlsServer server(&world().good);
    const TlsSettings settings = world().settings(TlsLevel::kVerify);
    TlsFactory factory(settings, kHost);
    Meeting first(factory, server);
    talk(first);
    // Both have sent their hello before either has completed its handshake.
    std::unique_ptr<TlsConnection> layers[] = {factory.connect(), factory.connect()};
    TlsStore stores[] = {TlsStore(server), TlsStore(server)};
    for (int i = 0; i < 2; ++i) {
      std::string hello;
      layers[i]->handshake("", hello);
      stores[i].take(hello);
    }
    for (int i = 0; i < 2; ++i) {
      WireOptions wire;
      StoreChannel channel(stores[i], wire);
      std::string failure;
      CPPUNIT_ASSERT(shake_hands(*layers[i], channel, soon(), failure));
      CPPUNIT_ASSERT_EQUAL(i == 0, layers[i]->facts().resumed);
    }
  }

  // Stores that close without close_notify are common.
  void aSessionSurvivesAConnectionThatWasCut() {
    for (const int version : kVersions) {
      TlsServer server(&world().good);
      server.versions(version, version);
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsFactory factory(settings, kHost);
      for (const bool resumed : {false, true, true}) {
        Meeting meeting(factory, server);
        CPPUNIT_ASSERT_EQUAL(resumed, meeting.layer->facts().resumed);
        meeting.wire.ended = true;
        const auto channel = meeting.channel();
        std::string in;
        std::string_view nothing;
        while (channel->exchange(nothing, in, soon()) == IoStatus::kProgress) {
        }
        CPPUNIT_ASSERT(channel->failure().find("close_notify") != std::string::npos);
      }
    }
  }

  void aResumedSessionIsVerifiedAgain() {
    for (const int version : kVersions) {
      for (const TlsLevel level : {TlsLevel::kVerify, TlsLevel::kFingerprint}) {
        TlsServer server(&world().by_itself);
        server.versions(version, version);
        TlsSettings settings = world().settings(TlsLevel::kMay);
        TlsFactory factory(settings, kHost);
        Meeting careless(factory, server);
        CPPUNIT_ASSERT(careless.done);
        talk(careless);
        settings.level = level;
        const Meeting meeting(factory, server);
        CPPUNIT_ASSERT(meeting.layer->facts().resumed && !meeting.done);
        CPPUNIT_ASSERT_EQUAL(std::string("self-signed certificate"),
                             meeting.layer->facts().verification);
        CPPUNIT_ASSERT(meeting.layer->facts().protocol.empty());
        CPPUNIT_ASSERT(meeting.store.heard.empty());
        CPPUNIT_ASSERT(meeting.store.got_close_notify || !meeting.store.shook_hands());
        const Meeting again(factory, server);
        CPPUNIT_ASSERT(!again.layer->facts().resumed && !again.done);
      }
    }
  }

  void noSessionIsKeptFromARefusedPeer() {
    for (const int version : kVersions) {
      TlsServer server(&world().by_itself);
      server.versions(version, version);
      TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsFactory factory(settings, kHost);
      CPPUNIT_ASSERT(!Meeting(factory, server).done);
      settings.level = TlsLevel::kMay;
      Meeting meeting(factory, server);
      CPPUNIT_ASSERT(meeting.done && !meeting.layer->facts().resumed);
      // Nor from a connection that broke: the session may be the cause.
      if (version == TLS1_2_VERSION) {
        const auto channel = meeting.channel();
        meeting.store.to_client = "no record at all, but some text";
        std::string in;
        std::string_view nothing;
        CPPUNIT_ASSERT(channel->exchange(nothing, in, soon()) == IoStatus::kFailed);
        CPPUNIT_ASSERT(!Meeting(factory, server).layer->facts().resumed);
      }
    }
  }

  // OpenSSL hands out the session before the peer is verified.
  void noSessionIsKeptFromARefusedAnonymousPeer() {
    TlsServer server(nullptr);
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.ciphers = "aNULL:@SECLEVEL=0";
    settings.most_version = TLS1_2_VERSION;
    TlsFactory factory(settings, kHost);
    CPPUNIT_ASSERT(!Meeting(factory, server).done);
    settings.level = TlsLevel::kMay;
    for (const bool resumed : {false, true}) {
      const Meeting meeting(factory, server);
      CPPUNIT_ASSERT(meeting.done);
      CPPUNIT_ASSERT_EQUAL(resumed, meeting.layer->facts().resumed);
    }
  }

  void theSessionOfAnotherStoreDoesNoHarm() {
    for (const int version : kVersions) {
      TlsServer one(&world().good);
      TlsServer two(&world().good);
      one.versions(version, version);
      two.versions(version, version);
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsFactory factory(settings, kHost);
      Meeting first(factory, one);
      talk(first);
      Meeting second(factory, two);
      CPPUNIT_ASSERT(second.done && !second.layer->facts().resumed);
      talk(second);
    }
  }

  void severalThreadsMayUseOneClient() {
    TlsServer server(&world().good);
    const TlsSettings settings = world().settings(TlsLevel::kVerify);
    TlsFactory factory(settings, kHost);
    std::atomic<int> done = 0;
    std::atomic<int> resumed = 0;
    const auto work = [&] {
      for (int i = 0; i < 20; ++i) {
        Meeting meeting(factory, server);
        done += meeting.done ? 1 : 0;
        resumed += meeting.layer->facts().resumed ? 1 : 0;
        const auto channel = meeting.channel();
        channel->quiet();  // receives tickets
      }
    };
    {
      const std::jthread one(work);
      const std::jthread two(work);
    }
    CPPUNIT_ASSERT_EQUAL(40, done.load());
    CPPUNIT_ASSERT(resumed > 0);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsFactorySessionsTest);
