#include "tls_client.h"

#include <cppunit/extensions/HelperMacros.h>
#include <stdlib.h>

#include <atomic>
#include <functional>
#include <thread>

#include "config.h"
#include "tls_meeting.h"

using namespace lmtpq;

namespace {

constexpr char kHost[] = "imap.example.org";
constexpr char kGoodNames[] =
    "DNS:imap.example.org,DNS:*.wild.example.org,DNS:f*.example.org,DNS:192.0.2.7,"
    "IP:192.0.2.1,IP:2001:db8::1";

Request named(const std::string& names) {
  Request request;
  request.names = names;
  return request;
}

// Made once: the keys take most of the time.
struct World {
  Authority root{"Root"};
  Authority unknown{"Unknown"};
  Authority middle{"Middle", root};
  Certified good = root.certify(named(kGoodNames));
  Certified other = root.certify(named("DNS:other.example.org"));
  Certified foreign = unknown.certify(named(kGoodNames));
  Certified by_itself = Authority::certify_itself(named(kGoodNames));
  Certified client = root.certify(for_client("P-256"));
  Certified client25519 = root.certify(for_client("ED25519"));
  Certified expired, early, common_name, for_clients, long_way, gap;
  Folder folder;
  std::string ca = folder.file("ca.pem", root.own().pem());

  World() {
    Request request = named(kGoodNames);
    request.until = -60;
    expired = root.certify(request);
    request = named(kGoodNames);
    request.from = kDay;
    early = root.certify(request);
    request = named("");
    request.common_name = kHost;
    common_name = root.certify(request);
    request = named(kGoodNames);
    request.usage = "clientAuth";
    for_clients = root.certify(request);
    long_way = middle.certify(named(kGoodNames));
    long_way.intermediates = {middle.own().certificate.get()};
    gap = middle.certify(named(kGoodNames));
  }

  static Request for_client(const char* key) {
    Request request = named("");
    request.usage = "clientAuth";
    request.key_type = key;
    return request;
  }

