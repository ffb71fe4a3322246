// What a command cannot be without, and what it warns of.

#include <cppunit/extensions/HelperMacros.h>

#include "tests/unit/mailer/settings/settings_file_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class LoadSettingsNeedsTest : public SettingsFileFixture {
  CPPUNIT_TEST_SUITE(LoadSettingsNeedsTest);
  CPPUNIT_TEST(aCommandWithoutWhatItNeedsIsAnError);
  CPPUNIT_TEST(timesAreShownInTheLargestUnit);
  CPPUNIT_TEST(aFolderThatTakesNoSpoolFilesIsLogged);
  CPPUNIT_TEST(aListenerIsNamedWithItsPlace);
  CPPUNIT_TEST_SUITE_END();

  std::string mail_error(Command command, Words arguments) const {
    arguments.insert(arguments.begin(), "--config=" + file_);
    return complaint([&] {
      Settings settings;
      load_settings(command, arguments, settings);
    });
  }

  void aCommandWithoutWhatItNeedsIsAnError() {
    write("");
    CPPUNIT_ASSERT_EQUAL(
        std::string("no destination; expected unix:PATH, inet:HOST[:PORT] or smtp:HOST[:PORT]"),
        mail_error(Command::kRelay, {}));
    CPPUNIT_ASSERT_EQUAL(std::string("expected one DEST; found 2"),
                         mail_error(Command::kProbe, {"unix:/a", "unix:/b"}));
    CPPUNIT_ASSERT_EQUAL(std::string("no error"),
                         mail_error(Command::kRelay, {"unix:/a", "unix:/b"}));
    CPPUNIT_ASSERT_EQUAL(std::string("no error"), mail_error(Command::kProbe, {"unix:/a"}));
    CPPUNIT_ASSERT_EQUAL(
        std::string("no recipient; expected lmtpq deliver -d DEST -f SENDER RCPT..."),
        mail_error(Command::kDeliver, {"-d", "unix:/a", "-f", ""}));
    CPPUNIT_ASSERT_EQUAL(std::string("no sender; expected -f ADDRESS, or -f '' for none"),
                         mail_error(Command::kDeliver, {"-d", "unix:/a", "bob"}));
    CPPUNIT_ASSERT_EQUAL(std::string("no error"),
                         mail_error(Command::kDeliver, {"-d", "unix:/a", "-f", "", "bob"}));
    const std::string wrong = mail_error(Command::kRelay, {"unix:/a", "unix:b"});
    CPPUNIT_ASSERT_MESSAGE(wrong, wrong.starts_with("DEST \"unix:b\": the path of a socket"));
    CPPUNIT_ASSERT_EQUAL(
        std::string("no listener; expected --listen ADDRESS, or [listener.NAME] in the file"),
        complaint([&] { require_listeners(daemon("destination = unix:/s\n")); }));
  }

  // The client must wait for longer than the store may take, by 30 s or a tenth.
  void timesAreShownInTheLargestUnit() {
    write("");
    const auto error = [&](const char* mta, const char* done) {
      return mail_error(Command::kRelay, {std::string("--mta-timeout=") + mta,
                                          std::string("--data-done-timeout=") + done, "unix:/a"});
    };
    const std::pair<const char*, const char*> shown[] = {
        {"120m", "2h"}, {"90m", "90m"}, {"61s", "61s"}, {"60s", "1m"}, {"1500ms", "1500ms"}};
    for (const auto& [given, text] : shown) {
      const std::string said = error(given, given);
      CPPUNIT_ASSERT_MESSAGE(said, said.starts_with("--mta-timeout: \"" + std::string(text) +
                                                    "\": must be longer than data-done-timeout (" +
                                                    text + ") by 30s"));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("no error"), error("10m", "569999ms"));
    CPPUNIT_ASSERT(error("10m", "570s") != "no error");
    CPPUNIT_ASSERT_EQUAL(std::string("no error"), error("100s", "89s"));
    CPPUNIT_ASSERT(error("100s", "90s") != "no error");
  }

  void aFolderThatTakesNoSpoolFilesIsLogged() {
    const std::string path = folder_ + "/log";
    const auto logged = [&](const std::string& folder) {
      Settings settings;
      settings.spool_dir = folder;
      std::ofstream(path, std::ios::trunc).flush();
      warn_of_spool(settings, Log("test", path, LogLevel::kInfo));
      std::string line;
      std::getline(std::ifstream(path), line);
      return line.substr(std::min(line.find("level="), line.size()));
    };
    CPPUNIT_ASSERT_EQUAL(std::string(), logged(folder_));
    CPPUNIT_ASSERT_EQUAL("level=warning event=spool-unusable spool-dir=" + folder_ +
                             "/none error=\"No such file or directory\" effect=\"messages over "
                             "256 KiB will be deferred\"",
                         logged(folder_ + "/none"));
    CPPUNIT_ASSERT(logged(path).find("error=\"Not a directory\"") != std::string::npos);
  }

  void aListenerIsNamedWithItsPlace() {
    const DaemonSettings made =
        daemon("destination = unix:/s\n[listener.a]\naddress = unix:/a\n", {"--listen=unix:/l"});
    CPPUNIT_ASSERT_EQUAL(std::string("--listen"), name_of(made.listeners.at(0)));
    CPPUNIT_ASSERT_EQUAL("[listener.a] (" + file_ + ":3)", name_of(made.listeners.at(1)));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LoadSettingsNeedsTest);
