#include "mailer/settings/store_settings.h"

#include <cppunit/extensions/HelperMacros.h>
#include <openssl/ssl.h>
#include <sasl/sasl.h>

#include "mailer/settings/destination_sections.h"
#include "mailer/settings/settings.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

std::vector<Store> stores_of(const std::string& file, const std::vector<std::string>& arguments) {
  Settings settings;
  OptionReader options = option_reader(Command::kRelay, settings);
  std::vector<Destination> destinations;
  for (const std::string& operand : options.take_arguments(arguments)) {
    destinations.push_back(parse_destination(operand));
  }
  options.take_text(file, "f");
  options.apply();
  return find_stores(options, destinations, settings.tcp_port);
}

StoreSettings only(const std::string& file, const std::vector<std::string>& arguments) {
  return std::move(stores_of(file, arguments).at(0).settings);
}

std::string error_of(const std::string& file,
                     const std::vector<std::string>& arguments = {"inet:a"}) {
  try {
    for (const Store& store : stores_of(file, arguments)) {
      check(store);
    }
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

class StoreSettingsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(StoreSettingsTest);
  CPPUNIT_TEST(theDefaultsAreSafe);
  CPPUNIT_TEST(theCommandLineOverridesTheSectionAndTheSectionOverridesTheTop);
  CPPUNIT_TEST(aSectionHoldsForItsStoresOnly);
  CPPUNIT_TEST(theSectionWithThePortOverridesTheOneWithout);
  CPPUNIT_TEST(twoSectionsForTheSameStoreAreAnError);
  CPPUNIT_TEST(severalDestinationLinesAddUp);
  CPPUNIT_TEST(aSectionForAnotherPortIsANearMiss);
  CPPUNIT_TEST(anEmptyValueUndoesTheValueAbove);
  CPPUNIT_TEST(errorsNameTheLineAlsoInUnusedSections);
  CPPUNIT_TEST(protocolsAreARange);
  CPPUNIT_TEST(fingerprintsAreReadInEveryForm);
  CPPUNIT_TEST(securityPropertiesAreFlags);
  CPPUNIT_TEST(contradictingOptionsAreAnError);
  CPPUNIT_TEST(tcpPortIsThePortThatIsNotSaid);
  CPPUNIT_TEST(aWrapperMakesTlsMandatory);
  CPPUNIT_TEST(aSectionForSmtpIsForSmtpOnly);
  CPPUNIT_TEST(levelMayUsesNoTlsOverAUnixSocket);
  CPPUNIT_TEST(theSameStoreHasTheSameOptionsLoginAndKey);
  CPPUNIT_TEST(thePoolHasItsDefaults);
  CPPUNIT_TEST_SUITE_END();

  void theDefaultsAreSafe() {
    const StoreSettings s = only("", {"inet:a"});
    CPPUNIT_ASSERT(s.tls.level == TlsLevel::kMay);
    CPPUNIT_ASSERT_EQUAL(TLS1_2_VERSION, s.tls.least_version);
    CPPUNIT_ASSERT_EQUAL(0, s.tls.most_version);
    CPPUNIT_ASSERT(s.auth.plaintext == AuthPlaintext::kTls);
    CPPUNIT_ASSERT_EQUAL(unsigned{SASL_SEC_NOANONYMOUS}, s.auth.security);
    CPPUNIT_ASSERT_EQUAL(std::string("tls-unique"), s.auth.channel_binding);
    CPPUNIT_ASSERT(!s.auth.wanted());
    CPPUNIT_ASSERT(s.proxy_protocol == ProxyProtocol::kNone);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1000}, s.recipient_limit);
    CPPUNIT_ASSERT(s.timeouts.starttls == minutes(5));
    CPPUNIT_ASSERT(s.timeouts.auth == minutes(5));
  }

  void theCommandLineOverridesTheSectionAndTheSectionOverridesTheTop() {
    const std::string file =
        "rcpt-timeout = 1s\nmail-timeout = 1s\nauth-timeout = 1s\n"
        "[destination.a]\nrcpt-timeout = 2s\nmail-timeout = 2s\n";
    const StoreSettings s = only(file, {"--rcpt-timeout=3s", "inet:a"});
    CPPUNIT_ASSERT(s.timeouts.rcpt == seconds(3));
    CPPUNIT_ASSERT(s.timeouts.mail == seconds(2));
    CPPUNIT_ASSERT(s.timeouts.auth == seconds(1));
    CPPUNIT_ASSERT(s.timeouts.lhlo == minutes(5));
  }

  void aSectionHoldsForItsStoresOnly() {
    const std::string file =
        "[destination.imap1.example.org]\nrecipient-limit = 1\n"
        "[destination.others]\ndestination = inet:b:24, unix:/s, inet:[::1]\nrecipient-limit = 2\n";
    const struct {
      const char* destination;
      std::size_t limit;
    } rows[] = {{"imap1.example.org", 1},
                {"inet:IMAP1.example.org:2003", 1},
                {"inet:b:24", 2},
                {"inet:b:25", 1000},
                {"unix:/s", 2},
                {"unix:/S", 1000},
                {"inet:[::1]:24", 2},
                {"inet:others", 1000},
                {"inet:example.org", 1000}};
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.destination, row.limit,
                                   only(file, {row.destination}).recipient_limit);
    }
    const auto both = stores_of(file, {"imap1.example.org", "b:24"});
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, both[0].settings.recipient_limit);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, both[1].settings.recipient_limit);
  }

  void theSectionWithThePortOverridesTheOneWithout() {
    for (const char* file : {"[destination.a]\nrecipient-limit = 1\n"
                             "[destination.x]\ndestination = a:24\nrecipient-limit = 2\n",
                             "[destination.x]\ndestination = a:24\nrecipient-limit = 2\n"
                             "[destination.a]\nrecipient-limit = 1\n"}) {
      CPPUNIT_ASSERT_EQUAL(std::size_t{2}, only(file, {"a:24"}).recipient_limit);
      CPPUNIT_ASSERT_EQUAL(std::size_t{1}, only(file, {"a:25"}).recipient_limit);
      const auto stores = stores_of(std::string(file) + "[destination.a.b]\n", {"a:24"});
      CPPUNIT_ASSERT(stores.at(0).section.starts_with("[destination.a] (f:"));
      CPPUNIT_ASSERT(stores.at(0).section.find(", [destination.x] (f:") != std::string::npos);
    }
    const StoreSettings both = only(
        "[destination.a]\ntls = verify\n[destination.x]\ndestination = a:24\nrecipient-limit = 2\n",
        {"a"});
    CPPUNIT_ASSERT(both.tls.level == TlsLevel::kVerify);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, both.recipient_limit);
  }

  void twoSectionsForTheSameStoreAreAnError() {
    const std::string beside = "[destination.b]\ndestination = ";
    for (const char* twin : {"a", "A.", "inet:x, inet:a"}) {
      const std::string error = error_of("[destination.a]\n" + beside + twin + "\n");
      CPPUNIT_ASSERT_MESSAGE(error, error.starts_with("f:2: inet:"));
      CPPUNIT_ASSERT_MESSAGE(
          error, error.ends_with(" has a section already: [destination.a] (f:1); remove one"));
    }
    CPPUNIT_ASSERT(error_of("[destination.a]\ndestination = a:24\n" + beside + "a:024\n")
                       .starts_with("f:3: inet:a:24 has"));
    CPPUNIT_ASSERT_EQUAL(std::string("no error"),
                         error_of("[destination.a]\n" + beside + "a:24, a:25\n"));
  }

  void severalDestinationLinesAddUp() {
    const std::string file =
        "[destination.x]\ndestination = a\nrecipient-limit = 7\ndestination = b\n";
    for (const char* destination : {"a", "b"}) {
      CPPUNIT_ASSERT_EQUAL(std::size_t{7}, only(file, {destination}).recipient_limit);
    }
  }

  void aSectionForAnotherPortIsANearMiss() {
    const std::string file = "[destination.x]\ndestination = a:25\ntls = verify\n";
    CPPUNIT_ASSERT_EQUAL(std::string("[destination.x] (f:1)"),
                         stores_of(file, {"a"}).at(0).near_miss);
    CPPUNIT_ASSERT_EQUAL(std::string("[destination.x] (f:1)"),
                         stores_of(file, {"a:25"}).at(0).section);
    for (const char* other : {"a:25", "b"}) {
      CPPUNIT_ASSERT_EQUAL(std::string(), stores_of(file, {other}).at(0).near_miss);
    }
  }

  void anEmptyValueUndoesTheValueAbove() {
    const std::string file = "auth-password-file = /p\n[destination.a]\nauth-password-file =\n";
    CPPUNIT_ASSERT(!only(file, {"a"}).auth.wanted());
    CPPUNIT_ASSERT(only(file, {"b"}).auth.wanted());
  }

  void errorsNameTheLineAlsoInUnusedSections() {
    const struct {
      const char* file;
      const char* error;
    } rows[] = {
        {"[destination.z]\ntls = verfy\n",
         "f:2: tls: \"verfy\": expected one of none, may, encrypt, verify, fingerprint"},
        {"[destination.z]\ntls-nam = x\n",
         "f:2: [destination.z]: unknown key tls-nam; did you mean tls-name?"},
        {"[destination.z]\nsomething-else = x\n",
         "f:2: [destination.z]: unknown key something-else; see lmtpq.conf(5)"},
        {"[destination.z]\nline-limit = 998\n",
         "f:2: line-limit: not allowed in a section [destination.NAME]; move it above the "
         "sections, "
         "or into [listener.NAME]"},
        {"[destination.z]\ndestination = unix:s\n",
         "f:2: destination: \"unix:s\": the path of a socket must begin with /; expected "
         "unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT] or smtp:HOST[:PORT]"},
        {"[destination.z]\ndestination =\n",
         "f:2: destination: \"\": expected DEST, or several with commas"},
        {"[destination.a]\n[destination.a]\n",
         "f:2: [destination.a] appears twice; it is also at f:1; rename one"},
        {"[destination.]\n", "f:1: expected [destination.NAME] of letters, digits and . _ -"},
        {"tls-ca-file = ca.pem\n",
         "f:1: tls-ca-file: \"ca.pem\": expected a path that begins with /"},
        {"[stores]\n",
         "f:1: unknown section [stores]; expected [destination.NAME] or [listener.NAME]"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.error), error_of(row.file));
    }
  }

  void protocolsAreARange() {
    const StoreSettings least = only("", {"--tls-protocols=tlsv1.3", "inet:a"});
    CPPUNIT_ASSERT_EQUAL(TLS1_3_VERSION, least.tls.least_version);
    CPPUNIT_ASSERT_EQUAL(0, least.tls.most_version);
    const StoreSettings range = only("", {"--tls-protocols=TLSv1-TLSv1.2", "inet:a"});
    CPPUNIT_ASSERT_EQUAL(TLS1_VERSION, range.tls.least_version);
    CPPUNIT_ASSERT_EQUAL(TLS1_2_VERSION, range.tls.most_version);
    for (const char* bad : {"SSLv3", "TLSv1.3-TLSv1.2", "TLSv1.2-", "1.2", ""}) {
      const std::string error = error_of("", {std::string("--tls-protocols=") + bad, "inet:a"});
      CPPUNIT_ASSERT_MESSAGE(error, error.find("expected ") != std::string::npos);
    }
  }

  void fingerprintsAreReadInEveryForm() {
    const std::string plain(64, 'a');
    std::string colons = "AA";
    for (int i = 1; i < 32; ++i) {
      colons += ":AA";
    }
    const StoreSettings s =
        only("", {"--tls=fingerprint",
                  "--tls-fingerprint=" + plain + ",sha256:" + colons + " " + colons, "inet:a"});
    CPPUNIT_ASSERT((s.tls.fingerprints == std::vector<std::string>{plain, plain, plain}));
    for (const std::string& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
                                   std::string("md5:00")}) {
      CPPUNIT_ASSERT(error_of("", {"--tls-fingerprint=" + bad, "inet:a"}).find("64 hex") !=
                     std::string::npos);
    }
  }

  void securityPropertiesAreFlags() {
    CPPUNIT_ASSERT_EQUAL(unsigned{SASL_SEC_NOPLAINTEXT | SASL_SEC_MUTUAL_AUTH},
                         only("", {"--auth-security=noplaintext,mutual", "inet:a"}).auth.security);
    CPPUNIT_ASSERT(error_of("", {"--auth-security=strong", "inet:a"}).find("noplaintext") !=
                   std::string::npos);
    const std::pair<const char*, unsigned> flags[] = {
        {"noplaintext", SASL_SEC_NOPLAINTEXT},        {"noactive", SASL_SEC_NOACTIVE},
        {"nodictionary", SASL_SEC_NODICTIONARY},      {"noanonymous", SASL_SEC_NOANONYMOUS},
        {"forwardsecrecy", SASL_SEC_FORWARD_SECRECY}, {"mutual", SASL_SEC_MUTUAL_AUTH}};
    for (const auto& [word, flag] : flags) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          word, flag, only("", {std::string("--auth-security=") + word, "inet:a"}).auth.security);
    }
    CPPUNIT_ASSERT_EQUAL(0U, only("", {"--auth-security=", "inet:a"}).auth.security);
    CPPUNIT_ASSERT((only("", {"--auth-mechanisms=scram-sha-256,PLAIN", "inet:a"}).auth.mechanisms ==
                    std::vector<std::string>{"SCRAM-SHA-256", "PLAIN"}));
    const std::string longest = "ABCDEFGHIJKLMNOPQR-_";  // RFC 4422 section 3.1
    CPPUNIT_ASSERT((only("", {"--auth-mechanisms=" + longest, "inet:a"}).auth.mechanisms ==
                    std::vector<std::string>{longest}));
    CPPUNIT_ASSERT(
        error_of("", {"--auth-mechanisms=" + longest + 'A', "inet:a"}).find("SASL mechanisms") !=
        std::string::npos);
    CPPUNIT_ASSERT(error_of("", {"--auth-mechanisms=A+B", "inet:a"}).find("SASL mechanisms") !=
                   std::string::npos);
  }

  void contradictingOptionsAreAnError() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("--tls: \"fingerprint\": inet:a has no tls-fingerprint; lmtpq probe prints it"),
        error_of("", {"--tls=fingerprint", "inet:a"}));
    CPPUNIT_ASSERT_EQUAL(
        std::string("--tls: \"verify\": unix:/s has no host name to verify; set tls-name"),
        error_of("", {"--tls=verify", "unix:/s"}));
    CPPUNIT_ASSERT_EQUAL(
        std::string("f:3: tls: \"verify\": unix:/s has no host name to verify; set tls-name"),
        error_of("[destination.a]\ndestination = unix:/s\ntls = verify\n", {"unix:/s"}));
    CPPUNIT_ASSERT_EQUAL(std::string("no error"),
                         error_of("", {"--tls=verify", "--tls-name=a", "unix:/s"}));
    CPPUNIT_ASSERT_EQUAL(
        std::string(
            "--tls-fingerprint: not used by inet:a with tls = verify; set tls = fingerprint"),
        error_of("", {"--tls=verify", "--tls-fingerprint=" + std::string(64, 'a'), "inet:a"}));
    CPPUNIT_ASSERT_EQUAL(std::string("no error"), error_of("", {"--tls=none", "inet:a"}));
    CPPUNIT_ASSERT(error_of("", {"--auth-user=mx:secret", "inet:a"}).find("secret") ==
                   std::string::npos);
    CPPUNIT_ASSERT(error_of("", {"--auth-user=mx:secret", "inet:a"}).find("without a colon") !=
                   std::string::npos);
    CPPUNIT_ASSERT_EQUAL(std::string("--tls-key: \"/k\": inet:a has no tls-cert; set it to the "
                                     "certificate of this key"),
                         error_of("", {"--tls-key=/k", "inet:a"}));
    CPPUNIT_ASSERT_EQUAL(std::string("--tls-wrapper: \"yes\": inet:a has tls = none; set tls to "
                                     "encrypt or higher, or tls-wrapper = no"),
                         error_of("", {"--tls-wrapper=yes", "--tls=none", "inet:a"}));
    CPPUNIT_ASSERT_EQUAL(
        std::string("f:1: tls-wrapper: \"yes\": unix:/s has tls = none; set tls to encrypt or "
                    "higher, or tls-wrapper = no"),
        error_of("tls-wrapper = yes\n[destination.a]\ndestination = unix:/s\ntls = none\n",
                 {"unix:/s"}));
  }

  void tcpPortIsThePortThatIsNotSaid() {
    const char* const file =
        "[destination.x]\ndestination = a:24\nrecipient-limit = 1\n"
        "[destination.y]\ndestination = a:2003\nrecipient-limit = 2\n"
        "[destination.z]\ndestination = b:lmtp\nrecipient-limit = 3\n";
    const std::vector<Store> stores =
        stores_of(file, {"--tcp-port=2003", "a", "a:24", "a:lmtp", "b", "smtp:a"});
    const int ports[] = {2003, 24, 2003, 2003, 25};
    const std::size_t limits[] = {2, 1, 2, 3, 1000};
    for (std::size_t i = 0; i < stores.size(); ++i) {
      const std::string& text = stores[i].destination.text;
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, ports[i], stores[i].destination.port_number());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, limits[i], stores[i].settings.recipient_limit);
    }
    const std::vector<Store> others = stores_of(file, {"a", "a:24", "a:lmtp", "b", "smtp:a"});
    const bool same[] = {false, true, false, false, true};
    for (std::size_t i = 0; i < stores.size(); ++i) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(stores[i].destination.text, same[i],
                                   same_store(stores[i], others[i]));
    }
    CPPUNIT_ASSERT(error_of("tcp-port = 2003\n[destination.x]\ndestination = a:lmtp\n"
                            "[destination.y]\ndestination = a:2003\n")
                       .find("has a section already") != std::string::npos);
    CPPUNIT_ASSERT(error_of("tcp-port = 0\n").starts_with("f:1: tcp-port: "));
    CPPUNIT_ASSERT(error_of("[destination.a]\ntcp-port = 2003\n").starts_with("f:2: "));
  }

  void aWrapperMakesTlsMandatory() {
    const Store store =
        std::move(stores_of("[destination.a]\ntls-wrapper = yes\n", {"a", "b"}).at(0));
    CPPUNIT_ASSERT(store.settings.tls.wrapper && store.wants_tls());
    CPPUNIT_ASSERT(store.settings.tls.level == TlsLevel::kEncrypt);
    const Store other =
        std::move(stores_of("[destination.a]\ntls-wrapper = yes\n", {"a", "b"}).at(1));
    CPPUNIT_ASSERT(!other.settings.tls.wrapper && other.settings.tls.level == TlsLevel::kMay);
    const Store verified =
        std::move(stores_of("", {"--tls-wrapper=yes", "--tls=verify", "a"}).at(0));
    CPPUNIT_ASSERT(verified.settings.tls.level == TlsLevel::kVerify);
    CPPUNIT_ASSERT(stores_of("", {"--tls-wrapper=yes", "unix:/s"}).at(0).wants_tls());
  }

  void aSectionForSmtpIsForSmtpOnly() {
    const char* const file =
        "[destination.mx]\nrecipient-limit = 1\n"
        "[destination.x]\ndestination = smtp:mx\nrecipient-limit = 2\n"
        "[destination.y]\ndestination = smtp:mx:587\nrecipient-limit = 3\n";
    const std::vector<Store> stores =
        stores_of(file, {"mx:24", "smtp:mx", "smtp:mx:587", "smtp:other", "inet:mx:587"});
    const std::size_t limits[] = {1, 2, 3, 1000, 1};
    for (std::size_t i = 0; i < stores.size(); ++i) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(stores[i].destination.text, limits[i],
                                   stores[i].settings.recipient_limit);
    }
    // Likely a typo: the admin wanted these settings for the host.
    const Store near = std::move(stores_of("[destination.mx]\ntls = verify\n", {"smtp:mx"}).at(0));
    CPPUNIT_ASSERT_EQUAL(std::string("[destination.mx] (f:1)"), near.near_miss);
  }

  void levelMayUsesNoTlsOverAUnixSocket() {
    CPPUNIT_ASSERT(!stores_of("", {"unix:/s"}).at(0).wants_tls());
    CPPUNIT_ASSERT(stores_of("", {"inet:a"}).at(0).wants_tls());
    CPPUNIT_ASSERT(stores_of("", {"--tls=encrypt", "unix:/s"}).at(0).wants_tls());
    CPPUNIT_ASSERT(!stores_of("", {"--tls=none", "inet:a"}).at(0).wants_tls());
  }

  // A connection of another one must not be used after a reload.
  void theSameStoreHasTheSameOptionsLoginAndKey() {
    const auto made = [](const std::string& file) {
      Store store = std::move(stores_of(file, {"inet:a"}).at(0));
      store.login = {"user", Secret("password")};
      store.settings.tls.key = Secret("key");
      return store;
    };
    const Store one = made("");
    CPPUNIT_ASSERT(same_store(one, made("")) && same_options(one, made("")));
    CPPUNIT_ASSERT(!same_options(one, made("rcpt-timeout = 7s\n")));
    CPPUNIT_ASSERT(!same_options(one, stores_of("", {"inet:b"}).at(0)));
    Store other = made("");
    other.login.user = "other";
    CPPUNIT_ASSERT(!same_store(one, other) && same_options(one, other));
    other = made("");
    other.login.password = Secret("other");
    CPPUNIT_ASSERT(!same_store(one, other) && same_options(one, other));
    other = made("");
    other.settings.tls.key = Secret("other");
    CPPUNIT_ASSERT(!same_store(one, other) && same_options(one, other));
  }

  void thePoolHasItsDefaults() {
    Settings settings;
    OptionReader options = option_reader(Command::kServe, settings);
    options.apply();
    const PoolSettings& pool = settings.store_defaults.pool;
    CPPUNIT_ASSERT(pool.connections == 20 && pool.uses == 1000 && pool.weight == 1);
    CPPUNIT_ASSERT(pool.lifetime == minutes(10) && pool.wait == minutes(5));
    CPPUNIT_ASSERT(pool.backoff == seconds(1) && pool.max_backoff == seconds(30));
    CPPUNIT_ASSERT_EQUAL(std::string("+"), pool.recipient_delimiter);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StoreSettingsTest);
