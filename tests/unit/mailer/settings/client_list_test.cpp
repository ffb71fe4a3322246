#include "mailer/settings/client_list.h"

#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <netinet/in.h>

#include "common/options/option_reader.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Client from(const char* address) {
  const auto parsed = Address::parse(address);
  CPPUNIT_ASSERT_MESSAGE(address, parsed.has_value());
  return {parsed, 0};
}

Client over_unix(uid_t uid) { return {std::nullopt, uid}; }

std::string error_of(const std::string& words) {
  try {
    ClientList::parse(words);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

class ClientListTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ClientListTest);
  CPPUNIT_TEST(anEmptyListContainsNoClient);
  CPPUNIT_TEST(addressesAndNetworksContainTheClientsThere);
  CPPUNIT_TEST(anIpv4MappedAddressIsTheIpv4Address);
  CPPUNIT_TEST(uidsAndUsersContainClientsOverAUnixSocket);
  CPPUNIT_TEST(aUidNeverMatchesAnAddress);
  CPPUNIT_TEST(allContainsEveryClient);
  CPPUNIT_TEST(anotherFormIsAnError);
  CPPUNIT_TEST(aUidThatIsTooLargeIsAnError);
  CPPUNIT_TEST(aClientIsLoggedAsAddressOrUid);
  CPPUNIT_TEST(loopbackIsThisHostOnly);
  CPPUNIT_TEST_SUITE_END();

  void anEmptyListContainsNoClient() {
    for (const char* const words : {"", " ", ",", " , "}) {
      const ClientList list = ClientList::parse(words);
      CPPUNIT_ASSERT_MESSAGE(words, list.empty());
      CPPUNIT_ASSERT(!list.contains(from("127.0.0.1")) && !list.contains(over_unix(0)));
    }
    CPPUNIT_ASSERT(ClientList().empty());
    for (const char* const words : {"all", "192.0.2.1", "uid:0"}) {
      CPPUNIT_ASSERT_MESSAGE(words, !ClientList::parse(words).empty());
    }
  }

  void addressesAndNetworksContainTheClientsThere() {
    const ClientList list = ClientList::parse("192.0.2.1, 198.51.100.0/24 2001:db8::/32");
    for (const char* const in : {"192.0.2.1", "198.51.100.0", "198.51.100.255", "2001:db8::9"}) {
      CPPUNIT_ASSERT_MESSAGE(in, list.contains(from(in)));
    }
    for (const char* const out : {"192.0.2.2", "198.51.101.0", "198.51.99.255",
                                  "2001:db9::", "127.0.0.1", "::1", "0.0.0.0"}) {
      CPPUNIT_ASSERT_MESSAGE(out, !list.contains(from(out)));
    }
  }

  void anIpv4MappedAddressIsTheIpv4Address() {
    sockaddr_in6 mapped{};
    mapped.sin6_family = AF_INET6;
    CPPUNIT_ASSERT_EQUAL(1, inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr));
    const Client client{Address::of(reinterpret_cast<const sockaddr*>(&mapped)), 0};
    CPPUNIT_ASSERT(ClientList::parse("192.0.2.0/24").contains(client));
    CPPUNIT_ASSERT(!ClientList::parse("::/0").contains(client));
    CPPUNIT_ASSERT_EQUAL(std::string("192.0.2.1"), client.text());
  }

  void uidsAndUsersContainClientsOverAUnixSocket() {
    const ClientList list = ClientList::parse("uid:1234,user:root");
    CPPUNIT_ASSERT(list.contains(over_unix(1234)));
    CPPUNIT_ASSERT(list.contains(over_unix(0)));
    CPPUNIT_ASSERT(!list.contains(over_unix(1235)));
    CPPUNIT_ASSERT(ClientList::parse("uid:4294967294").contains(over_unix(4294967294U)));
  }

  // Over TCP the uid is 0, which is not root's; over a unix socket there is no address.
  void aUidNeverMatchesAnAddress() {
    CPPUNIT_ASSERT(!ClientList::parse("uid:0, user:root").contains(from("127.0.0.1")));
    CPPUNIT_ASSERT(!ClientList::parse("0.0.0.0/0, ::/0").contains(over_unix(0)));
  }

  void allContainsEveryClient() {
    for (const char* const words : {"all", "192.0.2.1 all", "all, uid:5"}) {
      const ClientList list = ClientList::parse(words);
      for (const Client& client : {from("203.0.113.9"), from("2001:db8::1"), over_unix(77)}) {
        CPPUNIT_ASSERT_MESSAGE(words + client.text(), list.contains(client));
      }
    }
  }

  void anotherFormIsAnError() {
    const std::string expected =
        "expected addresses, networks such as 192.0.2.0/24, uid:N, user:NAME or all";
    for (const char* const words : {"localhost", "192.0.2.1/24", "192.0.2", "1234", "ALL", "root",
                                    "fe80::1%lo", "192.0.2.1 everybody", "all:", "-"}) {
      CPPUNIT_ASSERT_MESSAGE(words, error_of(words).ends_with(expected));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("no such user on this system; create it, or correct the name"),
                         error_of("user:no-such-user"));
    for (const char* const words : {"uid:", "uid:-1", "uid:x", "uid:1x", "uid:0x10", "user:"}) {
      CPPUNIT_ASSERT_MESSAGE(words, error_of(words) != "no error");
    }
  }

  // 4294967296 is not root, and no user has the uid (uid_t)-1.
  void aUidThatIsTooLargeIsAnError() {
    for (const char* const words :
         {"uid:4294967295", "uid:4294967296", "uid:4294968296", "uid:18446744073709551616"}) {
      CPPUNIT_ASSERT_MESSAGE(words, error_of(words) != "no error");
    }
  }

  void aClientIsLoggedAsAddressOrUid() {
    CPPUNIT_ASSERT_EQUAL(std::string("192.0.2.1"), from("192.0.2.1").text());
    CPPUNIT_ASSERT_EQUAL(std::string("[2001:db8::1]"), from("2001:db8::1").text());
    CPPUNIT_ASSERT_EQUAL(std::string("uid:1000"), over_unix(1000).text());
  }

  void loopbackIsThisHostOnly() {
    for (const char* const own : {"127.0.0.1", "127.255.255.254", "::1"}) {
      CPPUNIT_ASSERT_MESSAGE(own, from(own).on_loopback());
    }
    for (const char* const other :
         {"126.255.255.255", "128.0.0.1", "::2", "::", "192.0.2.1", "0.0.0.0", "fe80::1"}) {
      CPPUNIT_ASSERT_MESSAGE(other, !from(other).on_loopback());
    }
    CPPUNIT_ASSERT(!over_unix(0).on_loopback());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ClientListTest);
