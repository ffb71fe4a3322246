#include "mailer/settings/settings.h"

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <functional>
#include <set>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Settings read(const std::vector<std::string>& arguments, Command command = Command::kRelay) {
  Settings settings;
  OptionReader options = option_reader(command, settings);
  options.take_arguments(arguments);
  options.apply();
  return settings;
}

// The error's text; empty if the arguments are valid.
std::string complaint(const std::string& argument, Command command = Command::kRelay) {
  try {
    read({argument}, command);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

// The options that --help shows. No name is in the table twice.
std::set<std::string> names(Command command) {
  Settings settings;
  std::set<std::string> all;
  for (const Option& option : option_table(command, settings)) {
    CPPUNIT_ASSERT_MESSAGE("twice: " + option.name, all.insert(option.name).second);
    if (option.hidden || !option.other_command.empty()) {
      all.erase(option.name);
    }
  }
  return all;
}

}  // namespace

class SettingsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SettingsTest);
  CPPUNIT_TEST(theDefaultsAreThoseOfTheManPage);
  CPPUNIT_TEST(everyTimeHasItsOwnOption);
  CPPUNIT_TEST(everyWordOfAChoiceHasItsValue);
  CPPUNIT_TEST(ignoreQuotaWithoutAValueIsAlways);
  CPPUNIT_TEST(everyOptionFillsItsMember);
  CPPUNIT_TEST(listsTakeCommasAndSpaces);
  CPPUNIT_TEST(anInvalidValueIsAnErrorThatNamesWhatWasExpected);
  CPPUNIT_TEST(aListReplacesTheOneBefore);
  CPPUNIT_TEST(numbersHaveTheirLimits);
  CPPUNIT_TEST(eachSubcommandHasItsOwnOptions);
  CPPUNIT_TEST(helpEndsWithTheManuals);
  CPPUNIT_TEST(helpBeginsWithTenOptions);
  CPPUNIT_TEST(optionsForOneMessageAreNotAllowedInTheFile);
  CPPUNIT_TEST(everyOptionHasHelp);
  CPPUNIT_TEST_SUITE_END();

  void theDefaultsAreThoseOfTheManPage() {
    using namespace std::chrono_literals;
    const Settings s = read({});
    CPPUNIT_ASSERT(s.ignore_quota == IgnoreQuota::kTagged);
    CPPUNIT_ASSERT(s.trace_id.empty());
    CPPUNIT_ASSERT(s.trace == TraceSource::kTag);
    CPPUNIT_ASSERT(s.utf8_headers == Utf8Headers::kAllow);
    CPPUNIT_ASSERT(!s.max_message_size);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1000}, s.max_rcpts);
    CPPUNIT_ASSERT_EQUAL(std::size_t{8000}, s.line_limit);
    CPPUNIT_ASSERT(s.nul == NulPolicy::kPass);
    CPPUNIT_ASSERT(s.destinations.empty());
    CPPUNIT_ASSERT(s.store_defaults.pipelining);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.connect == 30s);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.lhlo == 5min);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.mail == 5min);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.rcpt == 5min);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.data_init == 2min);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.data_xfer == 3min);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.data_done == 10min);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.rset == 20s);
    CPPUNIT_ASSERT(s.store_defaults.timeouts.quit == 0s);
    CPPUNIT_ASSERT(s.timeouts.idle == 60s);
    CPPUNIT_ASSERT(s.timeouts.input == 10min);
    CPPUNIT_ASSERT(s.timeouts.mta == 1h);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{500}, s.store_defaults.min_data_rate);
    CPPUNIT_ASSERT(s.user.empty());
    CPPUNIT_ASSERT_EQUAL(std::string("/var/tmp"), s.spool_dir);
    CPPUNIT_ASSERT_EQUAL(std::string("syslog"), s.log);
    CPPUNIT_ASSERT(s.log_level == LogLevel::kInfo);
    CPPUNIT_ASSERT(s.debug_peers.empty());
    CPPUNIT_ASSERT(s.transcript_dir.empty());
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    CPPUNIT_ASSERT_EQUAL(std::string(name), s.store_defaults.hostname);
  }

  void everyTimeHasItsOwnOption() {
    const auto store = [](StoreTimeouts::Time StoreTimeouts::*member) {
      return [member](const Settings& s) { return (s.store_defaults.timeouts.*member).count(); };
    };
    const auto client = [](Timeouts::Time Timeouts::*member) {
      return [member](const Settings& s) { return (s.timeouts.*member).count(); };
    };
    const struct {
      const char* name;
      std::function<long(const Settings&)> time;
    } rows[] = {
        {"connect", store(&StoreTimeouts::connect)},
        {"lhlo", store(&StoreTimeouts::lhlo)},
        {"starttls", store(&StoreTimeouts::starttls)},
        {"auth", store(&StoreTimeouts::auth)},
        {"mail", store(&StoreTimeouts::mail)},
        {"rcpt", store(&StoreTimeouts::rcpt)},
        {"data-init", store(&StoreTimeouts::data_init)},
        {"data-xfer", store(&StoreTimeouts::data_xfer)},
        {"data-done", store(&StoreTimeouts::data_done)},
        {"rset", store(&StoreTimeouts::rset)},
        {"quit", store(&StoreTimeouts::quit)},
        {"idle", client(&Timeouts::idle)},
        {"input", client(&Timeouts::input)},
        {"mta", client(&Timeouts::mta)},
    };
    const Settings before = read({});
    for (const auto& row : rows) {
      const Settings s = read({"--" + std::string(row.name) + "-timeout=1234ms"});
      for (const auto& other : rows) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.name, &other == &row ? 1234 : other.time(before),
                                     other.time(s));
      }
    }
  }

  void everyWordOfAChoiceHasItsValue() {
    CPPUNIT_ASSERT(read({"--ignore-quota=always"}).ignore_quota == IgnoreQuota::kAlways);
    CPPUNIT_ASSERT(read({"-Q", "--ignore-quota=tagged"}).ignore_quota == IgnoreQuota::kTagged);
    CPPUNIT_ASSERT(read({"--ignore-quota=never"}).ignore_quota == IgnoreQuota::kNever);
    CPPUNIT_ASSERT(read({"--ignore-quota=retry"}).ignore_quota == IgnoreQuota::kRetry);
    for (const char* policy : {"store", "defer", "defer:3d", "refuse"}) {
      CPPUNIT_ASSERT_EQUAL(
          std::string(policy),
          read({"--over-quota=" + std::string(policy)}).store_defaults.over_quota.text());
    }
    CPPUNIT_ASSERT(read({"--trace=queue-id"}).trace == TraceSource::kQueueId);
    CPPUNIT_ASSERT(read({"--trace=off"}).trace == TraceSource::kOff);
    CPPUNIT_ASSERT(read({"--trace=off", "--trace=tag"}).trace == TraceSource::kTag);
    CPPUNIT_ASSERT(read({"--utf8-headers=refuse"}).utf8_headers == Utf8Headers::kRefuse);
    CPPUNIT_ASSERT(read({"--utf8-headers=allow"}).utf8_headers == Utf8Headers::kAllow);
    CPPUNIT_ASSERT(!read({"--pipelining=no"}).store_defaults.pipelining);
    CPPUNIT_ASSERT(read({"--pipelining=yes"}).store_defaults.pipelining);
    CPPUNIT_ASSERT(read({"--log-level=error"}).log_level == LogLevel::kError);
    CPPUNIT_ASSERT(read({"--log-level=warning"}).log_level == LogLevel::kWarning);
    CPPUNIT_ASSERT(read({"--log-level=debug"}).log_level == LogLevel::kDebug);
  }

  void ignoreQuotaWithoutAValueIsAlways() {
    for (const char* argument : {"-Q", "--ignore-quota", "-Qalways"}) {
      CPPUNIT_ASSERT_MESSAGE(argument, read({argument}).ignore_quota == IgnoreQuota::kAlways);
    }
    CPPUNIT_ASSERT(read({"-Q", "unix:/s"}).ignore_quota == IgnoreQuota::kAlways);
  }

  void everyOptionFillsItsMember() {
    CPPUNIT_ASSERT_EQUAL(std::string("t1-aaa"), read({"-t", "t1-aaa"}).trace_id.text());
    CPPUNIT_ASSERT_EQUAL(std::string("t2"), read({"--trace-id=t2"}).trace_id.text());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{50 << 20},
                         *read({"--max-message-size=50M"}).max_message_size);
    CPPUNIT_ASSERT_EQUAL(std::size_t{7}, read({"--max-rcpts=7"}).max_rcpts);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2000}, read({"--line-limit=2000"}).line_limit);
    CPPUNIT_ASSERT(read({"--nul=strip"}).nul == NulPolicy::kStrip);
    CPPUNIT_ASSERT(read({"--nul=refuse"}).nul == NulPolicy::kRefuse);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1024},
                         read({"--min-data-rate=1k"}).store_defaults.min_data_rate);
    CPPUNIT_ASSERT_EQUAL(std::string("mx.example.org"),
                         read({"--hostname=mx.example.org"}).store_defaults.hostname);
    CPPUNIT_ASSERT_EQUAL(std::string("[IPv6:2001:db8::1]"),
                         read({"--hostname=[IPv6:2001:db8::1]"}).store_defaults.hostname);
    CPPUNIT_ASSERT_EQUAL(std::string("cyrus"), read({"--user=cyrus"}).user);
    CPPUNIT_ASSERT_EQUAL(std::string("/spool"), read({"--spool-dir=/spool"}).spool_dir);
    CPPUNIT_ASSERT_EQUAL(std::string("/log"), read({"--log=/log"}).log);
    CPPUNIT_ASSERT_EQUAL(std::string("/t"), read({"--transcript-dir=/t"}).transcript_dir);
    CPPUNIT_ASSERT_EQUAL(std::string("a@b"), read({"-f", "a@b"}, Command::kDeliver).sender);
    const Settings probe = read({"--rcpt=alice", "--json"}, Command::kProbe);
    CPPUNIT_ASSERT_EQUAL(std::string("alice"), probe.probe.recipient);
    CPPUNIT_ASSERT(probe.json);
  }

  void listsTakeCommasAndSpaces() {
    const Settings s = read({"-d", "unix:/a,inet:b:24, c", "--debug-peer=store, unix:"});
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, s.destinations.size());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/a"), s.destinations[0].text);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:b:24"), s.destinations[1].text);
    CPPUNIT_ASSERT_EQUAL(std::string("inet:c"), s.destinations[2].text);
    CPPUNIT_ASSERT((s.debug_peers == std::vector<std::string>{"store", "unix:"}));
    const Settings last = read({"-d", "unix:/a", "-d", "unix:/b"});
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, last.destinations.size());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/b"), last.destinations[0].text);
  }

  void anInvalidValueIsAnErrorThatNamesWhatWasExpected() {
    const struct {
      const char* argument;
      const char* expected;
    } rows[] = {
        {"--ignore-quota=sometimes", "expected one of always, tagged, retry, never"},
        {"--ignore-quota=Always", "expected one of always, tagged, retry, never"},
        {"--trace=id", "expected one of tag, queue-id, off"},
        {"--utf8-headers=no", "expected one of allow, refuse"},
        {"--trace-id=a b", "expected 1 to 255 of the characters A-Z a-z 0-9 - _ ."},
        {"--trace-id=", "expected 1 to 255 of the characters A-Z a-z 0-9 - _ ."},
        {"--max-message-size=big", "expected a size such as 4096, 64k or 30M"},
        {"--max-rcpts=0", "expected a number from 1 to 50000"},
        {"--line-limit=10", "expected a number from 998 to 8000"},
        {"--nul=drop", "expected one of pass, strip, refuse"},
        {"--min-data-rate=0", "expected a number from 1 to 1000000000"},
        {"--pipelining=maybe", "expected yes or no"},
        {"--hostname=", "expected a host name or [address]"},
        {"--hostname=a b", "expected a host name or [address]"},
        {"--hostname=a\r\nQUIT", "expected a host name or [address]"},
        {"--mail-timeout=soon", "expected a time such as 30s, 5m or 1h"},
        {"--log-level=loud", "expected error, warning, info or debug"},
        {"--destination=unix:x", "expected unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT] or "},
        {"--destination=unix:/a,/b", "did you mean unix:/b?"},
    };
    for (const auto& row : rows) {
      const std::string said = complaint(row.argument);
      CPPUNIT_ASSERT_MESSAGE(row.argument + std::string(": ") + said,
                             said.find(row.expected) != std::string::npos);
      CPPUNIT_ASSERT_MESSAGE(said, said.find('\n') == std::string::npos);
      const std::string option(row.argument, std::string_view(row.argument).find('='));
      CPPUNIT_ASSERT_MESSAGE(said, said.starts_with(option + ": "));
    }
  }

  // A section's list does not add to the one above the sections.
  void aListReplacesTheOneBefore() {
    Settings s;
    const OptionTable table = option_table(Command::kServe, s);
    const std::string one(64, '1');
    const std::string two(64, '2');
    const auto read_both = [&](const char* name, const std::string& first,
                               const std::string& last) {
      find_option(table, name)->read(first);
      find_option(table, name)->read(last);
    };
    using Words = std::vector<std::string>;
    read_both("auth-mechanisms", "A", "B");
    CPPUNIT_ASSERT(s.store_defaults.auth.mechanisms == Words{"B"});
    read_both("tls-fingerprint", one, two);
    CPPUNIT_ASSERT(s.store_defaults.tls.fingerprints == Words{two});
    read_both("route-ldap", "ldap://a", "ldap://b");
    CPPUNIT_ASSERT(s.routes.directory.uris == Words{"ldap://b"});
    read_both("debug-peer", "a", "b");
    CPPUNIT_ASSERT(s.debug_peers == Words{"b"});
    read_both("auth-security", "mutual", "");
    CPPUNIT_ASSERT_EQUAL(0U, s.store_defaults.auth.security);
    read_both("max-message-size", "1M", "0");
    CPPUNIT_ASSERT(!s.max_message_size);
  }

  void numbersHaveTheirLimits() {
    for (const char* good : {"--max-rcpts=1", "--max-rcpts=50000", "--line-limit=998",
                             "--line-limit=8000", "--min-data-rate=1", "--quit-timeout=0s"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(good, std::string(), complaint(good));
    }
    const std::string name(255, 'a');
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint("--hostname=" + name));
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint("--trace-id=" + name));
    for (const std::string& bad :
         {std::string("--max-rcpts=50001"), std::string("--line-limit=997"),
          std::string("--line-limit=8001"), std::string("--max-rcpts=-1"),
          "--hostname=" + name + "a", "--trace-id=" + name + "a"}) {
      CPPUNIT_ASSERT_MESSAGE(bad, !complaint(bad).empty());
    }
  }

  void eachSubcommandHasItsOwnOptions() {
    auto relay = names(Command::kRelay);
    auto deliver = names(Command::kDeliver);
    auto probe = names(Command::kProbe);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, deliver.erase("sender"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, probe.erase("rcpt") + probe.erase("json"));
    CPPUNIT_ASSERT(relay == deliver);
    for (const std::string shared : {"destination", "tls", "trace-id", "user", "log"}) {
      CPPUNIT_ASSERT_MESSAGE(shared, probe.erase(shared) == 1 && relay.contains(shared));
    }
    // A probe sends no message; it accepts the options for messages, and does not show them.
    for (const std::string unused :
         {"--tag-keys=none", "--max-rcpts=5", "--spool-dir=/tmp", "--mta-timeout=2h"}) {
      const std::string name = unused.substr(2, unused.find('=') - 2);
      CPPUNIT_ASSERT_MESSAGE(unused, !probe.contains(name) && relay.contains(name));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(unused, Command::kProbe));
    }
    for (const auto& [argument, command, error] :
         {std::tuple("--connections=3", Command::kDeliver,
                     "--connections is an option of serve only"),
          std::tuple("--sender=a@b", Command::kRelay, "--sender is an option of deliver only"),
          std::tuple("-f", Command::kProbe, "-f is an option of deliver only"),
          std::tuple("--rcpt=a", Command::kServe, "--rcpt is an option of probe only"),
          std::tuple("--json", Command::kDeliver, "--json is an option of probe and serve only"),
          std::tuple("--foo", Command::kDeliver, "unknown option --foo; see lmtpq deliver --help"),
          std::tuple("--tls", Command::kDeliver,
                     "--tls: a value is missing; see lmtpq deliver --help")}) {
      CPPUNIT_ASSERT_EQUAL(std::string(error), complaint(argument, command));
    }
  }

  void helpEndsWithTheManuals() {
    for (const Command command :
         {Command::kRelay, Command::kDeliver, Command::kProbe, Command::kServe}) {
      for (const HelpWish wish : {HelpWish::kUsual, HelpWish::kAll}) {
        const std::string help = options_help(command, wish);
        CPPUNIT_ASSERT_MESSAGE(
            help,
            help.ends_with("\nEach option is explained in lmtpq(8), the file in lmtpq.conf(5).\n"));
      }
    }
  }

  void helpBeginsWithTenOptions() {
    const std::pair<Command, const char*> rows[] = {{Command::kRelay, "lmtpq relay --help=all"},
                                                    {Command::kDeliver, "lmtpq deliver --help=all"},
                                                    {Command::kProbe, "lmtpq probe --help=all"},
                                                    {Command::kServe, "lmtpq serve --help=all"}};
    for (const auto& [command, all] : rows) {
      const std::string help = options_help(command, HelpWish::kUsual);
      std::size_t shown = 0;
      for (std::size_t at = help.find("\n  "); at != std::string::npos;
           at = help.find("\n  ", at + 1)) {
        shown += help[at + 3] == '-' || help.substr(at + 3, 6) == "    --" ? 1U : 0U;
      }
      CPPUNIT_ASSERT_EQUAL_MESSAGE(help, std::size_t{10}, shown);
      CPPUNIT_ASSERT_MESSAGE(help, help.starts_with("The usual options:\n"));
      CPPUNIT_ASSERT_MESSAGE(
          help, help.find(std::string(" options: ") + all + "\n") != std::string::npos);
    }
  }

  void optionsForOneMessageAreNotAllowedInTheFile() {
    for (const Command command :
         {Command::kRelay, Command::kDeliver, Command::kProbe, Command::kServe}) {
      Settings settings;
      for (const Option& option : option_table(command, settings)) {
        const std::set<std::string> of_one_run = {"config",  "sender",    "rcpt",         "json",
                                                  "status",  "check",     "timeout",      "require",
                                                  "monitor", "warn-days", "critical-days"};
        const bool argv_only = of_one_run.contains(option.name);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(option.name, !argv_only,
                                     option.place == OptionPlace::kArgumentsAndFile);
      }
    }
  }

  void everyOptionHasHelp() {
    Settings settings;
    for (const Option& option : option_table(Command::kProbe, settings)) {
      CPPUNIT_ASSERT_MESSAGE(option.name, option.read != nullptr);
      CPPUNIT_ASSERT_MESSAGE(option.name, !option.heading.empty() && !option.help.empty());
      CPPUNIT_ASSERT_MESSAGE(option.name, !option.help.ends_with('.'));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SettingsTest);
