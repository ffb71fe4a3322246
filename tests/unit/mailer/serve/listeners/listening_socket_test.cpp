#include "mailer/serve/listeners/listening_socket.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Descriptor dial_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  return connect(made.number(), raw, sizeof address) == 0 ? std::move(made) : Descriptor();
}

sockaddr_in inet_address(std::uint16_t port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return made;
}

// On loopback, with a port that was free.
Descriptor bound_inet(std::uint16_t& port) {
  sockaddr_in address = inet_address(0);
  socklen_t size = sizeof address;
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  CPPUNIT_ASSERT_EQUAL(0, bind(made.number(), raw, size));
  CPPUNIT_ASSERT_EQUAL(0, getsockname(made.number(), raw, &size));
  port = ntohs(address.sin_port);
  return made;
}

Descriptor dial_inet(std::uint16_t port) {
  const sockaddr_in address = inet_address(port);
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  return connect(made.number(), raw, sizeof address) == 0 ? std::move(made) : Descriptor();
}

ListenerSettings listener(const std::string& name, const std::string& address) {
  ListenerSettings made;
  made.name = name;
  made.address = parse_destination(address);
  return made;
}

// As systemd starts a program: sockets from descriptor 3 on, described in the environment.
class PassedByHand {
 public:
  PassedByHand(const std::vector<Descriptor>& sockets, const char* names) {
    for (const Descriptor& socket : sockets) {
      const int number = SD_LISTEN_FDS_START + static_cast<int>(saved_.size());
      saved_.emplace_back(fcntl(number, F_DUPFD_CLOEXEC, 100));
      copies_.emplace_back(fcntl(socket.number(), F_DUPFD_CLOEXEC, 100));
    }
    for (std::size_t i = 0; i < copies_.size(); ++i) {
      dup2(copies_[i].number(), SD_LISTEN_FDS_START + static_cast<int>(i));
    }
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", names, 1);
  }
  ~PassedByHand() {
    for (std::size_t i = 0; i < saved_.size(); ++i) {
      const int number = SD_LISTEN_FDS_START + static_cast<int>(i);
      saved_[i].valid() ? dup2(saved_[i].number(), number) : close(number);
    }
    for (const char* const name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      unsetenv(name);
    }
  }

 private:
  std::vector<Descriptor> saved_;
  std::vector<Descriptor> copies_;
};

}  // namespace

class ListeningTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(ListeningTest);
  CPPUNIT_TEST(aUnixSocketHasItsModeAndReportsItsClient);
  CPPUNIT_TEST(aUnixSocketRemovesItsFile);
  CPPUNIT_TEST(aStaleFileIsReplaced);
  CPPUNIT_TEST(aSocketInUseIsNotReplaced);
  CPPUNIT_TEST(aFileThatIsNoSocketIsNotReplaced);
  CPPUNIT_TEST(aFailedSetupLeavesNoFile);
  CPPUNIT_TEST(anUnusableAddressIsReported);
  CPPUNIT_TEST(anAddressOfAnotherHostIsReportedWithTheRemedy);
  CPPUNIT_TEST(aTcpSocketReportsItsClient);
  CPPUNIT_TEST(aPortInUseIsReported);
  CPPUNIT_TEST(aPassedSocketIsFoundByNameOrAddress);
  CPPUNIT_TEST(theAddressDecidesAmongSocketsOfOneName);
  CPPUNIT_TEST(aPassedSocketsFileIsNotRemoved);
  CPPUNIT_TEST(withoutPassedSocketsNoneIsFound);
  CPPUNIT_TEST_SUITE_END();

 public:
  ListeningTest() : ScratchFileFixture("socket") {}

 private:
  Destination address() const { return parse_destination("unix:" + file_); }
  bool exists() const {
    struct stat facts {};
    return lstat(file_.c_str(), &facts) == 0;
  }

  std::string error_of(const std::string& address, const ListenerOptions& settings = {}) const {
    try {
      const ListeningSocket socket(parse_destination(address), settings);
    } catch (const ConfigError& error) {
      std::string words = error.what();
      const std::size_t at = words.find(file_);
      return at == words.npos ? words : words.replace(at, file_.size(), "FILE");
    }
    return "no error";
  }

  void aUnixSocketHasItsModeAndReportsItsClient() {
    for (const mode_t mode : {mode_t{0600}, mode_t{0660}, mode_t{0666}}) {
      ListenerOptions settings;
      settings.mode = mode;
      const mode_t before = umask(022);
      const ListeningSocket socket(address(), settings);
      CPPUNIT_ASSERT_EQUAL(mode_t{022}, umask(before));
      struct stat facts {};
      CPPUNIT_ASSERT_EQUAL(0, stat(file_.c_str(), &facts));
      CPPUNIT_ASSERT_EQUAL(mode, facts.st_mode & 0777);
      CPPUNIT_ASSERT_EQUAL(address().text, socket.address().text);
      Client client{Address::parse("192.0.2.1"), 99};
      CPPUNIT_ASSERT(!socket.accept(client).valid());  // does not wait
      const Descriptor dialled = dial_unix(file_);
      const Descriptor accepted = socket.accept(client);
      CPPUNIT_ASSERT(dialled.valid() && accepted.valid());
      CPPUNIT_ASSERT(!client.address);
      CPPUNIT_ASSERT_EQUAL(geteuid(), client.uid);
      CPPUNIT_ASSERT((fcntl(accepted.number(), F_GETFD) & FD_CLOEXEC) != 0);
    }
  }

  void aUnixSocketRemovesItsFile() {
    {
      const ListeningSocket socket(address(), ListenerOptions());
      CPPUNIT_ASSERT(exists());
    }
    CPPUNIT_ASSERT(!exists());
    ListeningSocket closed(address(), ListenerOptions());
    closed.close();
    CPPUNIT_ASSERT(!exists());
    const ListeningSocket next(address(), ListenerOptions());
    closed.close();  // the file is no longer its own
    CPPUNIT_ASSERT(exists());
  }

  void aStaleFileIsReplaced() {
    {
      ListeningSocket dead(address(), ListenerOptions());
      CPPUNIT_ASSERT_EQUAL(0, rename(file_.c_str(), (file_ + ".kept").c_str()));
    }
    CPPUNIT_ASSERT_EQUAL(0, rename((file_ + ".kept").c_str(), file_.c_str()));
    CPPUNIT_ASSERT(exists() && !dial_unix(file_).valid());
    const ListeningSocket socket(address(), ListenerOptions());
    CPPUNIT_ASSERT(dial_unix(file_).valid());
  }

  void aSocketInUseIsNotReplaced() {
    const ListeningSocket socket(address(), ListenerOptions());
    CPPUNIT_ASSERT_EQUAL(
        std::string("listener unix:FILE: another program listens there; stop it first"),
        error_of("unix:" + file_));
    CPPUNIT_ASSERT(dial_unix(file_).valid());
  }

  void aFileThatIsNoSocketIsNotReplaced() {
    const std::string words =
        "listener unix:FILE: a file of this name exists and is not a socket; remove it";
    write("mail");
    CPPUNIT_ASSERT_EQUAL(words, error_of("unix:" + file_));
    CPPUNIT_ASSERT(exists());
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    const std::string target = folder_ + "/target";
    const ListeningSocket other(parse_destination("unix:" + target), ListenerOptions());
    CPPUNIT_ASSERT_EQUAL(0, symlink(target.c_str(), file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(words, error_of("unix:" + file_));
    CPPUNIT_ASSERT(dial_unix(target).valid());
  }

  void aFailedSetupLeavesNoFile() {
    for (const char* const owner : {"no-such-user", ":no-such-group", "root:no-such-group"}) {
      ListenerOptions settings;
      settings.owner = owner;
      const std::string error = error_of("unix:" + file_, settings);
      CPPUNIT_ASSERT_MESSAGE(error, error.starts_with("listener unix:FILE: listen-owner: no "));
      CPPUNIT_ASSERT_MESSAGE(owner, !exists());
    }
  }

  void anUnusableAddressIsReported() {
    const std::string error = error_of("unix:" + file_ + "/below");
    CPPUNIT_ASSERT_MESSAGE(
        error, error.starts_with("listener unix:FILE/below: bind: No such file or directory; its "
                                 "directory must exist"));
  }

  void anAddressOfAnotherHostIsReportedWithTheRemedy() {
    const std::string error = error_of("inet:192.0.2.1:2424");
    CPPUNIT_ASSERT_MESSAGE(error, error.ends_with("; name an address of this host"));
  }

  void aTcpSocketReportsItsClient() {
    std::uint16_t port = 0;
    bound_inet(port);
    const ListeningSocket socket(parse_destination("inet:127.0.0.1:" + std::to_string(port)),
                                 ListenerOptions());
    Client client{std::nullopt, 99};
    CPPUNIT_ASSERT(!socket.accept(client).valid());
    const Descriptor dialled = dial_inet(port);
    const Descriptor accepted = socket.accept(client);
    CPPUNIT_ASSERT(dialled.valid() && accepted.valid());
    CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1"), client.text());
    CPPUNIT_ASSERT(client.on_loopback());
  }

  void aPortInUseIsReported() {
    std::uint16_t port = 0;
    const Descriptor taken = bound_inet(port);
    CPPUNIT_ASSERT_EQUAL(0, listen(taken.number(), 1));
    const std::string address = "inet:127.0.0.1:" + std::to_string(port);
    CPPUNIT_ASSERT_EQUAL("listener " + address +
                             ": bind: Address already in use; stop the program that listens "
                             "there, or choose another port",
                         error_of(address));
  }

  Descriptor passed_unix(const std::string& path) const {
    ListeningSocket made(parse_destination("unix:" + path), ListenerOptions());
    const Descriptor copy(dup(made.number()));
    CPPUNIT_ASSERT_EQUAL(0, rename(path.c_str(), (path + ".kept").c_str()));
    made.close();
    CPPUNIT_ASSERT_EQUAL(0, rename((path + ".kept").c_str(), path.c_str()));
    return Descriptor(fcntl(copy.number(), F_DUPFD_CLOEXEC, 100));
  }

  void aPassedSocketIsFoundByNameOrAddress() {
    std::uint16_t port = 0;
    std::vector<Descriptor> sockets;
    sockets.push_back(passed_unix(file_));
    sockets.push_back(bound_inet(port));
    sockets.push_back(passed_unix(folder_ + "/named"));
    CPPUNIT_ASSERT_EQUAL(0, listen(sockets[1].number(), 1));
    const PassedByHand by_hand(sockets, "unknown:lmtpq.socket:cyrusv2");
    PassedSockets passed = PassedSockets::take();
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, passed.left().size());
    CPPUNIT_ASSERT((fcntl(SD_LISTEN_FDS_START, F_GETFD) & FD_CLOEXEC) != 0);
    CPPUNIT_ASSERT(!passed.find(listener("", "unix:/elsewhere")).valid());
    CPPUNIT_ASSERT(!passed.find(listener("other", "inet:127.0.0.1:1")).valid());
    Descriptor by_address = passed.find(listener("x", "unix:" + file_));
    CPPUNIT_ASSERT_EQUAL(SD_LISTEN_FDS_START, by_address.number());
    CPPUNIT_ASSERT(!passed.find(listener("x", "unix:" + file_)).valid());  // it is taken
    const Descriptor by_port = passed.find(listener("", "inet:127.0.0.1:" + std::to_string(port)));
    CPPUNIT_ASSERT_EQUAL(SD_LISTEN_FDS_START + 1, by_port.number());
    CPPUNIT_ASSERT_EQUAL(std::string("cyrusv2 (unix:" + folder_ + "/named)"), passed.left().at(0));
    const Descriptor by_name = passed.find(listener("cyrusv2", "unix:/elsewhere"));
    CPPUNIT_ASSERT_EQUAL(SD_LISTEN_FDS_START + 2, by_name.number());
    CPPUNIT_ASSERT(passed.left().empty());
    const ListeningSocket socket(address(), std::move(by_address));
    Client client;
    CPPUNIT_ASSERT(!socket.accept(client).valid());  // does not wait
    const Descriptor dialled = dial_unix(file_);
    CPPUNIT_ASSERT(socket.accept(client).valid());
  }

  // A unit with several ListenStream= has one FileDescriptorName= for all of them.
  void theAddressDecidesAmongSocketsOfOneName() {
    std::vector<Descriptor> sockets;
    sockets.push_back(passed_unix(file_));
    sockets.push_back(passed_unix(folder_ + "/other"));
    const PassedByHand by_hand(sockets, "lmtp:lmtp");
    PassedSockets passed = PassedSockets::take();
    const Descriptor other = passed.find(listener("lmtp", "unix:" + folder_ + "/other"));
    const Descriptor one = passed.find(listener("lmtp", "unix:" + file_));
    CPPUNIT_ASSERT_EQUAL(SD_LISTEN_FDS_START + 1, other.number());
    CPPUNIT_ASSERT_EQUAL(SD_LISTEN_FDS_START, one.number());
  }

  void aPassedSocketsFileIsNotRemoved() {
    { const ListeningSocket socket(address(), passed_unix(file_)); }
    CPPUNIT_ASSERT(exists());
  }

  void withoutPassedSocketsNoneIsFound() {
    PassedSockets passed = PassedSockets::take();
    CPPUNIT_ASSERT(passed.left().empty());
    CPPUNIT_ASSERT(!passed.find(listener("lmtp", "unix:" + file_)).valid());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ListeningTest);
