#include "common/network/listening_address.h"

#include <cppunit/extensions/HelperMacros.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "common/descriptor.h"

using namespace lmtpq;

class ListeningAddressTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ListeningAddressTest);
  CPPUNIT_TEST(onlyTheWholeAddressOfAListenerListens);
  CPPUNIT_TEST(anAddressOfAnotherHostCannotBeBound);
  CPPUNIT_TEST(anAddressInUseIsNoError);
  CPPUNIT_TEST_SUITE_END();

  using Found = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

  static Found found(const std::string& host, int port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo* list = nullptr;
    CPPUNIT_ASSERT_EQUAL(0, getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list));
    return {list, freeaddrinfo};
  }

  // At a free port of the host; its number.
  static int listen_at(const std::string& host, Descriptor& made) {
    const Found any = found(host, 0);
    made = Descriptor(socket(any->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CPPUNIT_ASSERT_EQUAL(0, bind(made.number(), any->ai_addr, any->ai_addrlen));
    CPPUNIT_ASSERT_EQUAL(0, listen(made.number(), 1));
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    getsockname(made.number(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin6_port);  // in the place of sin_port
  }

  void onlyTheWholeAddressOfAListenerListens() {
    Descriptor made;
    const int port = listen_at("127.0.0.1", made);
    CPPUNIT_ASSERT(is_listening(*found("127.0.0.1", port)));
    for (const char* other : {"0.0.0.0", "127.0.0.2", "::", "::1"}) {
      CPPUNIT_ASSERT_MESSAGE(other, !is_listening(*found(other, port)));
    }
    made = Descriptor();
    CPPUNIT_ASSERT(!is_listening(*found("127.0.0.1", port)));
    const int wide = listen_at("::", made);
    CPPUNIT_ASSERT(is_listening(*found("::", wide)));
    CPPUNIT_ASSERT(!is_listening(*found("::1", wide)));
  }

  void anAddressOfAnotherHostCannotBeBound() {
    CPPUNIT_ASSERT_EQUAL(EADDRNOTAVAIL, try_bind(*found("192.0.2.1", 2525)));
    CPPUNIT_ASSERT_EQUAL(EADDRNOTAVAIL, try_bind(*found("2001:db8::1", 2525)));
  }

  void anAddressInUseIsNoError() {
    Descriptor made;
    const int port = listen_at("127.0.0.1", made);
    CPPUNIT_ASSERT_EQUAL(0, try_bind(*found("127.0.0.1", port)));
    CPPUNIT_ASSERT_EQUAL(0, try_bind(*found("0.0.0.0", port)));
    made = Descriptor();
    CPPUNIT_ASSERT_EQUAL(0, try_bind(*found("127.0.0.1", port)));
    CPPUNIT_ASSERT(!is_listening(*found("127.0.0.1", port)));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ListeningAddressTest);
