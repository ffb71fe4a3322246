// The certificates and settings that the tests of TLS share.
//
// One authority of each kind, and a certificate for every way in which a store's can be good or
// bad. They are made once, at the first use: the keys take most of the time.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <functional>
#include <string>

#include "common/options/option_reader.h"
#include "mailer/settings/tls_settings.h"
#include "tests/unit/mailer/secure/tls_authority.h"
#include "tests/unit/mailer/secure/tls_meeting.h"

namespace lmtpq::mailer::tls_test {

inline constexpr char kHost[] = "imap.example.org";
inline constexpr char kGoodNames[] =
    "DNS:imap.example.org,DNS:*.wild.example.org,DNS:f*.example.org,DNS:192.0.2.7,"
    "IP:192.0.2.1,IP:2001:db8::1";

inline Request named(const std::string& names) {
  Request request;
  request.names = names;
  return request;
}

struct World {
  Authority root{"Root"};
  Authority unknown{"Unknown"};
  Authority middle{"Middle", root};
  Certified good = root.certify(named(kGoodNames));
  Certified other = root.certify(named("DNS:other.example.org"));
  Certified foreign = unknown.certify(named(kGoodNames));
  Certified by_itself = Authority::certify_itself(named(kGoodNames));
  Certified client = root.certify(for_client("P-256"));
  Certified client25519 = root.certify(for_client("ED25519"));
  Certified expired, early, common_name, for_clients, long_way, gap;
  Folder folder;
  std::string ca = folder.file("ca.pem", root.own().pem());

  World() {
    Request request = named(kGoodNames);
    request.until = -60;
    expired = root.certify(request);
    request = named(kGoodNames);
    request.from = kDay;
    early = root.certify(request);
    request = named("");
    request.common_name = kHost;
    common_name = root.certify(request);
    request = named(kGoodNames);
    request.usage = "clientAuth";
    for_clients = root.certify(request);
    long_way = middle.certify(named(kGoodNames));
    long_way.intermediates = {middle.own().certificate.get()};
    gap = middle.certify(named(kGoodNames));
  }

  static Request for_client(const char* key) {
    Request request = named("");
    request.usage = "clientAuth";
    request.key_type = key;
    return request;
  }

  TlsSettings settings(TlsLevel level) const {
    TlsSettings settings;
    settings.level = level;
    settings.ca_file = ca;
    return settings;
  }
};

inline const World& world() {
  static const World world;
  return world;
}

inline constexpr TlsLevel kLevels[] = {TlsLevel::kMay, TlsLevel::kEncrypt, TlsLevel::kVerify,
                                       TlsLevel::kFingerprint};

inline std::string complaint(const std::function<void()>& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

inline void check(const std::string& what, bool expected, bool found) {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(what, expected, found);
}

inline void check(const std::string& what, const std::string& expected, const std::string& found) {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(what, expected, found);
}

// One exchange of bytes, so that tickets arrive.
inline void talk(Meeting& meeting) {
  const auto channel = meeting.channel();
  std::string in;
  CPPUNIT_ASSERT(write_all(*channel, "NOOP\r\n", in, soon()));
  meeting.store.say("250 ok\r\n");
  std::string_view nothing;
  while (in.empty()) {
    CPPUNIT_ASSERT(channel->exchange(nothing, in, soon()) == IoStatus::kProgress);
  }
  CPPUNIT_ASSERT_EQUAL(std::string("NOOP\r\n"), meeting.store.heard);
  CPPUNIT_ASSERT_EQUAL(std::string("250 ok\r\n"), in);
}

}  // namespace lmtpq::mailer::tls_test
