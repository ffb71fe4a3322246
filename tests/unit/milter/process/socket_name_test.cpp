#include "milter/process/socket_name.h"

#include <cppunit/extensions/HelperMacros.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/config_error.h"
#include "common/descriptor.h"

using namespace lmtpq;
using namespace lmtpq::milter;

namespace {

// A TCP socket of 127.0.0.1, on a port that nobody else gets.
class Taken {
 public:
  explicit Taken(bool listens = true) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    setsockopt(socket_.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    CPPUNIT_ASSERT_EQUAL(0, bind(socket_.number(), plain, size));
    CPPUNIT_ASSERT_EQUAL(0, listens ? listen(socket_.number(), 5) : 0);
    CPPUNIT_ASSERT_EQUAL(0, getsockname(socket_.number(), plain, &size));
    name = "inet:" + std::to_string(ntohs(address.sin_port)) + "@127.0.0.1";
  }
  bool was_called() const {
    pollfd entry{socket_.number(), POLLIN, 0};
    return poll(&entry, 1, 60'000) == 1;
  }

  std::string name;

 private:
  Descriptor socket_;
};

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

class SocketNameTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SocketNameTest);
  CPPUNIT_TEST(aNameHasItsParts);
  CPPUNIT_TEST(aPortIsFrom1To65535);
  CPPUNIT_TEST(onlyLoopbackAddressesAreClosedToTheNetwork);
  CPPUNIT_TEST(aPortThatIsTakenIsRefusedUnlessItIsOnlyChecked);
  CPPUNIT_TEST(anAddressOfAnotherHostIsRefused);
  CPPUNIT_TEST(aHostOfAnotherFamilyIsRefused);
  CPPUNIT_TEST(aKnockConnects);
  CPPUNIT_TEST_SUITE_END();

  void aNameHasItsParts() {
    const SocketName local = SocketName::parse("local:/run/a:b@c");
    CPPUNIT_ASSERT_EQUAL(AF_UNIX, local.family);
    CPPUNIT_ASSERT_EQUAL(std::string("/run/a:b@c"), local.path);
    for (const auto& [text, host] : {std::pair<std::string, std::string>("inet6:25@[::1]", "::1"),
                                     {"inet6:25@::1", "::1"},
                                     {"inet6:25@[::1", "[::1"},
                                     {"inet6:25@::1]", "::1]"}}) {
      const SocketName made = SocketName::parse(text);
      CPPUNIT_ASSERT_EQUAL(AF_INET6, made.family);
      CPPUNIT_ASSERT_EQUAL(std::string("25"), made.port);
      CPPUNIT_ASSERT_EQUAL(host, made.host);
    }
    CPPUNIT_ASSERT_EQUAL(AF_INET, SocketName::parse("inet:25@h").family);
  }

  void aPortIsFrom1To65535() {
    for (const char* port : {"1", "9", "65535", "00001"}) {
      CPPUNIT_ASSERT_EQUAL(std::string(port), SocketName::parse(port_of(port)).port);
    }
    for (const char* port : {"", "0", "00000", "65536", "99999", "000001", "1x", "x", " 1", "-1"}) {
      CPPUNIT_ASSERT_EQUAL(std::string("expected a port from 1 to 65535 before the @"),
                           error_of([&] { SocketName::parse(port_of(port)); }));
    }
  }

  static std::string port_of(const std::string& port) { return "inet:" + port + "@127.0.0.1"; }

  void onlyLoopbackAddressesAreClosedToTheNetwork() {
    for (const char* name :
         {"unix:/run/a", "inet:1@127.0.0.1", "inet:1@127.255.255.254", "inet6:1@[::1]"}) {
      CPPUNIT_ASSERT_MESSAGE(name, !open_to_network(SocketName::parse(name)));
    }
    for (const char* name : {"inet:1@0.0.0.0", "inet:1@126.255.255.255", "inet:1@128.0.0.1",
                             "inet:1@192.0.2.1", "inet6:1@[::]", "inet6:1@[::2]"}) {
      CPPUNIT_ASSERT_MESSAGE(name, open_to_network(SocketName::parse(name)));
    }
  }

  void aPortThatIsTakenIsRefusedUnlessItIsOnlyChecked() {
    const Taken taken;
    const SocketName name = SocketName::parse(taken.name);
    CPPUNIT_ASSERT_EQUAL(
        '"' + taken.name + "\": Address already in use; stop the program that listens there",
        error_of([&] { check_port(name); }));
    check_address(name);
    // A connection of a former process may be left at the port.
    const Taken former(false);
    for (int i = 0; i < 2; ++i) {
      check_port(SocketName::parse(former.name));
    }
  }

  void anAddressOfAnotherHostIsRefused() {
    const SocketName name = SocketName::parse("inet:8891@192.0.2.1");
    const std::string expected =
        "\"inet:8891@192.0.2.1\": Cannot assign requested address; name a free port of this host";
    CPPUNIT_ASSERT_EQUAL(expected, error_of([&] { check_port(name); }));
    CPPUNIT_ASSERT_EQUAL(expected, error_of([&] { check_address(name); }));
  }

  void aHostOfAnotherFamilyIsRefused() {
    const std::string error = error_of([] { check_port(SocketName::parse("inet:8891@::1")); });
    CPPUNIT_ASSERT_MESSAGE(error, error.starts_with("\"inet:8891@::1\": "));
  }

  void aKnockConnects() {
    const Taken taken;
    knock(SocketName::parse(taken.name));
    CPPUNIT_ASSERT(taken.was_called());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SocketNameTest);
