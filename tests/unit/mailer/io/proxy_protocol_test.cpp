#include "mailer/io/proxy_protocol.h"

#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

using lmtpq::mailer::proxy_v2_header;

namespace {

sockaddr_storage inet(const char* address, std::uint16_t port) {
  sockaddr_storage storage{};
  if (std::strchr(address, ':') == nullptr) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    CPPUNIT_ASSERT_EQUAL(1, inet_pton(AF_INET, address, &made.sin_addr));
    std::memcpy(&storage, &made, sizeof made);
  } else {
    sockaddr_in6 made{};
    made.sin6_family = AF_INET6;
    made.sin6_port = htons(port);
    made.sin6_flowinfo = 0xabcdef01;  // neither is part of the header
    made.sin6_scope_id = 77;
    CPPUNIT_ASSERT_EQUAL(1, inet_pton(AF_INET6, address, &made.sin6_addr));
    std::memcpy(&storage, &made, sizeof made);
  }
  return storage;
}

sockaddr_storage of_family(sa_family_t family) {
  sockaddr_storage storage;
  std::memset(&storage, 'x', sizeof storage);
  storage.ss_family = family;
  return storage;
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[c & 15];
  }
  return text;
}

const std::string kSignature = "0d0a0d0a000d0a515549540a";

}  // namespace

class ProxyProtocolTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ProxyProtocolTest);
  CPPUNIT_TEST(ipv4HasTwelveBytesOfAddresses);
  CPPUNIT_TEST(ipv6HasThirtySixBytesOfAddresses);
  CPPUNIT_TEST(anyOtherPairOfAddressesIsLocal);
  CPPUNIT_TEST_SUITE_END();

 private:
  // Source address, target address, source port, target port; all in network order.
  void ipv4HasTwelveBytesOfAddresses() {
    CPPUNIT_ASSERT_EQUAL(
        kSignature +
            "21"
            "11"
            "000c"
            "c0000201"
            "cb0071fe"
            "cafe"
            "0018",
        hex(proxy_v2_header(inet("192.0.2.1", 0xcafe), inet("203.0.113.254", 24))));
    CPPUNIT_ASSERT_EQUAL(kSignature +
                             "21"
                             "11"
                             "000c"
                             "7f000001"
                             "7f000001"
                             "0100"
                             "ffff",
                         hex(proxy_v2_header(inet("127.0.0.1", 256), inet("127.0.0.1", 65535))));
  }

  void ipv6HasThirtySixBytesOfAddresses() {
    CPPUNIT_ASSERT_EQUAL(
        kSignature +
            "21"
            "21"
            "0024"
            "20010db8000000000000000000000001"
            "fe800000000000000000000000c0ffee"
            "c000"
            "07d3",
        hex(proxy_v2_header(inet("2001:db8::1", 0xc000), inet("fe80::c0:ffee", 2003))));
  }

  void anyOtherPairOfAddressesIsLocal() {
    const std::string local = kSignature +
                              "20"
                              "00"
                              "0000";
    const sockaddr_storage four = inet("192.0.2.1", 1);
    const sockaddr_storage six = inet("2001:db8::1", 1);
    const sockaddr_storage pair[] = {of_family(AF_UNIX), of_family(AF_UNSPEC), four, six};
    for (const auto& source : pair) {
      for (const auto& target : pair) {
        const bool proxied = source.ss_family == target.ss_family &&
                             (source.ss_family == AF_INET || source.ss_family == AF_INET6);
        CPPUNIT_ASSERT_EQUAL(!proxied, hex(proxy_v2_header(source, target)) == local);
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProxyProtocolTest);
