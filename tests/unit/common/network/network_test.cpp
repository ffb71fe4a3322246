#include "common/network/network.h"

#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

using lmtpq::Address;
using lmtpq::Network;

class NetworkTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(NetworkTest);
  CPPUNIT_TEST(readsAddressesOfBothFamilies);
  CPPUNIT_TEST(aMappedAddressIsTheIpv4Address);
  CPPUNIT_TEST(refusesInvalidAddresses);
  CPPUNIT_TEST(anIpv6AddressIsShownInBrackets);
  CPPUNIT_TEST(readsAddressesOfSockets);
  CPPUNIT_TEST(otherSocketsHaveNoAddress);
  CPPUNIT_TEST(aNetworkContainsTheAddressesOfItsPrefix);
  CPPUNIT_TEST(refusesInvalidNetworks);
  CPPUNIT_TEST(aPrefixOfNoBitsIsEverything);
  CPPUNIT_TEST_SUITE_END();

  void anIpv6AddressIsShownInBrackets() {
    CPPUNIT_ASSERT_EQUAL(std::string("[2001:db8::1]"), address("2001:DB8::1").shown());
    CPPUNIT_ASSERT_EQUAL(std::string("192.0.2.1"), address("::ffff:192.0.2.1").shown());
    CPPUNIT_ASSERT_EQUAL(std::string("[fe80::1%eth0]"), lmtpq::bracketed("fe80::1%eth0"));
    CPPUNIT_ASSERT_EQUAL(std::string("store.test"), lmtpq::bracketed("store.test"));
  }

  static Address address(std::string_view text) {
    const auto made = Address::parse(text);
    CPPUNIT_ASSERT_MESSAGE(std::string(text), made.has_value());
    return *made;
  }

  static Network network(std::string_view text) {
    const auto made = Network::parse(text);
    CPPUNIT_ASSERT_MESSAGE(std::string(text), made.has_value());
    return *made;
  }

  void readsAddressesOfBothFamilies() {
    const struct {
      const char* text;
      const char* shown;
      bool ipv4;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"0.0.0.0", "0.0.0.0", true},
        {"255.255.255.255", "255.255.255.255", true},
        {"2001:db8::1", "2001:db8::1", false},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
        {"::", "::", false},
        {"::1", "::1", false},
        {"IPv6:2001:db8::1", "2001:db8::1", false},
        {"ipv6:::1", "::1", false},
        {"2001:0db8:ffff:ffff:ffff:ffff:255.255.255.255", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
         false},
    };
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.shown), address(row.text).text());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.text, row.ipv4, address(row.text).is_ipv4());
    }
  }

  void aMappedAddressIsTheIpv4Address() {
    CPPUNIT_ASSERT(address("::ffff:192.0.2.1") == address("192.0.2.1"));
    CPPUNIT_ASSERT(address("IPv6:::ffff:c000:201") == address("192.0.2.1"));
    CPPUNIT_ASSERT(!(address("::192.0.2.1") == address("192.0.2.1")));
    CPPUNIT_ASSERT(!(address("192.0.2.2") == address("192.0.2.1")));
  }

  void refusesInvalidAddresses() {
    const std::string_view refused[] = {"",
                                        " ",
                                        "local",
                                        "192.0.2",
                                        "192.0.2.256",
                                        "192.0.2.01",
                                        "192.0.2.1.1",
                                        "192.0.2.1 ",
                                        " 192.0.2.1",
                                        "0x7f.0.0.1",
                                        "2130706433",
                                        "[192.0.2.1]",
                                        "192.0.2.1/32",
                                        "IPv6:",
                                        "IPv6:192.0.2.1",
                                        "IPv6:IPv6:::1",
                                        "[::1]",
                                        ":::",
                                        "1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:8:9",
                                        "12345::",
                                        "fe80::1%eth0",
                                        "fe80::1%1",
                                        {"192.0.2.1\0", 10},
                                        {"::1\0::2", 7}};
    for (const std::string_view text : refused) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text), !Address::parse(text));
    }
    CPPUNIT_ASSERT(!Address::parse(std::string(100'000, ':')));
    CPPUNIT_ASSERT(!Address::parse("::" + std::string(100'000, '0')));
  }

  void readsAddressesOfSockets() {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    inet_pton(AF_INET, "192.0.2.7", &four.sin_addr);
    CPPUNIT_ASSERT(Address::of(reinterpret_cast<const sockaddr*>(&four)) == address("192.0.2.7"));
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_scope_id = 3;
    inet_pton(AF_INET6, "fe80::7", &six.sin6_addr);
    CPPUNIT_ASSERT(Address::of(reinterpret_cast<const sockaddr*>(&six)) == address("fe80::7"));
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &six.sin6_addr);
    CPPUNIT_ASSERT(Address::of(reinterpret_cast<const sockaddr*>(&six)) == address("192.0.2.7"));
  }

  void otherSocketsHaveNoAddress() {
    CPPUNIT_ASSERT(!Address::of(nullptr));
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    CPPUNIT_ASSERT(!Address::of(reinterpret_cast<const sockaddr*>(&local)));
    sockaddr unknown{};
    unknown.sa_family = AF_UNSPEC;
    CPPUNIT_ASSERT(!Address::of(&unknown));
  }

  void aNetworkContainsTheAddressesOfItsPrefix() {
    const struct {
      const char* network;
      const char* address;
      bool contained;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"192.0.2.1/32", "192.0.2.3", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.8/29", "192.0.2.15", true},
        {"192.0.2.8/29", "192.0.2.16", false},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "::1", false},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"128.0.0.0/1", "127.255.255.255", false},
        {"128.0.0.0/1", "128.0.0.0", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/127", "2001:db8::1", true},
        {"2001:db8::/127", "2001:db8::2", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "::", true},
        {"::/0", "192.0.2.1", false},
        {"::/0", "::ffff:192.0.2.1", false},
        {"::/80", "192.0.2.1", false},
        {"::ffff:192.0.2.0/120", "192.0.2.77", true},
        {"::ffff:192.0.2.0/120", "192.0.3.77", false},
        {"::ffff:0.0.0.0/96", "192.0.2.1", true},
        {"::ffff:0.0.0.0/96", "::1", false},
    };
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(row.network) + " and " + row.address, row.contained,
                                   network(row.network).contains(address(row.address)));
    }
  }

  void refusesInvalidNetworks() {
    const std::string_view refused[] = {"",
                                        "/",
                                        "/24",
                                        "192.0.2.0/",
                                        "192.0.2.0/33",
                                        "192.0.2/24",
                                        "192.0.2.1/24",
                                        "192.0.2.129/25",
                                        "192.0.2.0/-1",
                                        "192.0.2.0/+24",
                                        "192.0.2.0/024",
                                        "192.0.2.0/00",
                                        "192.0.2.0/24 ",
                                        "192.0.2.0 /24",
                                        "192.0.2.0/24/24",
                                        "192.0.2.0/255.255.255.0",
                                        "1.0.0.0/0",
                                        "192.0.2.0/4294967320",
                                        "192.0.2.0/99999999999999999999",
                                        "2001:db8::/129",
                                        "2001:db8::1/64",
                                        "2001:db8::1/127",
                                        "::1/0",
                                        "::ffff:0.0.0.0/95",
                                        "::ffff:192.0.2.1/120",
                                        "fe80::%eth0/10",
                                        "*",
                                        "local",
                                        "example.org",
                                        {"192.0.2.0/24\0", 13}};
    for (const std::string_view text : refused) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text), !Network::parse(text));
    }
  }

  void aPrefixOfNoBitsIsEverything() {
    for (const char* text : {"0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"}) {
      CPPUNIT_ASSERT_MESSAGE(text, network(text).is_everything());
    }
    for (const char* text : {"0.0.0.0/1", "0.0.0.0", "::/1", "::", "::/96", "10.0.0.0/8"}) {
      CPPUNIT_ASSERT_MESSAGE(text, !network(text).is_everything());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NetworkTest);
