#include "milter/configuration_log.h"

#include <algorithm>

#include "tests/unit/milter/message_scene.h"

using namespace lmtpq;
using namespace lmtpq::milter;

namespace {

constexpr const char* kRules =
    "[rule.a]\nclient = 192.0.2.1\nquota = ignore\n[rule.open]\nfrom = x@y\nquota = ignore\n";
constexpr const char* kTwoKeys =
    "k1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"
    "k2 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";

Configuration with_keys(const std::string& rules, const char* keys) {
  Configuration made = configuration_of(rules);
  made.keys = *keys == '\0' ? Keyring() : parse_keys(keys, "test");
  return made;
}

LoadedConfiguration loaded(const std::string& rules, const char* keys) {
  LoadedConfiguration made;
  made.settings.socket = "unix:/s";
  made.effective = {{"socket", "unix:/s"}, {"user", "mail"}};
  made.configuration = shared(with_keys(rules, keys));
  return made;
}

}  // namespace

class ConfigurationLogTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ConfigurationLogTest);
  CPPUNIT_TEST(atTheStartEachOptionAndRuleIsLogged);
  CPPUNIT_TEST(withoutRulesAndKeysTheStartWarns);
  CPPUNIT_TEST(aReloadNamesWhatItHasLost);
  CPPUNIT_TEST(aReloadCountsRulesAndKeys);
  CPPUNIT_TEST(whatNeedsARestartIsNamed);
  CPPUNIT_TEST(aSocketThatOtherHostsReachIsAWarning);
  CPPUNIT_TEST(filesThatCannotBeReadAgainAreAWarning);
  CPPUNIT_TEST(aReloadThatFailsIsAnError);
  CPPUNIT_TEST_SUITE_END();

  // What a call writes, from `event=` or `level=` on.
  template <typename Call>
  static std::string lines(Call call) {
    const Bench bench(nullptr);
    call(bench.state.log());
    std::istringstream in(bench.log());
    std::string all;
    for (std::string line; std::getline(in, line);) {
      all += line.substr(std::min(line.find("level="), line.find("event="))) + '\n';
    }
    return all;
  }

  static std::string of_start(const LoadedConfiguration& made) {
    return lines([&](const Log& log) { log_start(made, log); });
  }
  static std::string of_reload(const LoadedConfiguration& fresh, const Configuration& previous) {
    return lines([&](const Log& log) { log_reload(fresh, previous, fresh.settings, log); });
  }
  static void has(const std::string& text, const std::string& words) {
    CPPUNIT_ASSERT_MESSAGE(words + "\nin: " + text, text.find(words) != std::string::npos);
  }

  void atTheStartEachOptionAndRuleIsLogged() {
    const std::string text = of_start(loaded(kRules, kTwoKeys));
    CPPUNIT_ASSERT(text.starts_with("event=serving version="));
    has(text,
        " socket=unix:/s user=mail keys=2\n"
        "event=rule-settings rule=a definition=\"ignore: client = 192.0.2.1\"\n"
        "event=rule-settings rule=open definition=\"ignore: from = x@y\"\n"
        "level=warning event=rule-open-to-anyone rule=open effect=\"anyone can match it, and fill "
        "mailboxes beyond their quota\" remedy=\"add client, auth or tls-subject\"\n");
    CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{4}, std::count(text.begin(), text.end(), '\n'));
  }

  void withoutRulesAndKeysTheStartWarns() {
    const std::string text = of_start(loaded("", ""));
    has(text, " keys=0\nlevel=warning event=no-rules effect=\"every quota is honoured\" remedy=");
    has(text,
        "\nlevel=warning event=no-keys effect=\"no tag is written, every quota is honoured\"");
  }

  void aReloadNamesWhatItHasLost() {
    const Configuration before = with_keys(kRules, kTwoKeys);
    const LoadedConfiguration empty = loaded("", "");
    has(of_reload(empty, before),
        "\nlevel=warning event=no-rules lost=a,open effect=\"every quota is honoured\" "
        "remedy=\"add "
        "a [rule.NAME], or see whether the file is complete\"\n"
        "level=warning event=no-keys lost=k1,k2 effect=\"no tag is written, every quota is "
        "honoured\" remedy=\"lmtpq keygen --install, then restart; copy the file to the hosts of "
        "lmtpq\"\n");
    const std::string again = of_reload(empty, *empty.configuration);
    has(again, "event=no-rules effect=");
    has(again, "event=no-keys effect=");
  }

  void aReloadCountsRulesAndKeys() {
    const std::string text = of_reload(loaded(kRules, kTwoKeys), with_keys("", ""));
    CPPUNIT_ASSERT(text.starts_with("event=reloaded rules=2 keys=2\nevent=rule-settings rule=a "));
    CPPUNIT_ASSERT(text.find("event=no-") == std::string::npos);
  }

  void whatNeedsARestartIsNamed() {
    const struct {
      const char* option;
      void (*change)(Settings&);
    } cases[] = {{"socket", [](Settings& s) { s.socket = "unix:/t"; }},
                 {"user", [](Settings& s) { s.user = "other"; }},
                 {"pid-file", [](Settings& s) { s.pid_file = "/p"; }},
                 {"log", [](Settings& s) { s.log = "stderr"; }},
                 {"log-level", [](Settings& s) { s.log_level = LogLevel::kDebug; }},
                 {"", [](Settings& s) { s.failure = FailureAction::kTempfail; }}};
    for (const auto& one : cases) {
      LoadedConfiguration fresh = loaded(kRules, kTwoKeys);
      const Settings running = fresh.settings;
      one.change(fresh.settings);
      const std::string text = lines(
          [&](const Log& log) { log_reload(fresh, with_keys(kRules, kTwoKeys), running, log); });
      const std::string expected =
          *one.option == '\0'
              ? ""
              : std::string("level=warning event=restart-needed option=") + one.option +
                    " effect=\"the change takes effect after a restart\"\n";
      has(text, "keys=2\n" + expected + "event=rule-settings rule=a ");
    }
  }

  void aSocketThatOtherHostsReachIsAWarning() {
    for (const auto& [socket, warned] :
         {std::pair("inet:8891@0.0.0.0", true), {"inet:8891@127.0.0.1", false}}) {
      LoadedConfiguration made = loaded(kRules, kTwoKeys);
      made.settings.socket = socket;
      const std::string text = of_start(made);
      const std::string line =
          "\nlevel=warning event=socket-open-to-network socket=" + std::string(socket) +
          " effect=\"other hosts can connect, and get tags signed\" remedy=";
      CPPUNIT_ASSERT_EQUAL(warned, text.find(line) != std::string::npos);
      CPPUNIT_ASSERT_EQUAL(warned, text.find("open-to-network") != std::string::npos);
    }
  }

  void filesThatCannotBeReadAgainAreAWarning() {
    Settings settings;
    settings.user = "mail";
    has(lines([&](const Log& log) {
          warn_of_unreadable_files({"--config=/nowhere/milter.conf"}, settings, log);
        }),
        "level=warning event=reload-will-fail user=mail error=\"/nowhere/milter.conf: No such file "
        "or directory; create it, or name another by --config\" remedy=\"let the user's group read "
        "the file: chgrp, chmod 640\"\n");
    CPPUNIT_ASSERT_EQUAL(
        std::string(), lines([&](const Log& log) {
          warn_of_unreadable_files({"--config=/dev/null", "--explain"}, settings, log);
        }));
  }

  void aReloadThatFailsIsAnError() {
    CPPUNIT_ASSERT_EQUAL(std::string("level=error event=reload-failed error=\"f:1: no\" "
                                     "effect=\"previous configuration kept\"\n"),
                         lines([](const Log& log) { log_reload_failure("f:1: no", log); }));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConfigurationLogTest);
