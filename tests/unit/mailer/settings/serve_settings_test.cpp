#include <cppunit/extensions/HelperMacros.h>

#include "mailer/settings/destination_sections.h"
#include "mailer/settings/settings.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class ServeSettingsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ServeSettingsTest);
  CPPUNIT_TEST(anAddressAndAPortIsWanted);
  CPPUNIT_TEST_SUITE_END();

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
    for (const char* const good : {"", "127.0.0.1:9024", "[::1]:9024", "0.0.0.0:1"}) {
      CPPUNIT_ASSERT_MESSAGE(good, takes(good));
    }
    for (const char* const bad :
         {"9024", ":9024", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:9024x",
          "::1:9024", "[::1]", "[127.0.0.1]:1", "localhost:9024", "127.0.0.1:9024,0.0.0.0:9024",
          "127.0.0.1:999999999999999999999"}) {
      CPPUNIT_ASSERT_MESSAGE(bad, !takes(bad));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServeSettingsTest);
