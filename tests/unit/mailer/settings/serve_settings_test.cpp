#include <cppunit/extensions/HelperMacros.h>

#include "mailer/settings/destination_sections.h"
#include "mailer/settings/settings.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class ServeSettingsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ServeSettingsTest);
  CPPUNIT_TEST(anAddressAndAPortIsWanted);
  CPPUNIT_TEST(aModeHasUpToFourOctalDigits);
  CPPUNIT_TEST(memoryHasItsLeastLimit);
  CPPUNIT_TEST(numbersHaveTheirLimits);
  CPPUNIT_TEST(theDefaultsAreThoseOfTheManPage);
  CPPUNIT_TEST(everyOptionFillsItsMember);
  CPPUNIT_TEST_SUITE_END();

  static ServeSettings read(const std::vector<std::string>& arguments) {
    Settings settings;
    OptionReader options = option_reader(Command::kServe, settings);
    options.take_arguments(arguments);
    options.apply();
    return settings.serve;
  }
  static std::string complaint(const std::string& argument) {
    try {
      read({argument});
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  void aModeHasUpToFourOctalDigits() {
    const std::pair<const char*, mode_t> rows[] = {
        {"0660", 0660}, {"660", 0660}, {"0", 0}, {"7777", 0777}, {"01", 01}};
    for (const auto& [text, mode] : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, mode,
                                   read({std::string("--listen-mode=") + text}).listener.mode);
    }
    for (const char* const text : {"", "00660", "0680", "rw", "-1", "0x1"}) {
      CPPUNIT_ASSERT_EQUAL(
          "--listen-mode: \"" + std::string(text) + "\": expected a mode such as 0660",
          complaint(std::string("--listen-mode=") + text));
    }
  }

  void memoryHasItsLeastLimit() {
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, read({"--memory-limit="}).memory_limit);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1} << 20, read({"--memory-limit=1M"}).memory_limit);
    CPPUNIT_ASSERT_EQUAL(std::string("--memory-limit: \"1048575\": expected 1M at least"),
                         complaint("--memory-limit=1048575"));
    CPPUNIT_ASSERT(!read({"--upgrade-memory="}).upgrade_memory);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, read({"--upgrade-memory=0"}).upgrade_memory.value());
  }

  void numbersHaveTheirLimits() {
    const struct {
      const char* option;
      std::uint64_t least, most;
    } rows[] = {{"max-clients", 1, 1'000'000},
                {"max-clients-each", 0, 1'000'000},
                {"mailbox-limit", 0, 1'000'000},
                {"max-idle-commands", 0, 1'000'000'000},
                {"threads", 1, 256},
                {"connections", 1, 100'000},
                {"connection-uses", 0, 1'000'000'000},
                {"weight", 1, 1000}};
    for (const auto& row : rows) {
      const std::string start = std::string("--") + row.option + '=';
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(start + std::to_string(row.least)));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(start + std::to_string(row.most)));
      CPPUNIT_ASSERT_MESSAGE(start, !complaint(start + std::to_string(row.most + 1)).empty());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(start, row.least == 0, complaint(start + "0").empty());
    }
  }

  void theDefaultsAreThoseOfTheManPage() {
    using namespace std::chrono_literals;
    const ServeSettings s = read({});
    CPPUNIT_ASSERT_EQUAL(mode_t{0660}, s.listener.mode);
    CPPUNIT_ASSERT(s.listener.owner.empty() && !s.listener.offers_pipelining);
    CPPUNIT_ASSERT(s.listener.clients.empty() && s.listener.trusted.empty());
    CPPUNIT_ASSERT(s.balance == Balance::kOrder);
    CPPUNIT_ASSERT(s.listen.empty() && s.metrics.empty() && !s.check && !s.status);
    CPPUNIT_ASSERT_EQUAL(std::string("/run/lmtpq/control"), s.control);
    CPPUNIT_ASSERT(s.max_clients == 5000 && s.max_clients_each == 0 && s.mailbox_limit == 10);
    CPPUNIT_ASSERT(s.drain == 60s && s.upgrade_memory_time == 10min && s.threads == 1);
    CPPUNIT_ASSERT(s.max_idle_commands == 1000 && s.memory_limit == 0 && !s.upgrade_memory);
  }

  void everyOptionFillsItsMember() {
    using namespace std::chrono_literals;
    const ServeSettings s =
        read({"--listen-owner=a:b", "--clients=uid:5", "--trusted-clients=uid:6",
              "--offer-pipelining=no", "--listen=unix:/a,unix:/b", "--balance=least-used",
              "--control=/c", "--threads=2", "--check", "--drain-timeout=1s",
              "--upgrade-memory-time=2s", "--max-clients=3", "--max-clients-each=4",
              "--mailbox-limit=5", "--max-idle-commands=6", "--upgrade-memory=7"});
    CPPUNIT_ASSERT_EQUAL(std::string("a:b"), s.listener.owner);
    CPPUNIT_ASSERT(s.listener.clients.contains({std::nullopt, 5}));
    CPPUNIT_ASSERT(s.listener.trusted.contains({std::nullopt, 6}));
    CPPUNIT_ASSERT(!s.listener.clients.contains({std::nullopt, 6}));
    CPPUNIT_ASSERT(s.listener.offers_pipelining == std::optional(false));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, s.listen.size());
    CPPUNIT_ASSERT(s.balance == Balance::kLeastUsed);
    CPPUNIT_ASSERT(read({"--balance=weight"}).balance == Balance::kWeight);
    CPPUNIT_ASSERT_EQUAL(std::string("/c"), s.control);
    CPPUNIT_ASSERT(s.threads == 2 && s.check && !s.status && s.drain == 1s);
    CPPUNIT_ASSERT(s.upgrade_memory_time == 2s && s.max_clients == 3 && s.max_clients_each == 4);
    CPPUNIT_ASSERT(s.mailbox_limit == 5 && s.max_idle_commands == 6 && s.upgrade_memory == 7);
  }

  void anAddressAndAPortIsWanted() {
    const auto takes = [](const std::string& value) {
      Settings settings;
      OptionReader options = option_reader(Command::kServe, settings);
      options.take_arguments({"--metrics=" + value});
      try {
        options.apply();
        return settings.serve.metrics == value;
      } catch (const ConfigError&) {
        return false;
      }
    };
    for (const char* const good :
         {"", "127.0.0.1:9024", "[::1]:9024", "0.0.0.0:1", "127.0.0.1:65535", "unix:/a"}) {
      CPPUNIT_ASSERT_MESSAGE(good, takes(good));
    }
    for (const char* const bad :
         {"9024", ":9024", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:9024x",
          "::1:9024", "[::1]", "[127.0.0.1]:1", "localhost:9024", "127.0.0.1:9024,0.0.0.0:9024",
          "127.0.0.1:999999999999999999999", "127.0.0.1:0", "127.0.0.1:09024", "unix:a",
          "unix:", "::1]:9024", "[::1:9024"}) {
      CPPUNIT_ASSERT_MESSAGE(bad, !takes(bad));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServeSettingsTest);
