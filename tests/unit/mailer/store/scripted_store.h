// What a store in memory offers and replies, and the settings of a test that sends to it.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <string>
#include <vector>

#include "common/mailbox.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// What Cyrus offers, without PIPELINING: the script replies line by line.
inline const std::string kOffers =
    "250-store\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE 1000\r\n250-IGNOREQUOTA\r\n"
    "250-TRACE\r\n250 Ok SESSIONID=<s-1>\r\n";

inline Settings settings_with(const std::vector<std::string>& arguments) {
  Settings settings;
  OptionReader options(option_table(Command::kRelay, settings));
  options.take_arguments(arguments);
  options.apply();
  return settings;
}

inline Mailbox mailbox(const char* text) { return Mailbox::parse(text).value(); }

inline const std::string kOk = "250 2.0.0 Ok\r\n";
inline const std::string kSent = "250 2.1.5 Success\r\n";
inline const std::string kGo = "354 go ahead\r\n";

inline void check(const std::string& expected, const std::string& actual) {
  CPPUNIT_ASSERT_EQUAL(expected, actual);
}

}  // namespace lmtpq::mailer
