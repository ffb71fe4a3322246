#include "mailer/serve/listeners/listening_socket.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/common/scratch_file.h"
#include "tests/unit/mailer/serve/listeners/local_sockets.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Descriptor dial_inet(std::uint16_t port) {
  const sockaddr_in address = inet_address(port);
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  return connect(made.number(), raw, sizeof address) == 0 ? std::move(made) : Descriptor();
}

}  // namespace

class ListeningSocketTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(ListeningSocketTest);
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
  CPPUNIT_TEST(aPortIsFreeAgainAtOnce);
  CPPUNIT_TEST(anOwnerIsAUserAGroupOrBoth);
  CPPUNIT_TEST(aHandedSocketHasAllItsDescriptorsOrIsRefused);
  CPPUNIT_TEST(aPassedSocketsFileIsNotRemoved);
  CPPUNIT_TEST_SUITE_END();

 public:
  ListeningSocketTest() : ScratchFileFixture("socket") {}

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
  }

  void aStaleFileIsReplaced() {
    { const Descriptor dead = passed_unix(file_); }
    CPPUNIT_ASSERT(exists() && !dial_unix(file_).valid());
    const ListeningSocket socket(address(), ListenerOptions());
    CPPUNIT_ASSERT(dial_unix(file_).valid());
  }

  void aSocketInUseIsNotReplaced() {
    const ListeningSocket socket(address(), ListenerOptions());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:FILE: another program listens there; stop it first"),
                         error_of("unix:" + file_));
    CPPUNIT_ASSERT(dial_unix(file_).valid());
  }

  void aFileThatIsNoSocketIsNotReplaced() {
    const std::string words =
        "unix:FILE: a file of this name exists and is not a socket; remove it";
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
      CPPUNIT_ASSERT_MESSAGE(error, error.starts_with("unix:FILE: listen-owner: no "));
      CPPUNIT_ASSERT_MESSAGE(owner, !exists());
    }
  }

  void anUnusableAddressIsReported() {
    const std::string error = error_of("unix:" + file_ + "/below");
    CPPUNIT_ASSERT_MESSAGE(
        error, error.starts_with("unix:FILE/below: \"" + file_ +
                                 "/below.lock\": No such file or directory; mkdir -p -m 755 "));
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
    for (const auto& [level, option] :
         {std::pair<int, int>(IPPROTO_TCP, TCP_NODELAY), {SOL_SOCKET, SO_KEEPALIVE}}) {
      int value = 0;
      socklen_t size = sizeof value;
      CPPUNIT_ASSERT_EQUAL(0, getsockopt(accepted.number(), level, option, &value, &size));
      CPPUNIT_ASSERT_EQUAL(1, value);
    }
  }

  // A connection that we ended first keeps its port for a minute.
  void aPortIsFreeAgainAtOnce() {
    std::uint16_t port = 0;
    bound_inet(port);
    const Destination address = parse_destination("inet:127.0.0.1:" + std::to_string(port));
    {
      const ListeningSocket socket(address, ListenerOptions());
      const Descriptor dialled = dial_inet(port);
      Client client;
      { const Descriptor accepted = socket.accept(client); }
      char byte = 0;
      CPPUNIT_ASSERT_EQUAL(ssize_t{0}, read(dialled.number(), &byte, 1));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("no error"), error_of(address.text));
  }

  void anOwnerIsAUserAGroupOrBoth() {
    const auto access = [](const std::string& owner) {
      ListenerOptions settings;
      settings.owner = owner;
      settings.mode = 0612;
      return access_of(settings);
    };
    const UnixSocket::Access none = access("");
    CPPUNIT_ASSERT_EQUAL(mode_t{0612}, none.mode);
    for (const auto& [owner, uid, gid] : {std::tuple("root", uid_t{0}, none.gid),
                                          {"root:", uid_t{0}, none.gid},
                                          {":root", none.uid, gid_t{0}},
                                          {"root:root", uid_t{0}, gid_t{0}}}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(owner, uid, access(owner).uid);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(owner, gid, access(owner).gid);
    }
    CPPUNIT_ASSERT(none.uid != 0 && none.gid != 0);
  }

  // Of another version of the program, for example.
  void aHandedSocketHasAllItsDescriptorsOrIsRefused() {
    const ListeningSocket made(address(), ListenerOptions());
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, made.numbers().size());
    const auto handed = [&](const Destination& where, std::size_t count) {
      HandedSocket socket{where.text, 0640, "root", {}};
      for (std::size_t i = 0; i < count; ++i) {
        socket.descriptors.emplace_back(fcntl(made.numbers()[i], F_DUPFD_CLOEXEC, 0));
      }
      return socket;
    };
    const auto missing = [&](const Destination& where, std::size_t count) {
      try {
        ListeningSocket(where, handed(where, count));
      } catch (const ConfigError& error) {
        return error.what() == where.text + ": the running daemon did not hand over all " +
                                   "descriptors; restart instead";
      }
      return false;
    };
    const Destination inet = parse_destination("inet:127.0.0.1:24");
    CPPUNIT_ASSERT(missing(address(), 0) && missing(address(), 1) && missing(inet, 0));
    CPPUNIT_ASSERT(!missing(address(), 2) && !missing(address(), 3) && !missing(inet, 1));
    CPPUNIT_ASSERT(exists() && dial_unix(file_).valid());
    const ListeningSocket taken(address(), handed(address(), 3));
    CPPUNIT_ASSERT_EQUAL(mode_t{0640}, taken.mode());
    CPPUNIT_ASSERT_EQUAL(std::string("root"), taken.owner());
    ListenerOptions options;
    options.mode = 0640;
    options.owner = "root";
    CPPUNIT_ASSERT(taken.changed(options).empty());
    options.mode = 0600;
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, taken.changed(options).size());
    CPPUNIT_ASSERT_EQUAL(std::string("listen-mode"), std::string(taken.changed(options)[0]));
    options.owner.clear();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, taken.changed(options).size());
  }

  void aPortInUseIsReported() {
    std::uint16_t port = 0;
    const Descriptor taken = bound_inet(port);
    CPPUNIT_ASSERT_EQUAL(0, listen(taken.number(), 1));
    const std::string address = "inet:127.0.0.1:" + std::to_string(port);
    CPPUNIT_ASSERT_EQUAL(address +
                             ": bind: Address already in use; stop the program that listens "
                             "there, or choose another port",
                         error_of(address));
  }

  void aPassedSocketsFileIsNotRemoved() {
    {
      const auto passed = std::make_shared<const Descriptor>(passed_unix(file_));
      const ListeningSocket socket(address(), passed);
    }
    CPPUNIT_ASSERT(exists());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ListeningSocketTest);