  TlsSettings settings(TlsLevel level) const {
    TlsSettings settings;
    settings.level = level;
    settings.ca_file = ca;
    return settings;
  }
};

const World& world() {
  static const World world;
  return world;
}

constexpr TlsLevel kLevels[] = {TlsLevel::kMay, TlsLevel::kEncrypt, TlsLevel::kVerify,
                                TlsLevel::kFingerprint};
constexpr int kVersions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

std::string complaint(const std::function<void()>& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

void check(const std::string& what, bool expected, bool found) {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(what, expected, found);
}

void check(const std::string& what, const std::string& expected, const std::string& found) {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(what, expected, found);
}

// One exchange of bytes, so that tickets arrive.
void talk(Meeting& meeting) {
  const auto channel = meeting.channel();
  std::string in;
  CPPUNIT_ASSERT(write_all(*channel, "NOOP\r\n", in, soon()));
  meeting.store.say("250 ok\r\n");
  std::string_view nothing;
  while (in.empty()) {
    CPPUNIT_ASSERT(channel->exchange(nothing, in, soon()) == IoStatus::kProgress);
  }
  CPPUNIT_ASSERT_EQUAL(std::string("NOOP\r\n"), meeting.store.heard);
  CPPUNIT_ASSERT_EQUAL(std::string("250 ok\r\n"), in);
}

}  // namespace

class TlsClientTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsClientTest);
  CPPUNIT_TEST(aCertificateIsJudgedByTheLevel);
  CPPUNIT_TEST(authoritiesComeFromAFileAFolderOrTheSystem);
  CPPUNIT_TEST(aNameIsLookedForAmongTheNamesOfItsKind);
  CPPUNIT_TEST(theNameOfTheSettingsComesBeforeTheHost);
  CPPUNIT_TEST(whoIsRefusedHearsAnAlertAndNothingElse);
  CPPUNIT_TEST(aFingerprintIsThatOfTheLeafOrOfItsKey);
  CPPUNIT_TEST(aCipherWithoutCertificatesIsNobody);
  CPPUNIT_TEST(onlyADnsNameIsAskedFor);
  CPPUNIT_TEST(aSessionIsResumed);
  CPPUNIT_TEST(aSessionIsUsedOnce);
  CPPUNIT_TEST(aSessionOutlivesAConnectionThatWasCut);
  CPPUNIT_TEST(aResumedSessionIsJudgedAnew);
  CPPUNIT_TEST(noSessionIsKeptOfWhoWasNotBelieved);
  CPPUNIT_TEST(noSessionIsKeptOfNobody);
  CPPUNIT_TEST(anotherStoresSessionDoesNoHarm);
  CPPUNIT_TEST(severalThreadsMayUseOneClient);
  CPPUNIT_TEST(ourCertificateIsShownToWhoAsks);
  CPPUNIT_TEST(aCertificateThatTheStoreCannotReadIsNotShown);
  CPPUNIT_TEST(aStoreThatInsistsOnACertificateSaysSo);
  CPPUNIT_TEST(theKeyComesFromTextOrFile);
  CPPUNIT_TEST(versionsAndCiphersAreThoseOfTheSettings);
  CPPUNIT_TEST(aFileThatCannotBeUsedIsNamed);
  CPPUNIT_TEST_SUITE_END();

  struct Row {
    const char* name;
    const Certified& certified;
    const char* verification;
    const char* crl = "";
  };

  void aCertificateIsJudgedByTheLevel() {
    const World& w = world();
    const std::string revoking = w.folder.file("revoking.pem", w.root.crl({&w.good}));
    const std::string other = w.folder.file("other.pem", w.root.crl({&w.other}));
    const std::string stale = w.folder.file("stale.pem", w.root.crl({}, -kDay));
    const std::string half = w.folder.file("half.pem", w.root.crl({}));
    const std::string full = w.folder.file("full.pem", w.root.crl({}) + w.middle.crl({}));
    const std::string above =
        w.folder.file("above.pem", w.root.crl({&w.middle.own()}) + w.middle.crl({}));
    const Row rows[] = {
        {"good", w.good, "ok"},
        {"through an intermediate", w.long_way, "ok"},
        {"intermediate missing", w.gap, "unable to get local issuer certificate"},
        {"expired", w.expired, "certificate has expired"},
        {"not yet valid", w.early, "certificate is not yet valid"},
        {"wrong name", w.other, "hostname mismatch"},
        {"name in the CN only", w.common_name, "hostname mismatch"},
        {"self-signed", w.by_itself, "self-signed certificate"},
        {"unknown CA", w.foreign, "unable to get local issuer certificate"},
        {"a client's certificate", w.for_clients, "unsuitable certificate purpose"},
        {"revoked", w.good, "certificate revoked", revoking.c_str()},
        {"another one revoked", w.good, "ok", other.c_str()},
        {"stale CRL", w.good, "CRL has expired", stale.c_str()},
        {"no CRL of the intermediate", w.long_way, "unable to get certificate CRL", half.c_str()},
        {"CRLs of all", w.long_way, "ok", full.c_str()},
        {"intermediate revoked", w.long_way, "certificate revoked", above.c_str()},
    };
    for (const Row& row : rows) {
      for (const int version : kVersions) {
        for (const TlsLevel level : kLevels) {
          judge(row, version, level);
        }
      }
    }
  }

  static void judge(const Row& row, int version, TlsLevel level) {
    const std::string what = std::string(row.name) + " at " +
                             kTlsLevelNames[static_cast<int>(level)] +
                             (version == TLS1_3_VERSION ? ", TLS 1.3" : ", TLS 1.2");
    TlsSettings settings = world().settings(level);
    settings.crl_file = row.crl;
    settings.fingerprints = {small_sha256(row.certified.certificate.get())};
    TlsServer server(&row.certified);
    server.versions(version, version);
    TlsClient client(settings, kHost);
    Meeting meeting(client, server);
    const TlsFacts& facts = meeting.layer->facts();
    const bool well = std::string(row.verification) == "ok";
    check(what, level != TlsLevel::kVerify || well, meeting.done);
    check(what, meeting.done, meeting.store.shook_hands());
    check(what, row.verification, facts.verification);
    check(what, meeting.done, !facts.protocol.empty());
    CPPUNIT_ASSERT_MESSAGE(what, !facts.chain.empty());
    check(what, small_sha256(row.certified.certificate.get()), facts.chain[0].fingerprint);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(what, row.certified.intermediates.size() + 1, facts.chain.size());
    const TlsTrust trust = !meeting.done                     ? TlsTrust::kUnverified
                           : level == TlsLevel::kVerify      ? TlsTrust::kVerified
                           : level == TlsLevel::kFingerprint ? TlsTrust::kFingerprint
                                                             : TlsTrust::kUnverified;
    CPPUNIT_ASSERT_MESSAGE(what, trust == facts.trust);
    if (meeting.done) {
      talk(meeting);
    } else {
      CPPUNIT_ASSERT_MESSAGE(what + ": " + meeting.failure,
                             meeting.failure.find(row.verification) != std::string::npos);
      check(what, meeting.failure, meeting.layer->failure());
    }
  }

  void authoritiesComeFromAFileAFolderOrTheSystem() {
    const World& w = world();
    const Folder hashed;
    char name[16];
    std::snprintf(name, sizeof name, "%08lx.0",
                  X509_subject_name_hash(w.root.own().certificate.get()));
    hashed.file(name, w.root.own().pem());
    const std::string unknown = w.folder.file("unknown.pem", w.unknown.own().pem());
    struct Source {
      const char* name;
      std::string file;
      std::string path;
      const char* variable;  // OpenSSL's, by which the system's CAs are told
      std::string value;
      bool believed;
    };
    const Source rows[] = {
        {"file", w.ca, "", "", "", true},
        {"folder", "", hashed.path(), "", "", true},
        {"file of another and folder", unknown, hashed.path(), "", "", true},
        {"file of another", unknown, "", "", "", false},
        {"file of another, the system's", unknown, "", "SSL_CERT_FILE", w.ca, false},
        {"the system's", "", "", "", "", false},
        {"the system's file", "", "", "SSL_CERT_FILE", w.ca, true},
        {"the system's folder", "", "", "SSL_CERT_DIR", hashed.path(), true},
    };
    TlsServer server(&w.good);
    for (const Source& row : rows) {
      TlsSettings settings;
      settings.level = TlsLevel::kVerify;
      settings.ca_file = row.file;
      settings.ca_path = row.path;
      unsetenv("SSL_CERT_FILE");
      unsetenv("SSL_CERT_DIR");
      if (*row.variable != '\0') {
        setenv(row.variable, row.value.c_str(), 1);
      }
      TlsClient client(settings, kHost);
      const Meeting meeting(client, server);
      check(row.name, row.believed, meeting.done);
    }
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
  }

  void aNameIsLookedForAmongTheNamesOfItsKind() {
    struct Name {
      const char* host;
      const char* verification;
    };
    const Name rows[] = {
        {"imap.example.org", "ok"},
        {"IMAP.Example.ORG", "ok"},
        {"imap.example.org.", "ok"},
        {"a.wild.example.org", "ok"},
        {"a.b.wild.example.org", "hostname mismatch"},
        {"wild.example.org", "hostname mismatch"},
        {"foo.example.org", "hostname mismatch"},  // f*
        {"store", "hostname mismatch"},            // the CN
        {"example.org", "hostname mismatch"},
        {"192.0.2.1", "ok"},
        {"192.0.2.2", "IP address mismatch"},
        {"192.0.2.7", "IP address mismatch"},  // it is a DNS name there
        {"2001:db8::1", "ok"},
        {"2001:DB8:0:0::1", "ok"},
        {"2001:db8::1%eth0", "ok"},
        {"2001:db8::2", "IP address mismatch"},
    };
    TlsServer server(&world().good);
    for (const Name& row : rows) {
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsClient client(settings, row.host);
      const Meeting meeting(client, server);
      check(row.host, row.verification, meeting.layer->facts().verification);
      check(row.host, std::string(row.verification) == "ok", meeting.done);
      if (!meeting.done) {
        check(row.host,
              "certificate of CN=store: " + std::string(row.verification) + ", expected " +
                  client.name(),
              meeting.failure);
      }
    }
  }

  void theNameOfTheSettingsComesBeforeTheHost() {
    TlsServer server(&world().good);
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.name = "imap.example.org.";
    TlsClient client(settings, "192.0.2.99");
    CPPUNIT_ASSERT_EQUAL(std::string(kHost), client.name());
    CPPUNIT_ASSERT(Meeting(client, server).done);
    settings.name = "b.example.org";
    TlsClient another(settings, kHost);
    CPPUNIT_ASSERT(!Meeting(another, server).done);
    // A unix socket has no host.
    settings.name.clear();
    TlsClient nameless(settings, "");
    CPPUNIT_ASSERT(complaint([&] { nameless.connect(); }).starts_with("tls-name: "));
    settings.level = TlsLevel::kEncrypt;
    TlsClient careless(settings, "");
    const Meeting meeting(careless, server);
    CPPUNIT_ASSERT(meeting.done);
    CPPUNIT_ASSERT_EQUAL(std::string("ok"), meeting.layer->facts().verification);
    for (const char* name : {"st\xc3\xb6re.example.org", "imap example.org", ".example.org", "."}) {
      settings.name = name;
      TlsClient odd(settings, kHost);
      CPPUNIT_ASSERT(complaint([&] { odd.connect(); }).starts_with("tls-name: expected a"));
    }
  }

  void whoIsRefusedHearsAnAlertAndNothingElse() {
    struct Alert {
      const Certified& certified;
      TlsLevel level;
      const char* error;
    };
    const Alert rows[] = {
        {world().expired, TlsLevel::kVerify, "certificate expired"},
        {world().foreign, TlsLevel::kVerify, "unknown ca"},
        {world().other, TlsLevel::kVerify, "bad certificate"},
        {world().good, TlsLevel::kFingerprint, "bad certificate"},
    };
    for (const Alert& row : rows) {
      for (const int version : kVersions) {
        TlsSettings settings = world().settings(row.level);
        settings.fingerprints = {std::string(64, '0'), ""};
        settings.certificate_file =
            world().folder.file("client.pem", world().client.pem() + world().client.key_pem());
        TlsServer server(&row.certified);
        server.versions(version, version).ask_for_certificate(world().root);
        TlsClient client(settings, kHost);
        const Meeting meeting(client, server);
        CPPUNIT_ASSERT(!meeting.done && !meeting.store.shook_hands());
        CPPUNIT_ASSERT_MESSAGE(meeting.store.error,
                               meeting.store.error.find(row.error) != std::string::npos);
        CPPUNIT_ASSERT(SSL_get0_peer_certificate(meeting.store.connection()) == nullptr);
        CPPUNIT_ASSERT(meeting.store.heard.empty());
      }
    }
  }

  void aFingerprintIsThatOfTheLeafOrOfItsKey() {
    const Certified& shown = world().long_way;
    TlsServer server(&shown);
    TlsSettings settings = world().settings(TlsLevel::kMay);
    TlsClient look(settings, kHost);
    const Meeting seen(look, server);
    const std::vector<CertificateFacts> chain = seen.layer->facts().chain;
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, chain.size());
    struct Print {
      std::string fingerprint;
      bool believed;
    };
    const Print rows[] = {
        {chain[0].fingerprint, true},  {chain[0].key_fingerprint, true},
        {chain[1].fingerprint, false}, {chain[1].key_fingerprint, false},
        {std::string(64, 'a'), false}, {"", false},
    };
    for (const Print& row : rows) {
      settings.level = TlsLevel::kFingerprint;
      settings.fingerprints = {std::string(64, 'b'), row.fingerprint};
      TlsClient client(settings, "whatever.example.org");
      const Meeting meeting(client, server);
      check(row.fingerprint, row.believed, meeting.done);
      if (!row.believed) {
        check(row.fingerprint,
              "certificate of CN=store: its fingerprint " + chain[0].fingerprint +
                  " is not configured",
              meeting.failure);
      }
    }
    settings.fingerprints.clear();
    TlsClient client(settings, kHost);
    CPPUNIT_ASSERT(!Meeting(client, server).done);
  }

  // OpenSSL asks nobody to believe a certificate that there is not.
  void aCipherWithoutCertificatesIsNobody() {
    TlsServer server(nullptr);
    for (const TlsLevel level : kLevels) {
      TlsSettings settings = world().settings(level);
      settings.ciphers = "aNULL:@SECLEVEL=0";
      settings.most_version = TLS1_2_VERSION;
      TlsClient client(settings, kHost);
      const Meeting meeting(client, server);
      const bool careless = level == TlsLevel::kMay || level == TlsLevel::kEncrypt;
      check(kTlsLevelNames[static_cast<int>(level)], careless, meeting.done);
      CPPUNIT_ASSERT_EQUAL(std::string("no certificate"), meeting.layer->facts().verification);
      CPPUNIT_ASSERT(meeting.layer->facts().chain.empty());
      if (!careless) {
        CPPUNIT_ASSERT_EQUAL(std::string("the peer showed no certificate"), meeting.failure);
        CPPUNIT_ASSERT(meeting.layer->facts().protocol.empty());
        CPPUNIT_ASSERT(meeting.store.client_said_goodbye || !meeting.store.shook_hands());
      }
    }
  }

  void onlyADnsNameIsAskedFor() {
    struct Asked {
      const char* host;
      const char* name;
    };
    const Asked rows[] = {{"imap.example.org.", "imap.example.org"},
                          {"store_1", "store_1"},
                          {"192.0.2.1", ""},
                          {"2001:db8::1", ""},
                          {"", ""}};
    TlsServer server(&world().good);
    for (const Asked& row : rows) {
      const TlsSettings settings = world().settings(TlsLevel::kMay);
      TlsClient client(settings, row.host);
      const Meeting meeting(client, server);
      const char* name = SSL_get_servername(meeting.store.connection(), TLSEXT_NAMETYPE_host_name);
      check(row.host, row.name, name == nullptr ? "" : name);
    }
  }

  void aSessionIsResumed() {
    for (const int version : kVersions) {
      for (const TlsLevel level : kLevels) {
        for (const bool tickets : {true, false}) {
          TlsServer server(&world().long_way);
          server.versions(version, version);
          SSL_CTX_set_options(server.context(), tickets ? 0 : SSL_OP_NO_TICKET);
          TlsSettings settings = world().settings(level);
          settings.fingerprints = {small_sha256(world().long_way.certificate.get())};
          TlsClient client(settings, kHost);
          for (int i = 0; i < 4; ++i) {
            Meeting meeting(client, server);
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

  // Who listens must not be able to tell that two connections belong together.
  void aSessionIsUsedOnce() {
    TlsServer server(&world().good);
    const TlsSettings settings = world().settings(TlsLevel::kVerify);
    TlsClient client(settings, kHost);
    Meeting first(client, server);
    talk(first);
    // Both have said hello before either is through.
    std::unique_ptr<TlsLayer> layers[] = {client.connect(), client.connect()};
    TlsStore stores[] = {TlsStore(server), TlsStore(server)};
    for (int i = 0; i < 2; ++i) {
      std::string hello;
      layers[i]->handshake("", hello);
      stores[i].take(hello);
    }
    for (int i = 0; i < 2; ++i) {
      Road road;
      StoreChannel channel(stores[i], road);
      std::string failure;
      CPPUNIT_ASSERT(shake_hands(*layers[i], channel, soon(), failure));
      CPPUNIT_ASSERT_EQUAL(i == 0, layers[i]->facts().resumed);
    }
  }

  // Stores that just hang up are common.
  void aSessionOutlivesAConnectionThatWasCut() {
    for (const int version : kVersions) {
      TlsServer server(&world().good);
      server.versions(version, version);
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsClient client(settings, kHost);
      for (const bool resumed : {false, true, true}) {
        Meeting meeting(client, server);
        CPPUNIT_ASSERT_EQUAL(resumed, meeting.layer->facts().resumed);
        meeting.road.ended = true;
        const auto channel = meeting.channel();
        std::string in;
        std::string_view nothing;
        while (channel->exchange(nothing, in, soon()) == IoStatus::kProgress) {
        }
        CPPUNIT_ASSERT(channel->failure().find("close_notify") != std::string::npos);
      }
    }
  }

  void aResumedSessionIsJudgedAnew() {
    for (const int version : kVersions) {
      for (const TlsLevel level : {TlsLevel::kVerify, TlsLevel::kFingerprint}) {
        TlsServer server(&world().by_itself);
        server.versions(version, version);
        TlsSettings settings = world().settings(TlsLevel::kMay);
        TlsClient client(settings, kHost);
        Meeting careless(client, server);
        CPPUNIT_ASSERT(careless.done);
        talk(careless);
        settings.level = level;
        const Meeting meeting(client, server);
        CPPUNIT_ASSERT(meeting.layer->facts().resumed && !meeting.done);
        CPPUNIT_ASSERT_EQUAL(std::string("self-signed certificate"),
                             meeting.layer->facts().verification);
        CPPUNIT_ASSERT(meeting.layer->facts().protocol.empty());
        CPPUNIT_ASSERT(meeting.store.heard.empty());
        CPPUNIT_ASSERT(meeting.store.client_said_goodbye || !meeting.store.shook_hands());
        const Meeting again(client, server);
        CPPUNIT_ASSERT(!again.layer->facts().resumed && !again.done);
      }
    }
  }

  void noSessionIsKeptOfWhoWasNotBelieved() {
    for (const int version : kVersions) {
      TlsServer server(&world().by_itself);
      server.versions(version, version);
      TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsClient client(settings, kHost);
      CPPUNIT_ASSERT(!Meeting(client, server).done);
      settings.level = TlsLevel::kMay;
      Meeting meeting(client, server);
      CPPUNIT_ASSERT(meeting.done && !meeting.layer->facts().resumed);
      // Nor of a connection that broke: the session may be what was wrong.
      if (version == TLS1_2_VERSION) {
        const auto channel = meeting.channel();
        meeting.store.to_client = "no record at all, but some text";
        std::string in;
        std::string_view nothing;
        CPPUNIT_ASSERT(channel->exchange(nothing, in, soon()) == IoStatus::kFailed);
        CPPUNIT_ASSERT(!Meeting(client, server).layer->facts().resumed);
      }
    }
  }

  // OpenSSL hands out the session before anybody could look at whose it is.
  void noSessionIsKeptOfNobody() {
    TlsServer server(nullptr);
    TlsSettings settings = world().settings(TlsLevel::kVerify);
    settings.ciphers = "aNULL:@SECLEVEL=0";
    settings.most_version = TLS1_2_VERSION;
    TlsClient client(settings, kHost);
    CPPUNIT_ASSERT(!Meeting(client, server).done);
    settings.level = TlsLevel::kMay;
    for (const bool resumed : {false, true}) {
      const Meeting meeting(client, server);
      CPPUNIT_ASSERT(meeting.done);
      CPPUNIT_ASSERT_EQUAL(resumed, meeting.layer->facts().resumed);
    }
  }

  void anotherStoresSessionDoesNoHarm() {
    for (const int version : kVersions) {
      TlsServer one(&world().good);
      TlsServer two(&world().good);
      one.versions(version, version);
      two.versions(version, version);
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsClient client(settings, kHost);
      Meeting first(client, one);
      talk(first);
      Meeting second(client, two);
      CPPUNIT_ASSERT(second.done && !second.layer->facts().resumed);
      talk(second);
    }
  }

  void severalThreadsMayUseOneClient() {
    TlsServer server(&world().good);
    const TlsSettings settings = world().settings(TlsLevel::kVerify);
    TlsClient client(settings, kHost);
    std::atomic<int> done = 0;
    std::atomic<int> resumed = 0;
    const auto work = [&] {
      for (int i = 0; i < 20; ++i) {
        Meeting meeting(client, server);
        done += meeting.done ? 1 : 0;
        resumed += meeting.layer->facts().resumed ? 1 : 0;
        const auto channel = meeting.channel();
        channel->quiet();  // takes tickets in
      }
    };
    {
      const std::jthread one(work);
      const std::jthread two(work);
    }
    CPPUNIT_ASSERT_EQUAL(40, done.load());
    CPPUNIT_ASSERT(resumed > 0);
  }

  void ourCertificateIsShownToWhoAsks() {
    const World& w = world();
    const std::string file = w.folder.file("shown.pem", w.client.pem() + w.client.key_pem());
    for (const int version : kVersions) {
      for (const bool asks : {true, false}) {
        for (const bool have : {true, false}) {
          TlsServer server(&w.good);
          server.versions(version, version);
          if (asks) {
            server.ask_for_certificate(w.root);
          }
          TlsSettings settings = w.settings(TlsLevel::kVerify);
          settings.certificate_file = have ? file : "";
          TlsClient client(settings, kHost);
          CPPUNIT_ASSERT_EQUAL(have, client.has_certificate());
          for (const bool resumed : {false, true}) {
            Meeting meeting(client, server);
            CPPUNIT_ASSERT(meeting.done);
            CPPUNIT_ASSERT_EQUAL(resumed, meeting.layer->facts().resumed);
            CPPUNIT_ASSERT_EQUAL(asks && have, meeting.layer->showed_certificate());
            X509* shown = SSL_get0_peer_certificate(meeting.store.connection());
            CPPUNIT_ASSERT_EQUAL(asks && have, shown != nullptr);
            CPPUNIT_ASSERT(shown == nullptr || X509_cmp(shown, w.client.certificate.get()) == 0);
            talk(meeting);
          }
        }
      }
    }
  }

  void aCertificateThatTheStoreCannotReadIsNotShown() {
    const World& w = world();
    TlsSettings settings = w.settings(TlsLevel::kVerify);
    settings.certificate_file =
        w.folder.file("25519.pem", w.client25519.pem() + w.client25519.key_pem());
    for (const int version : kVersions) {
      for (const bool able : {true, false}) {
        TlsServer server(&w.good);
        server.versions(version, version).ask_for_certificate(w.root);
        SSL_CTX_set1_sigalgs_list(server.context(), able ? "ed25519:ECDSA+SHA256" : "ECDSA+SHA256");
        TlsClient client(settings, kHost);
        const Meeting meeting(client, server);
        CPPUNIT_ASSERT(meeting.done);
        CPPUNIT_ASSERT_EQUAL(able, meeting.layer->showed_certificate());
        CPPUNIT_ASSERT_EQUAL(able,
                             SSL_get0_peer_certificate(meeting.store.connection()) != nullptr);
      }
    }
  }

  void aStoreThatInsistsOnACertificateSaysSo() {
    for (const int version : kVersions) {
      TlsServer server(&world().good);
      server.versions(version, version).ask_for_certificate(world().root, true);
      const TlsSettings settings = world().settings(TlsLevel::kVerify);
      TlsClient client(settings, kHost);
      Meeting meeting(client, server);
      if (version == TLS1_2_VERSION) {
        CPPUNIT_ASSERT(!meeting.done);
        CPPUNIT_ASSERT_EQUAL(std::string("sslv3 alert handshake failure"), meeting.failure);
        continue;
      }
      // In TLS 1.3 the client is through with the handshake before it hears.
      CPPUNIT_ASSERT(meeting.done);
      const auto channel = meeting.channel();
      std::string in;
      std::string_view out = "NOOP\r\n";
      CPPUNIT_ASSERT(channel->exchange(out, in, soon()) == IoStatus::kFailed);
      CPPUNIT_ASSERT_EQUAL(std::string("tlsv13 alert certificate required"), channel->failure());
    }
  }

  void theKeyComesFromTextOrFile() {
    const World& w = world();
    struct Source {
      const char* name;
      std::string certificate;  // the file's text; empty: there is no such file
      std::string key_file;     // likewise
      std::string text;
    };
    const std::string both = w.client.key_pem() + w.client.pem();
    const Source rows[] = {
        {"two files", w.client.pem(), w.client.key_pem(), ""},
        {"one file", both, "", ""},
        {"key in memory", w.client.pem(), "none", w.client.key_pem()},
        {"all in memory", "none", "", both},
        {"certificate and intermediates", both + w.root.own().pem(), "", ""},
    };
    for (const Source& row : rows) {
      TlsSettings settings = w.settings(TlsLevel::kVerify);
      settings.certificate_file = row.certificate == "none"
                                      ? w.folder.path() + "/none"
                                      : w.folder.file("certificate.pem", row.certificate);
      settings.key_file = row.key_file == "none" ? w.folder.path() + "/none"
                          : row.key_file.empty() ? ""
                                                 : w.folder.file("key.pem", row.key_file);
      settings.key = Secret(row.text);
      TlsServer server(&w.good);
      server.ask_for_certificate(w.root, true);
      TlsClient client(settings, kHost);
      Meeting meeting(client, server);
      check(row.name, true, meeting.layer->showed_certificate());
      talk(meeting);
    }
  }

  void versionsAndCiphersAreThoseOfTheSettings() {
    struct Versions {
      int least, most;              // ours
      int store_least, store_most;  // the store's
      const char* protocol;         // empty: refused
    };
    const Versions rows[] = {
        {0, 0, 0, 0, "TLSv1.3"},
        {0, 0, 0, TLS1_2_VERSION, "TLSv1.2"},
        {0, 0, 0, TLS1_1_VERSION, ""},
        {TLS1_3_VERSION, 0, 0, TLS1_2_VERSION, ""},
        {TLS1_2_VERSION, TLS1_2_VERSION, 0, 0, "TLSv1.2"},
        {TLS1_2_VERSION, TLS1_2_VERSION, TLS1_3_VERSION, 0, ""},
    };
    for (const Versions& row : rows) {
      TlsServer server(&world().good);
      server.versions(row.store_least, row.store_most);
      SSL_CTX_set_security_level(server.context(), 0);
      TlsSettings settings = world().settings(TlsLevel::kMay);
      settings.least_version = row.least;
      settings.most_version = row.most;
      TlsClient client(settings, kHost);
      const Meeting meeting(client, server);
      CPPUNIT_ASSERT_EQUAL(std::string(row.protocol), meeting.layer->facts().protocol);
      CPPUNIT_ASSERT_EQUAL(meeting.done, !meeting.layer->facts().protocol.empty());
      CPPUNIT_ASSERT(meeting.done || meeting.failure.find("version") != std::string::npos ||
                     meeting.failure.find("unsupported protocol") != std::string::npos);
    }
    TlsServer server(&world().good);
    server.versions(0, TLS1_2_VERSION);
    TlsSettings settings = world().settings(TlsLevel::kMay);
    settings.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    TlsClient client(settings, kHost);
    const Meeting meeting(client, server);
    CPPUNIT_ASSERT_EQUAL(settings.ciphers, meeting.layer->facts().cipher);
    CPPUNIT_ASSERT_EQUAL(128, meeting.layer->facts().bits);
  }

  void aFileThatCannotBeUsedIsNamed() {
    const World& w = world();
    const Folder& f = w.folder;
    const std::string empty = f.file("empty", "");
    const std::string text = f.file("text", "-----BEGIN NOTHING-----\n");
    const std::string none = f.path() + "/no such file";
    const std::string certificate = f.file("c.pem", w.client.pem());
    const std::string damaged =
        f.file("d.pem", w.client.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n");
    struct Mistake {
      std::string words;
      std::function<void(TlsSettings&)> make;
    };
    const Mistake rows[] = {
        {empty + ": ", [&](TlsSettings& s) { s.ca_file = empty; }},
        {text + ": ", [&](TlsSettings& s) { s.ca_file = text; }},
        {none + ": no CA certificate can be read: No such file",
         [&](TlsSettings& s) { s.ca_file = none; }},
        {none + ": No such file", [&](TlsSettings& s) { s.ca_path = none; }},
        {empty + ": not a folder", [&](TlsSettings& s) { s.ca_path = empty; }},
        {empty + ": no CRL", [&](TlsSettings& s) { s.crl_file = empty; }},
        {none + ": no CRL can be read: No such file", [&](TlsSettings& s) { s.crl_file = none; }},
        {w.ca + ": no CRL", [&](TlsSettings& s) { s.crl_file = w.ca; }},
        {none + ": No such file", [&](TlsSettings& s) { s.certificate_file = none; }},
        {empty + ": no certificate", [&](TlsSettings& s) { s.certificate_file = empty; }},
        {certificate + ": no private key",
         [&](TlsSettings& s) { s.certificate_file = certificate; }},
        {damaged + ": a certificate behind", [&](TlsSettings& s) { s.certificate_file = damaged; }},
        {none + ": No such file",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = none;
         }},
        {"key: the private key is not that of the certificate in " + certificate,
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = "key";
           s.key = Secret(w.good.key_pem());
         }},
        {"key: the private key is encrypted",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = "key";
           s.key = Secret(w.client.key_pem("word"));
         }},
        {"key: no private key",
         [&](TlsSettings& s) {
           s.certificate_file = certificate;
           s.key_file = "key";
           s.key = Secret("nonsense");
         }},
        {"tls-protocols: ", [](TlsSettings& s) { s.least_version = 12345; }},
        {"tls-protocols: ", [](TlsSettings& s) { s.most_version = 12345; }},
        {"tls-protocols: ",
         [](TlsSettings& s) {
           s.least_version = TLS1_3_VERSION;
           s.most_version = TLS1_2_VERSION;
         }},
        {"tls-ciphers: \"NONSENSE\": no cipher match",
         [](TlsSettings& s) { s.ciphers = "NONSENSE"; }},
    };
    for (const Mistake& row : rows) {
      TlsSettings settings = w.settings(TlsLevel::kVerify);
      row.make(settings);
      TlsClient client(settings, kHost);
      const std::string first = complaint([&] { client.connect(); });
      CPPUNIT_ASSERT_MESSAGE(row.words + "\nfound " + first, first.starts_with(row.words));
      CPPUNIT_ASSERT_MESSAGE(first, first.find("unknown error") == std::string::npos);
      CPPUNIT_ASSERT(first.find('\n') == std::string::npos);
      // It is not half usable afterwards.
      CPPUNIT_ASSERT_EQUAL(first, complaint([&] { client.prepare(); }));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsClientTest);
