#include "mailer/io/dialer.h"

#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "mailer/io/descriptor_channel.h"
#include "tests/unit/mailer/io/fake_resolver.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

Deadline soon() { return Clock::now() + 60s; }  // reached only if a test fails

// A server on 127.0.0.1 that accepts nothing by itself.
struct TcpServer {
  Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string port;

  explicit TcpServer(int backlog) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    CPPUNIT_ASSERT_EQUAL(0, bind(socket.number(), plain, size));
    if (backlog >= 0) {
      CPPUNIT_ASSERT_EQUAL(0, listen(socket.number(), backlog));
    }
    getsockname(socket.number(), plain, &size);
    port = std::to_string(ntohs(address.sin_port));
  }
};

Descriptor unix_server(const std::string& path, int backlog) {
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  CPPUNIT_ASSERT_EQUAL(0,
                       bind(made.number(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  CPPUNIT_ASSERT_EQUAL(0, listen(made.number(), backlog));
  return made;
}

// The dialled channel leads to the server.
void check_joined(int server, Dialled& dialled) {
  CPPUNIT_ASSERT_MESSAGE(dialled.failure, dialled.channel != nullptr);
  const Descriptor peer(accept(server, nullptr, nullptr));
  CPPUNIT_ASSERT_EQUAL(ssize_t{4}, write(peer.number(), "220\n", 4));
  std::string in;
  std::string_view none;
  CPPUNIT_ASSERT(dialled.channel->exchange(none, in, soon()) == IoStatus::kProgress);
  CPPUNIT_ASSERT_EQUAL(std::string("220\n"), in);
}

Dialled dial(const std::string& destination, std::chrono::milliseconds timeout,
             const Patience& patience) {
  SocketDialer dialer;
  return dialer.dial(parse_destination(destination), timeout, patience);
}
Dialled dial(const std::string& destination) { return dial(destination, 60s, soon()); }

void check_failed(const Dialled& dialled, const std::string& failure) {
  CPPUNIT_ASSERT(dialled.channel == nullptr);
  CPPUNIT_ASSERT_EQUAL(failure, dialled.failure);
}

}  // namespace

class DialerTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DialerTest);
  CPPUNIT_TEST(connectsToAUnixSocket);
  CPPUNIT_TEST(connectsToAnAddressWithoutLookingItUp);
  CPPUNIT_TEST(thePortDefaultsTo24);
  CPPUNIT_TEST(anIpv6AddressIsInBrackets);
  CPPUNIT_TEST(aRefusedConnectionIsReportedWithItsAddress);
  CPPUNIT_TEST(aMissingUnixSocketIsReported);
  CPPUNIT_TEST(aFullUnixBacklogIsWaitedForUntilTheDeadline);
  CPPUNIT_TEST(aFullTcpBacklogIsWaitedForUntilTheDeadline);
  CPPUNIT_TEST(everyAddressOfANameIsTried);
  CPPUNIT_TEST(ifAllAddressesRefuseTheLastOneIsReported);
  CPPUNIT_TEST(allAddressesTogetherMustMeetTheDeadline);
  CPPUNIT_TEST(aNameThatDoesNotExistIsReported);
  CPPUNIT_TEST(anEndlessLookUpEndsAtTheDeadline);
  CPPUNIT_TEST(aDialThatIsGivenUpEndsBeforeTheDeadline);
  CPPUNIT_TEST_SUITE_END();

 public:
  void setUp() override {
    std::string name = fs::temp_directory_path() / "lmtpq-dialer-test-XXXXXX";
    CPPUNIT_ASSERT(mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  void tearDown() override { fs::remove_all(folder_); }

 private:
  std::string folder_;

  void connectsToAUnixSocket() {
    const Descriptor server = unix_server(folder_ + "/s", 5);
    Dialled dialled = dial("unix:" + folder_ + "/s");
    check_joined(server.number(), dialled);
    CPPUNIT_ASSERT_EQUAL("unix:" + folder_ + "/s", dialled.peer);
  }

  void connectsToAnAddressWithoutLookingItUp() {
    const TcpServer server(5);
    Dialled dialled = dial("inet:127.0.0.1:" + server.port);
    check_joined(server.socket.number(), dialled);
    CPPUNIT_ASSERT_EQUAL("inet:127.0.0.1[127.0.0.1]:" + server.port, dialled.peer);
  }

  void thePortDefaultsTo24() {
    CPPUNIT_ASSERT_EQUAL(std::string("inet:127.0.0.1[127.0.0.1]:24"), dial("127.0.0.1").peer);
  }

  // Whether or not this host has IPv6, and whether or not anything listens there.
  void anIpv6AddressIsInBrackets() {
    CPPUNIT_ASSERT_EQUAL(std::string("inet:[::1]:9"), dial("inet:[0::1]:9").peer);
    CPPUNIT_ASSERT_EQUAL(std::string("smtp:[::1]:9"), dial("smtp:[::1]:9").peer);
    const std::string failure = dial("inet:[::1]:9").failure;
    CPPUNIT_ASSERT_MESSAGE(failure, failure.starts_with("inet:[::1]:9: "));
    CPPUNIT_ASSERT_EQUAL(std::string("smtp:127.0.0.1[127.0.0.1]:25"), dial("smtp:127.0.0.1").peer);
    fake_resolver::set("store.test", 0, {"::1"});
    CPPUNIT_ASSERT_EQUAL(std::string("inet:store.test[::1]:9"), dial("store.test:9").peer);
  }

  void aRefusedConnectionIsReportedWithItsAddress() {
    const TcpServer server(-1);  // bound, so that no one else has the port, but not listening
    check_failed(dial("127.0.0.1:" + server.port),
                 "inet:127.0.0.1[127.0.0.1]:" + server.port + ": Connection refused");
    { const Descriptor gone = unix_server(folder_ + "/s", 5); }
    check_failed(dial("unix:" + folder_ + "/s"), "unix:" + folder_ + "/s: Connection refused");
  }

  void aMissingUnixSocketIsReported() {
    check_failed(dial("unix:" + folder_ + "/none"),
                 "unix:" + folder_ + "/none: No such file or directory");
    fclose(fopen((folder_ + "/file").c_str(), "w"));
    check_failed(dial("unix:" + folder_ + "/file"),
                 "unix:" + folder_ + "/file: Connection refused");
    const std::string longest = "/" + std::string(106, 'a');
    check_failed(dial("unix:" + longest), "unix:" + longest + ": No such file or directory");
  }

  void aFullUnixBacklogIsWaitedForUntilTheDeadline() {
    const Descriptor server = unix_server(folder_ + "/s", 0);
    std::vector<Dialled> waiting;
    auto start = Clock::now();
    do {
      start = Clock::now();
      waiting.push_back(dial("unix:" + folder_ + "/s", 100ms, soon()));
    } while (waiting.back().channel && waiting.size() < 50);
    CPPUNIT_ASSERT(Clock::now() - start >= 100ms);
    CPPUNIT_ASSERT(Clock::now() - start < 30s);
    CPPUNIT_ASSERT(waiting.size() > 1);
    check_failed(waiting.back(), "unix:" + folder_ + "/s: Resource temporarily unavailable");
    // When there is room again, the next one is connected, also if it waits already.
    int asked = 0;
    Descriptor taken;
    const Dialled late = dial("unix:" + folder_ + "/s", 60s,
                              {soon(), [&] {
                                 taken = ++asked == 2
                                             ? Descriptor(accept(server.number(), nullptr, nullptr))
                                             : Descriptor();
                                 return false;
                               }});
    CPPUNIT_ASSERT_MESSAGE(late.failure, late.channel);
    CPPUNIT_ASSERT_EQUAL(2, asked);
  }

  void aFullTcpBacklogIsWaitedForUntilTheDeadline() {
    const TcpServer server(0);
    std::vector<Dialled> waiting;
    auto start = Clock::now();
    do {
      start = Clock::now();
      waiting.push_back(dial("127.0.0.1:" + server.port, 150ms, soon()));
    } while (waiting.back().channel && waiting.size() < 50);
    CPPUNIT_ASSERT(Clock::now() - start >= 150ms);
    CPPUNIT_ASSERT(Clock::now() - start < 30s);
    check_failed(waiting.back(),
                 "inet:127.0.0.1[127.0.0.1]:" + server.port + ": Connection timed out");
  }

  void everyAddressOfANameIsTried() {
    const TcpServer server(5);
    fake_resolver::set("store.example", 0, {"127.0.0.3", "127.0.0.2", "127.0.0.1", "127.0.0.4"});
    Dialled dialled = dial("store.example:" + server.port);
    check_joined(server.socket.number(), dialled);
    CPPUNIT_ASSERT_EQUAL("inet:store.example[127.0.0.1]:" + server.port, dialled.peer);
    CPPUNIT_ASSERT_EQUAL(std::string(), dialled.failure);
    CPPUNIT_ASSERT_EQUAL(1, fake_resolver::asked("store.example"));
  }

  void ifAllAddressesRefuseTheLastOneIsReported() {
    const TcpServer server(-1);
    fake_resolver::set("store.example", 0, {"127.0.0.2", "127.0.0.1"});
    check_failed(dial("store.example:" + server.port),
                 "inet:store.example[127.0.0.1]:" + server.port + ": Connection refused");
  }

  void allAddressesTogetherMustMeetTheDeadline() {
    const TcpServer server(0);
    std::vector<Dialled> waiting;
    do {
      waiting.push_back(dial("127.0.0.1:" + server.port, 50ms, soon()));
    } while (waiting.back().channel && waiting.size() < 50);
    fake_resolver::set("store.example", 0, {"127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"});
    const auto start = Clock::now();
    const Dialled dialled = dial("store.example:" + server.port, 60s, start + 200ms);
    CPPUNIT_ASSERT(Clock::now() - start < 30s);
    check_failed(dialled,
                 "inet:store.example[127.0.0.1]:" + server.port + ": Connection timed out");
  }

  void aNameThatDoesNotExistIsReported() {
    fake_resolver::set("none.example", EAI_NONAME);
    check_failed(dial("none.example:2003"),
                 "inet:none.example:2003: look-up of none.example port 2003: "
                 "Name or service not known");
    fake_resolver::set("later.example", EAI_AGAIN);
    const Dialled later = dial("later.example");
    CPPUNIT_ASSERT(!later.channel);
    CPPUNIT_ASSERT_MESSAGE(later.failure,
                           later.failure.ends_with("Temporary failure in name resolution"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:later.example"), later.peer);
    CPPUNIT_ASSERT(later.unresolved && !dial("none.example:2003").unresolved);
  }

  void anEndlessLookUpEndsAtTheDeadline() {
    fake_resolver::hang("slow.example");
    const auto start = Clock::now();
    const Dialled dialled = dial("slow.example:24", 100ms, soon());
    CPPUNIT_ASSERT(Clock::now() - start >= 100ms);
    CPPUNIT_ASSERT(Clock::now() - start < 30s);
    check_failed(dialled, "inet:slow.example:24: look-up of slow.example timed out");
    CPPUNIT_ASSERT(dialled.unresolved);
    fake_resolver::set("slow.example", EAI_AGAIN);
  }

  void aDialThatIsGivenUpEndsBeforeTheDeadline() {
    const auto start = Clock::now();
    const Patience none(start + 600s, [] { return true; });
    fake_resolver::hang("gone.example");
    check_failed(dial("gone.example:24", 600s, none),
                 "inet:gone.example:24: look-up of gone.example was given up");
    fake_resolver::set("gone.example", EAI_AGAIN);
    const TcpServer tcp(0);
    const Descriptor local = unix_server(folder_ + "/s", 0);
    for (const std::string& full : {"inet:127.0.0.1:" + tcp.port, "unix:" + folder_ + "/s"}) {
      std::vector<Dialled> waiting;
      do {
        waiting.push_back(dial(full, 600s, none));
      } while (waiting.back().channel && waiting.size() < 50);
      CPPUNIT_ASSERT(!waiting.back().channel);
    }
    CPPUNIT_ASSERT(Clock::now() < none.latest);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DialerTest);
