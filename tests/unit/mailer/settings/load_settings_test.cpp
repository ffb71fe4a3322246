#include "mailer/settings/load_settings.h"

#include <cppunit/extensions/HelperMacros.h>

#include "mailer/settings/secrets.h"
#include "tests/unit/mailer/settings/settings_file_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class LoadSettingsTest : public SettingsFileFixture {
  CPPUNIT_TEST_SUITE(LoadSettingsTest);
  CPPUNIT_TEST(listenersComeFromTheCommandLineAndFromSections);
  CPPUNIT_TEST(theCommandLineOverridesTheSectionAndTheSectionOverridesTheTop);
  CPPUNIT_TEST(anOverQuotaPolicyIsTheListenersBeforeTheStores);
  CPPUNIT_TEST(aListenerSectionSetsListenerOptionsOnly);
  CPPUNIT_TEST(errorsNameFileAndLine);
  CPPUNIT_TEST(twoListenersWithTheSameAddressAreAnError);
  CPPUNIT_TEST(operandsAreForListenersWithoutADestination);
  CPPUNIT_TEST(aListenerWithoutADestinationIsAnError);
  CPPUNIT_TEST(tcpPortIsForDestinationsOnly);
  CPPUNIT_TEST(aStoreOfARouteHasItsSectionAndPassword);
  CPPUNIT_TEST(aStoreOfARouteWithBadSettingsIsAnError);
  CPPUNIT_TEST(secretsAreReadForEachListener);
  CPPUNIT_TEST(aUserOrKeyFileThatIsMissingIsReportedWithItsLine);
  CPPUNIT_TEST(statusNeedsNoDestination);
  CPPUNIT_TEST(aSectionForAnotherPortIsLoggedWithEffectAndRemedy);
  CPPUNIT_TEST(otherCommandsAcceptTheDaemonsKeysInTheFileOnly);
  CPPUNIT_TEST_SUITE_END();

  std::string error_of(std::string_view file, const Words& arguments = {}) const {
    return complaint([&] { daemon(file, arguments); });
  }

  // "name address > destination destination", of each listener.
  static Words doors(const DaemonSettings& settings) {
    Words made;
    for (const ListenerSettings& listener : settings.listeners) {
      std::string line = listener.name + ' ' + listener.address.text + " >";
      for (const Store& store : listener.settings.stores) {
        line += ' ' + store.destination.text;
      }
      made.push_back(line);
    }
    return made;
  }

  static void check(const Words& expected, const DaemonSettings& settings) {
    const Words actual = doors(settings);
    CPPUNIT_ASSERT_EQUAL(expected.size(), actual.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CPPUNIT_ASSERT_EQUAL(expected[i], actual[i]);
    }
  }

  void listenersComeFromTheCommandLineAndFromSections() {
    check({" unix:/l > unix:/s", " inet:127.0.0.1:2003 > unix:/s"},
          daemon("", {"--listen=unix:/l,inet:127.0.0.1:2003", "unix:/s"}));
    check({" unix:/l > unix:/s", "a unix:/a > unix:/s", "b unix:/b > unix:/t unix:/u",
           "b inet:[::1]:24 > unix:/t unix:/u", "b unix:/c > unix:/t unix:/u"},
          daemon("listen = unix:/l\ndestination = unix:/s\n"
                 "[listener.a]\naddress = unix:/a\n"
                 "[listener.b]\naddress = unix:/b, inet:[::1]:24\naddress = unix:/c\n"
                 "destination = unix:/t, unix:/u\n"));
    check({}, daemon("destination = unix:/s\n"));
  }

  void theCommandLineOverridesTheSectionAndTheSectionOverridesTheTop() {
    const DaemonSettings made = daemon(
        "destination = unix:/s\nmax-rcpts = 5\nline-limit = 1500\nignore-quota = never\n"
        "[listener.a]\naddress = unix:/a\nline-limit = 1600\nnul = strip\nignore-quota = always\n"
        "[listener.b]\naddress = unix:/b\n",
        {"--ignore-quota=tagged"});
    const Settings& a = made.listeners.at(0).settings;
    const Settings& b = made.listeners.at(1).settings;
    CPPUNIT_ASSERT(a.ignore_quota == IgnoreQuota::kTagged);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1600}, a.line_limit);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1500}, b.line_limit);
    CPPUNIT_ASSERT(a.nul == NulPolicy::kStrip && b.nul == NulPolicy::kPass);
    CPPUNIT_ASSERT_EQUAL(std::size_t{5}, a.max_rcpts);
  }

  // Whatever the store's section says, a listener's is about this kind of mail.
  void anOverQuotaPolicyIsTheListenersBeforeTheStores() {
    const std::string file =
        "over-quota = defer\ndestination = inet:a:24, inet:b:24\n"
        "[destination.a]\nover-quota = refuse\n"
        "[listener.x]\naddress = unix:/x\nover-quota = defer:3d\n"
        "[listener.y]\naddress = unix:/y\n";
    const auto told = [](const Settings& s) {
      std::string made = s.over_quota ? s.over_quota->text() : "-";
      for (const Store& store : s.stores) {
        made += ' ' + store.settings.over_quota.text();
      }
      return made;
    };
    const DaemonSettings made = daemon(file);
    CPPUNIT_ASSERT_EQUAL(std::string("defer:3d refuse defer"), told(made.listeners[0].settings));
    CPPUNIT_ASSERT_EQUAL(std::string("- refuse defer"), told(made.listeners[1].settings));
    const DaemonSettings overruled = daemon(file, {"--over-quota=store"});
    CPPUNIT_ASSERT_EQUAL(std::string("store store store"), told(overruled.listeners[0].settings));
    CPPUNIT_ASSERT_EQUAL(std::string("- store store"), told(overruled.listeners[1].settings));
  }

  void aListenerSectionSetsListenerOptionsOnly() {
    const DaemonSettings made = daemon(
        "destination = unix:/s\nspool-dir = /spool\n"
        "[listener.a]\naddress = unix:/a\nlisten-mode = 0600\nlisten-owner = root:root\n"
        "clients = uid:5\ntrusted-clients = uid:6\noffer-pipelining = yes\nignore-quota = always\n"
        "tag-keys = none\ntrace = off\nmax-message-size = 1M\nmax-rcpts = 7\nutf8-headers = "
        "refuse\n"
        "[listener.b]\naddress = unix:/b\n");
    const Settings& a = made.listeners.at(0).settings;
    const Settings& b = made.listeners.at(1).settings;
    CPPUNIT_ASSERT_EQUAL(mode_t{0600}, a.serve.listener.mode);
    CPPUNIT_ASSERT_EQUAL(std::string("root:root"), a.serve.listener.owner);
    CPPUNIT_ASSERT(a.serve.listener.clients.contains({std::nullopt, 5}));
    CPPUNIT_ASSERT(!a.serve.listener.clients.contains({std::nullopt, 6}));
    CPPUNIT_ASSERT(a.serve.listener.trusted.contains({std::nullopt, 6}));
    CPPUNIT_ASSERT(a.serve.listener.offers_pipelining.value());
    CPPUNIT_ASSERT(a.ignore_quota == IgnoreQuota::kAlways);
    CPPUNIT_ASSERT_EQUAL(std::string("none"), a.tag_keys);
    CPPUNIT_ASSERT(a.trace == TraceSource::kOff);
    CPPUNIT_ASSERT(a.utf8_headers == Utf8Headers::kRefuse);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1} << 20, a.max_message_size.value());
    CPPUNIT_ASSERT_EQUAL(std::size_t{7}, a.max_rcpts);
    CPPUNIT_ASSERT_EQUAL(std::string("/spool"), a.spool_dir);
    CPPUNIT_ASSERT_EQUAL(mode_t{0660}, b.serve.listener.mode);
    CPPUNIT_ASSERT(b.serve.listener.clients.empty() && b.serve.listener.trusted.empty());
    CPPUNIT_ASSERT(!b.serve.listener.offers_pipelining);
    CPPUNIT_ASSERT(b.ignore_quota == IgnoreQuota::kTagged);
    CPPUNIT_ASSERT(!b.max_message_size);
    CPPUNIT_ASSERT_EQUAL(std::string("/spool"), b.spool_dir);
  }

  void errorsNameFileAndLine() {
    const std::string head = "destination = unix:/s\n[listener.a]\n";
    const struct {
      std::string file;
      const char* error;
    } rows[] = {
        {head + "adress = unix:/a\n",
         "FILE:3: [listener.a]: unknown key adress; did you mean address?"},
        {"adress = unix:/a\n",
         "FILE:1: unknown option adress; did you mean address in a section [listener.NAME]?"},
        {"address = unix:/a\n", "FILE:1: address: allowed in a section [listener.NAME] only"},
        {head + "address = unix:/a\nconnections = 2\n",
         "FILE:4: connections: not allowed in a section [listener.NAME]; move it above the "
         "sections, "
         "or into [destination.NAME]"},
        {"memory-limit = 1000K\n" + head + "address = unix:/a\n",
         "FILE:1: memory-limit: \"1000K\": expected 1M at least"},
        {"user = no-such-user\nmax-clients = many\n" + head + "address = unix:/a\n",
         "FILE:2: max-clients: \"many\": expected a number from 1 to 1000000"},
        {"mta-timeout = 5m\n" + head + "address = unix:/a\n",
         "FILE:1: mta-timeout: \"5m\": must be longer than data-done-timeout (10m) by 30s, or by a "
         "tenth of mta-timeout if that is less; raise mta-timeout, or lower data-done-timeout"},
        {"data-done-timeout = 90m\n" + head + "address = unix:/a\n",
         "FILE:1: data-done-timeout: \"90m\": must be shorter than mta-timeout (1h) by 30s, or by "
         "a "
         "tenth of mta-timeout if that is less; raise mta-timeout, or lower data-done-timeout"},
        {head + "address = /a\n", "FILE:3: address: \"/a\": did you mean unix:/a?"},
        {head,
         "FILE:2: [listener.a]: no address; expected address = unix:PATH or "
         "inet:HOST[:PORT]"},
        {head + "address = unix:/a\naddress = unix:\n", "FILE:4: address: "},
        {head + "address = unix:/a\nignore-quota = sometimes\n",
         "FILE:4: ignore-quota: \"sometimes\": expected one of always, tagged, retry, never"},
        {head + "address = unix:/a\nlisten-mode = rw\n",
         "FILE:4: listen-mode: \"rw\": expected a mode such as 0660"},
        {head + "address = unix:/a\nclients = localhost\n",
         "FILE:4: clients: \"localhost\": expected addresses"},
        {head + "address = unix:/a\nspool-dir = /tmp\n",
         "FILE:4: spool-dir: not allowed in a section [listener.NAME]"},
        {head + "address = unix:/a\nthreads = 2\n",
         "FILE:4: threads: not allowed in a section [listener.NAME]"},
        {head + "address = unix:/a\ntls = none\n",
         "FILE:4: tls: not allowed in a section [listener.NAME]"},
        {head + "address = unix:/a\nadress = unix:/b\n",
         "FILE:4: [listener.a]: unknown key adress; did you mean address?"},
        {"[listener.a]\naddress = unix:/a\ndestination =\n",
         "FILE:1: [listener.a]: no destination; expected unix:PATH, inet:HOST[:PORT] or "
         "smtp:HOST[:PORT]"},
        {head + "address = unix:/a\n[listener.a]\naddress = unix:/b\n", "FILE:4: "},
        {head + "address = unix:/a\n[destination.x]\ntls = perhaps\n",
         "FILE:5: tls: \"perhaps\": expected"},
    };
    for (const auto& row : rows) {
      const std::string error = error_of(row.file);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.file + error, std::string(row.error),
                                   error.substr(0, std::string(row.error).size()));
    }
  }

  void twoListenersWithTheSameAddressAreAnError() {
    const std::string words = ": unix:/a is already the address of ";
    CPPUNIT_ASSERT_EQUAL("--listen" + words + "--listen; remove one",
                         error_of("", {"--listen=unix:/a,unix:/a", "unix:/s"}));
    CPPUNIT_ASSERT_EQUAL(
        "FILE:3: [listener.a]" + words + "listen (FILE:1); remove one",
        error_of("listen = unix:/a\n[listener.a]\naddress = unix:/a\n", {"unix:/s"}));
    CPPUNIT_ASSERT_EQUAL("FILE:4: [listener.b]" + words + "[listener.a] (FILE:2); remove one",
                         error_of("[listener.a]\naddress = unix:/a\n"
                                  "[listener.b]\naddress = unix:/b, unix:/a\n",
                                  {"unix:/s"}));
  }

  void operandsAreForListenersWithoutADestination() {
    check({" unix:/l > unix:/o unix:/p", "a unix:/a > unix:/own", "b unix:/b > unix:/o unix:/p"},
          daemon("destination = unix:/top\n"
                 "[listener.a]\naddress = unix:/a\ndestination = unix:/own\n"
                 "[listener.b]\naddress = unix:/b\n",
                 {"--listen=unix:/l", "unix:/o", "unix:/p"}));
  }

  void aListenerWithoutADestinationIsAnError() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("no destination; expected unix:PATH, inet:HOST[:PORT] or smtp:HOST[:PORT]"),
        error_of("", {"--listen=unix:/l"}));
  }

  void tcpPortIsForDestinationsOnly() {
    const DaemonSettings made = daemon("tcp-port = 2003\n", {"--listen=inet:127.0.0.1", "inet:a"});
    CPPUNIT_ASSERT_EQUAL(24, made.listeners.at(0).address.port_number());
    CPPUNIT_ASSERT_EQUAL(2003,
                         made.listeners.at(0).settings.stores.at(0).destination.port_number());
    CPPUNIT_ASSERT_EQUAL(
        2003, made.store_for(parse_destination("inet:routed")).destination.port_number());
  }

  static Store routed(const DaemonSettings& settings, const char* destination) {
    Store made = settings.store_for(parse_destination(destination));
    read_secrets(made, geteuid());
    return made;
  }

  void aStoreOfARouteHasItsSectionAndPassword() {
    const std::string passwords = folder_ + "/passwords";
    std::ofstream(passwords) << "inet:imap7.example.net  lmtp:secret\n";
    CPPUNIT_ASSERT_EQUAL(0, chmod(passwords.c_str(), 0600));
    const DaemonSettings made = daemon(
        "destination = unix:/s\nrcpt-timeout = 7s\nconnections = 9\n"
        "[destination.imap7.example.net]\ntls = encrypt\nconnections = 3\n"
        "auth-password-file = " +
        passwords + "\n");
    const Store store = routed(made, "inet:imap7.example.net:24");
    CPPUNIT_ASSERT_EQUAL(std::string("inet:imap7.example.net:24"), store.destination.text);
    CPPUNIT_ASSERT(store.settings.tls.level == TlsLevel::kEncrypt);
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, store.settings.pool.connections);
    CPPUNIT_ASSERT(store.settings.timeouts.rcpt == std::chrono::seconds(7));
    CPPUNIT_ASSERT_EQUAL(std::string("lmtp"), store.login.user);
    CPPUNIT_ASSERT_EQUAL(std::string("secret"), std::string(store.login.password.text()));
    const Store other = routed(made, "inet:imap8.example.net");
    CPPUNIT_ASSERT(other.settings.tls.level == TlsLevel::kMay);
    CPPUNIT_ASSERT_EQUAL(std::size_t{9}, other.settings.pool.connections);
    CPPUNIT_ASSERT(other.login.password.empty());
    CPPUNIT_ASSERT(same_store(store, routed(made, "inet:imap7.example.net:24")));
  }

  void aStoreOfARouteWithBadSettingsIsAnError() {
    const DaemonSettings made = daemon(
        "destination = unix:/s\n[destination.a]\ntls = verify\ndestination = unix:/a\n"
        "[destination.b]\nauth-password-file = " +
        folder_ + "/none\n");
    CPPUNIT_ASSERT_EQUAL(std::string("FILE:3: tls: \"verify\": unix:/a has no host name to verify; "
                                     "set tls-name"),
                         complaint([&] { made.store_for(parse_destination("unix:/a")); }));
    CPPUNIT_ASSERT_EQUAL(
        "FILE:6: auth-password-file: " + folder_ +
            "/none: No such file or directory; create it (mode 600), or correct the name",
        complaint([&] { routed(made, "inet:b"); }));
  }

  void secretsAreReadForEachListener() {
    const std::string passwords = folder_ + "/passwords";
    std::ofstream(passwords) << "unix:/s  one:first\nunix:/t  two:second\n";
    CPPUNIT_ASSERT_EQUAL(0, chmod(passwords.c_str(), 0600));
    DaemonSettings made = daemon("tag-keys = none\nauth-password-file = " + passwords +
                                     "\n[listener.a]\naddress = unix:/a\n"
                                     "[listener.b]\naddress = unix:/b\ndestination = unix:/t\n",
                                 {"unix:/s"});
    read_secrets(made);
    const auto login = [&](std::size_t listener) {
      const Login& found = made.listeners.at(listener).settings.stores.at(0).login;
      return found.user + ':' + std::string(found.password.text());
    };
    CPPUNIT_ASSERT_EQUAL(std::string("one:first"), login(0));
    CPPUNIT_ASSERT_EQUAL(std::string("two:second"), login(1));
  }

  void aSectionForAnotherPortIsLoggedWithEffectAndRemedy() {
    const DaemonSettings made = daemon(
        "tls = may\ndestination = a\n[listener.x]\naddress = unix:/x\n"
        "[destination.y]\ndestination = a:25\ntls = verify\n");
    const std::string path = folder_ + "/log";
    warn_of_sections(made.listeners.at(0).settings, Log("test", path, LogLevel::kInfo));
    std::string line;
    std::getline(std::ifstream(path), line);
    const std::string wanted =
        " tls-level=may effect=\"the options above the sections apply\""
        " remedy=\"correct the destination or the name of the section\"";
    CPPUNIT_ASSERT_MESSAGE(line, line.ends_with(wanted));
  }

  void aUserOrKeyFileThatIsMissingIsReportedWithItsLine() {
    const std::string head = "destination = unix:/s\nlisten = unix:/l\n";
    const auto read = [&](const std::string& line) {
      DaemonSettings made = daemon(head + line);
      return complaint([&] { read_secrets(made); });
    };
    CPPUNIT_ASSERT_EQUAL(std::string("FILE:3: user: \"no-such-user\": no such user on this system; "
                                     "create it, or correct the name"),
                         read("user = no-such-user\n"));
    CPPUNIT_ASSERT_EQUAL("FILE:3: tag-keys: " + folder_ +
                             "/none: No such file or directory; create it (mode 600), or correct "
                             "the name",
                         read("tag-keys = " + folder_ + "/none\n"));
  }

  void statusNeedsNoDestination() {
    const DaemonSettings made = daemon("listen = unix:/l\ncontrol = /c\n", {"--status"});
    CPPUNIT_ASSERT(made.process.serve.status);
    CPPUNIT_ASSERT_EQUAL(std::string("/c"), made.process.serve.control);
    CPPUNIT_ASSERT(made.listeners.empty());
  }

  void otherCommandsAcceptTheDaemonsKeysInTheFileOnly() {
    write(
        "listen = unix:/l\nthreads = 2\nlisten-mode = 0600\nclients = all\nconnections = 9\n"
        "mailbox-limit = 4\nroute-file = /nowhere\nmetrics = 127.0.0.1:9024\n"
        "destination = unix:/s\n"
        "[listener.a]\naddress = unix:/a\n[destination.s]\ndestination = unix:/s\nweight = 3\n");
    const std::string config = "--config=" + file_;
    Settings relay;
    CPPUNIT_ASSERT(load_settings(Command::kRelay, {config}, relay).empty());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, relay.stores.size());
    for (const char* const option :
         {"--listen=unix:/l", "--threads=2", "--listen-mode=0600", "--clients=all",
          "--connections=9", "--mailbox-limit=4", "--route-file=/r", "--status", "--weight=3"}) {
      Settings settings;
      const std::string name = std::string(option).substr(0, std::string(option).find('='));
      const std::string error = complaint([&] {
        load_settings(Command::kRelay, {config, option}, settings);
      });
      CPPUNIT_ASSERT_EQUAL(name + " is an option of serve only", error);
    }
    write("destination = unix:/s\nthreadz = 2\n");
    CPPUNIT_ASSERT(complaint([&] {
                     Settings settings;
                     load_settings(Command::kRelay, {config}, settings);
                   }).starts_with("FILE:2: unknown option threadz"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LoadSettingsTest);
