#include "milter/load_configuration.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

using namespace lmtpq;
using namespace lmtpq::milter;

namespace {

constexpr const char* kKey = "k1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";

// A directory with a configuration and a key file in it.
class Scratch {
 public:
  Scratch() {
    char path[] = "/tmp/lmtpq-milter-settings-XXXXXX";
    CPPUNIT_ASSERT(mkdtemp(path) != nullptr);
    folder_ = path;
    write("keys", kKey);
    chmod(path_of("keys").c_str(), 0600);
  }
  ~Scratch() {
    for (const char* name : {"conf", "keys"}) {
      unlink(path_of(name).c_str());
    }
    rmdir(folder_.c_str());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path_of(const std::string& name) const { return folder_ + '/' + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_of(name)) << text;
  }

  // `text` comes after the line that names the keys.
  LoadedConfiguration load(const std::string& text, std::vector<std::string> more = {}) const {
    write("conf", "tag-keys = " + path_of("keys") + '\n' + text);
    more.push_back("--config=" + path_of("conf"));
    return lmtpq::milter::load_configuration(more);
  }

  // Without the directory's name.
  std::string error_of(const std::string& text, const std::vector<std::string>& more = {}) const {
    try {
      load(text, more);
    } catch (const ConfigError& error) {
      std::string what = error.what();
      for (std::size_t at = what.find(folder_); at != std::string::npos; at = what.find(folder_)) {
        what.replace(at, folder_.size(), "DIR");
      }
      return what;
    }
    return {};
  }

 private:
  std::string folder_;
};

}  // namespace

class LoadConfigurationTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LoadConfigurationTest);
  CPPUNIT_TEST(defaultsAreThoseOfTheManPage);
  CPPUNIT_TEST(everyOptionSetsItsMember);
  CPPUNIT_TEST(rulesKeepTheirOrder);
  CPPUNIT_TEST(errorsHaveThePlaceAndWhatWasExpected);
  CPPUNIT_TEST(socketsAreWrittenAsInSendmail);
  CPPUNIT_TEST(theFileMustExist);
  CPPUNIT_TEST(aKeyFileThatIsNamedMustBeValid);
  CPPUNIT_TEST(explainContinuesWithoutKeys);
  CPPUNIT_TEST(commandLineOptionsAreRefusedInTheFile);
  CPPUNIT_TEST(theCommandLineOverridesTheFile);
  CPPUNIT_TEST(operandsAreRefused);
  CPPUNIT_TEST(everyOptionHasHelpAndAUniqueName);
  CPPUNIT_TEST_SUITE_END();

  void defaultsAreThoseOfTheManPage() {
    const LoadedConfiguration loaded = Scratch().load("");
    const Settings& s = loaded.settings;
    CPPUNIT_ASSERT(s.task == Task::kServe);
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/run/lmtpq/milter.sock"), s.socket);
    CPPUNIT_ASSERT(s.user.empty() && s.pid_file.empty() && !s.foreground);
    CPPUNIT_ASSERT_EQUAL(std::string("syslog"), s.log);
    CPPUNIT_ASSERT(s.log_level == LogLevel::kInfo);
    CPPUNIT_ASSERT((s.tag_mailers == std::vector<std::string>{"cyrusv2", "cyrusv2q"}));
    CPPUNIT_ASSERT(s.trace_fields.empty() && s.trusted_clients.networks.empty() &&
                   !s.trusted_clients.local);
    const Configuration& c = *loaded.configuration;
    CPPUNIT_ASSERT(c.tag_lifetime == std::chrono::hours(7 * 24));
    CPPUNIT_ASSERT(c.bind_queue_id);
    CPPUNIT_ASSERT(c.failure == FailureAction::kAccept);
    CPPUNIT_ASSERT(c.policy.rules().empty());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, c.keys.keys().size());
  }

  void everyOptionSetsItsMember() {
    const LoadedConfiguration loaded = Scratch().load(
        "socket = inet:1234@127.0.0.1\nuser = nobody\npid-file = /run/p\nlog = /l\n"
        "log-level = debug\ntag-mailers = a, b\ntag-lifetime = 2h\nbind-queue-id = no\n"
        "accept-trace-from = X-Trace traceparent\ntrusted-clients = 192.0.2.0/24, local\n"
        "failure = tempfail\n",
        {"--foreground", "--client=192.0.2.1", "--from=a@b", "--rcpt=c@d,e@f", "--auth=u",
         "--tls-subject=/CN=x y", "--queue-id=Q1"});
    const Settings& s = loaded.settings;
    CPPUNIT_ASSERT_EQUAL(std::string("inet:1234@127.0.0.1"), s.socket);
    CPPUNIT_ASSERT_EQUAL(std::string("nobody"), s.user);
    CPPUNIT_ASSERT_EQUAL(std::string("/run/p"), s.pid_file);
    CPPUNIT_ASSERT_EQUAL(std::string("/l"), s.log);
    CPPUNIT_ASSERT(s.log_level == LogLevel::kDebug);
    CPPUNIT_ASSERT(s.foreground);
    CPPUNIT_ASSERT((s.tag_mailers == std::vector<std::string>{"a", "b"}));
    CPPUNIT_ASSERT(s.trusted_clients.local);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, s.trusted_clients.networks.size());
    CPPUNIT_ASSERT_EQUAL(std::string("192.0.2.1"), s.client);
    CPPUNIT_ASSERT_EQUAL(std::string("a@b"), s.sender);
    CPPUNIT_ASSERT_EQUAL(std::string("c@d,e@f"), s.recipients);
    CPPUNIT_ASSERT_EQUAL(std::string("u"), s.auth);
    CPPUNIT_ASSERT_EQUAL(std::string("/CN=x y"), s.tls_subject);
    CPPUNIT_ASSERT_EQUAL(std::string("Q1"), s.queue_id);
    const Configuration& c = *loaded.configuration;
    CPPUNIT_ASSERT((c.trace.field_names() == std::vector<std::string>{"X-Trace", "traceparent"}));
    CPPUNIT_ASSERT(c.tag_lifetime == std::chrono::hours(2));
    CPPUNIT_ASSERT(!c.bind_queue_id);
    CPPUNIT_ASSERT(c.failure == FailureAction::kTempfail);
    CPPUNIT_ASSERT(c.policy.reads_tags({"", "", "b"}) && !c.policy.reads_tags({"", "", "cyrusv2"}));
    CPPUNIT_ASSERT(Scratch().load("", {"--check"}).settings.task == Task::kCheck);
  }

  void rulesKeepTheirOrder() {
    const LoadedConfiguration loaded = Scratch().load(
        "[rule.z]\nfrom = a@b\nquota = honour\n[rule.a]\nclient = local\nquota = ignore\n");
    const std::vector<Rule>& rules = loaded.configuration->policy.rules();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, rules.size());
    CPPUNIT_ASSERT_EQUAL(std::string("z"), rules[0].name);
    CPPUNIT_ASSERT_EQUAL(std::string("a"), rules[1].name);
  }

  void errorsHaveThePlaceAndWhatWasExpected() {
    const struct {
      const char* line;
      const char* error;
    } cases[] = {
        {"socket = /run/x",
         "DIR/conf:2: socket: \"/run/x\": expected unix:PATH, inet:PORT@HOST or "
         "inet6:PORT@HOST"},
        {"pid-file = p", "DIR/conf:2: pid-file: \"p\": expected a path that begins with /"},
        {"failure = reject", "DIR/conf:2: failure: \"reject\": expected one of accept, tempfail"},
        {"log = file", "expected syslog, stderr or a path that begins with /"},
        {"log-level = loud", "expected error, warning, info or debug"},
        {"tag-mailers = ,", "expected at least one name"},
        {"tag-lifetime = 0", "expected 1s or more"},
        {"tag-lifetime = 999ms", "expected 1s or more"},
        {"tag-lifetime = 5201w", "5200w at most"},
        {"bind-queue-id = maybe", "expected yes or no"},
        {"accept-trace-from = X-Trace:", "expected names of header fields, without colons"},
        {"accept-trace-from = X-Tr\xc3\xa4", "expected names of header fields, without colons"},
        {"trusted-clients = local 192.0.2.1/24", ": \"192.0.2.1/24\": expected addresses"},
        {"user = no-such-user",
         "DIR/conf:2: user: \"no-such-user\": no such user on this system; create it, or correct "
         "the name"},
        {"trusted-clients = here", "expected addresses, networks such as 192.0.2.0/24, or local"},
        {"tag-key = /x", "DIR/conf:2: unknown option tag-key; did you mean tag-keys?"},
        {"[rules]", "DIR/conf:2: unknown section [rules]"},
        {"[rule.a]\nfrom = a", "DIR/conf:2: [rule.a] has no quota"},
        {"[rule.a]\nfroom = a", "DIR/conf:3: [rule.a]: unknown key froom; did you mean from?"},
        {"[rule.a]\ntag-keys = /x",
         "DIR/conf:3: tag-keys: not allowed in a section [rule.NAME]; move it above the sections"},
    };
    for (const auto& one : cases) {
      const std::string got = Scratch().error_of(one.line);
      CPPUNIT_ASSERT_MESSAGE(std::string(one.line) + ": " + got,
                             got.find(one.error) != std::string::npos);
    }
  }

  void socketsAreWrittenAsInSendmail() {
    const struct {
      std::string given;
      std::string read;  // empty: refused
    } cases[] = {{"unix:/run/a", "unix:/run/a"},
                 {"local:/run/a", "unix:/run/a"},
                 {"inet:8891@localhost", "inet:8891@localhost"},
                 {"inet:8891@[127.0.0.1]", "inet:8891@127.0.0.1"},
                 {"inet6:8891@::1", "inet6:8891@[::1]"},
                 {"inet6:8891@[::1]", "inet6:8891@[::1]"},
                 {"unix:" + std::string("/").append(106, 'a'), "same"},
                 {"unix:" + std::string("/").append(107, 'a'), ""},
                 {"unix:run/a", ""},
                 {"unix:/run/", ""},
                 {"unix:", ""},
                 {"inet:8891", ""},
                 {"inet:8891@", ""},
                 {"inet:@localhost", ""},
                 {"inet:0@localhost", ""},
                 {"inet:65536@localhost", ""},
                 {"inet:999999999999999999999@localhost", ""},
                 {"inet:+1@localhost", ""},
                 {"tcp:1@localhost", ""},
                 {"", ""}};
    for (const auto& one : cases) {
      const Scratch scratch;
      if (one.read.empty()) {
        const std::string got = scratch.error_of("", {"--socket=" + one.given});
        CPPUNIT_ASSERT_MESSAGE(one.given + ": " + got, got.starts_with("--socket: "));
      } else {
        CPPUNIT_ASSERT_EQUAL(one.read == "same" ? one.given : one.read,
                             scratch.load("", {"--socket=" + one.given}).settings.socket);
      }
    }
  }

  void theFileMustExist() {
    try {
      load_configuration({"--config=/nowhere/milter.conf"});
      CPPUNIT_FAIL("it was read");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(
          std::string("/nowhere/milter.conf: No such file or directory; create it, or "
                      "name another by --config"),
          std::string(error.what()));
    }
  }

  void aKeyFileThatIsNamedMustBeValid() {
    const Scratch scratch;
    chmod(scratch.path_of("keys").c_str(), 0644);
    CPPUNIT_ASSERT_EQUAL(std::string("DIR/conf:1: tag-keys: DIR/keys: others may read or write the "
                                     "keys; chmod 600 DIR/keys"),
                         scratch.error_of(""));
    chmod(scratch.path_of("keys").c_str(), 0600);
    scratch.write("keys", "# none\n");
    CPPUNIT_ASSERT_EQUAL(
        std::string("DIR/conf:1: tag-keys: DIR/keys: contains no key; make one with lmtpq keygen"),
        scratch.error_of(""));
    unlink(scratch.path_of("keys").c_str());
    CPPUNIT_ASSERT_EQUAL(std::string("DIR/conf:1: tag-keys: DIR/keys: No such file or directory; "
                                     "create it (mode 600), or correct the name"),
                         scratch.error_of(""));
  }

  void explainContinuesWithoutKeys() {
    const Scratch scratch;
    unlink(scratch.path_of("keys").c_str());
    const LoadedConfiguration loaded = scratch.load("", {"--explain"});
    CPPUNIT_ASSERT(loaded.settings.task == Task::kExplain);
    CPPUNIT_ASSERT(loaded.configuration->keys.empty());
    CPPUNIT_ASSERT(loaded.keys_error.ends_with("or correct the name"));
  }

  void commandLineOptionsAreRefusedInTheFile() {
    for (const char* name : {"config", "foreground", "check", "explain", "queue-id"}) {
      CPPUNIT_ASSERT_EQUAL(
          "DIR/conf:2: " + std::string(name) + ": allowed on the command line only",
          Scratch().error_of(std::string(name) + " = yes\n"));
    }
    for (const char* name : {"client", "from", "rcpt", "auth", "tls-subject"}) {
      CPPUNIT_ASSERT_EQUAL("DIR/conf:2: " + std::string(name) +
                               ": allowed on the command line or in a section [rule.NAME] only",
                           Scratch().error_of(std::string(name) + " = yes\n"));
    }
  }

  void theCommandLineOverridesTheFile() {
    const LoadedConfiguration loaded =
        Scratch().load("tag-lifetime = 1h\nlog = stderr\n", {"--tag-lifetime=2h"});
    CPPUNIT_ASSERT(loaded.configuration->tag_lifetime == std::chrono::hours(2));
    CPPUNIT_ASSERT_EQUAL(std::string("stderr"), loaded.settings.log);
  }

  void operandsAreRefused() {
    CPPUNIT_ASSERT_EQUAL(std::string("unexpected argument relay; only options are allowed"),
                         Scratch().error_of("", {"relay"}));
  }

  void everyOptionHasHelpAndAUniqueName() {
    Settings settings;
    std::set<std::string> names;
    for (const Option& option : option_table(settings)) {
      CPPUNIT_ASSERT_MESSAGE("twice: " + option.name, names.insert(option.name).second);
      CPPUNIT_ASSERT_MESSAGE(option.name, !option.help.empty() && !option.help.ends_with('.'));
      CPPUNIT_ASSERT(help(HelpWish::kAll).find("--" + option.name) != std::string::npos);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LoadConfigurationTest);
