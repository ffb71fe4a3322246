#include "mailer/settings/secrets.h"

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include "tests/unit/mailer/settings/settings_file_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class SecretsTest : public SettingsFileFixture {
  CPPUNIT_TEST_SUITE(SecretsTest);
  CPPUNIT_TEST(withoutKeysOnlyTagsLackThem);
  CPPUNIT_TEST(theKeyOfTlsIsReadOnlyWhereThereIsTls);
  CPPUNIT_TEST(aCommandKnowsWhetherItHasSecrets);
  CPPUNIT_TEST_SUITE_END();

  void withoutKeysOnlyTagsLackThem() {
    Settings settings;
    settings.ignore_quota = IgnoreQuota::kTagged;
    CPPUNIT_ASSERT(lacks_keys(settings, Keyring()));
    settings.tag_keys = "none";
    CPPUNIT_ASSERT(!lacks_keys(settings, Keyring()));
    CPPUNIT_ASSERT(read_keys(settings, geteuid()).empty());
    settings.tag_keys.clear();
    settings.ignore_quota = IgnoreQuota::kRetry;
    CPPUNIT_ASSERT(!lacks_keys(settings, Keyring()));
  }

  void theKeyOfTlsIsReadOnlyWhereThereIsTls() {
    const std::string key = folder_ + "/key";
    std::ofstream(key) << "key";
    CPPUNIT_ASSERT_EQUAL(0, chmod(key.c_str(), 0600));
    const auto of = [&](const std::string& lines) {
      const DaemonSettings made = daemon(lines);
      Store store = made.options_for(parse_destination("inet:a"));
      return complaint([&] {
        read_key(store, geteuid());
        throw ConfigError(std::string(store.settings.tls.key.text()));
      });
    };
    CPPUNIT_ASSERT_EQUAL(std::string("key"), of("tls-cert = /c\ntls-key = " + key + '\n'));
    CPPUNIT_ASSERT_EQUAL(std::string("key"), of("tls-cert = " + key + '\n'));
    CPPUNIT_ASSERT_EQUAL(std::string(), of("tls = none\ntls-cert = " + key + '\n'));
    CPPUNIT_ASSERT_EQUAL(std::string(), of(""));
    const std::string together = of("tls-cert = " + folder_ + "/none\n");
    CPPUNIT_ASSERT_MESSAGE(together, together.starts_with("FILE:1: tls-cert (with the key, as "
                                                          "tls-key is not set): "));
    const std::string apart = of("tls-cert = " + key + "\ntls-key = " + folder_ + "/none\n");
    CPPUNIT_ASSERT_MESSAGE(apart, apart.starts_with("FILE:2: tls-key: "));
  }

  // It then forbids core dumps. A probe has no use for keys.
  void aCommandKnowsWhetherItHasSecrets() {
    const std::string secrets = folder_ + "/secrets";
    const auto has_secrets = [&](const char* text, const std::string& line, Command command) {
      std::ofstream(secrets) << text;
      CPPUNIT_ASSERT_EQUAL(0, chmod(secrets.c_str(), 0600));
      write("destination = unix:/s\n" + line);
      Settings settings;
      load_settings(command, {"--config=" + file_}, settings);
      return read_secrets(command, settings);
    };
    const std::string keys = "tag-keys = " + secrets + '\n';
    const char* const key = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    CPPUNIT_ASSERT(!has_secrets("", "tag-keys = none\n", Command::kRelay));
    CPPUNIT_ASSERT(has_secrets(key, keys, Command::kRelay));
    CPPUNIT_ASSERT(!has_secrets(key, keys, Command::kProbe));
    const std::string none = "tag-keys = none\n";
    CPPUNIT_ASSERT(has_secrets("unix:/s u:p\n", none + "auth-password-file = " + secrets + '\n',
                               Command::kRelay));
    CPPUNIT_ASSERT(!has_secrets("unix:/t u:p\n", none + "auth-password-file = " + secrets + '\n',
                                Command::kRelay));
    CPPUNIT_ASSERT(
        has_secrets("key", none + "tls = encrypt\ntls-cert = " + secrets + '\n', Command::kProbe));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecretsTest);
