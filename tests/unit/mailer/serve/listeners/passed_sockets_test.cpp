#include "mailer/serve/listeners/passed_sockets.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "common/config_error.h"
#include "tests/unit/common/scratch_file.h"
#include "tests/unit/mailer/serve/listeners/local_sockets.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

ListenerSettings listener(const std::string& name, const std::string& address) {
  ListenerSettings made;
  made.name = name;
  made.address = parse_destination(address);
  return made;
}

struct Spec {
  std::string name, address, place = "--listen";
};

// As systemd starts a program: sockets from descriptor 3 on, described in the environment.
class PassedByHand {
 public:
  PassedByHand(const std::vector<Descriptor>& sockets, const char* names) {
    for (const Descriptor& socket : sockets) {
      const int number = SD_LISTEN_FDS_START + static_cast<int>(saved_.size());
      saved_.emplace_back(fcntl(number, F_DUPFD_CLOEXEC, 100));
      CPPUNIT_ASSERT_EQUAL(0, listen(socket.number(), 16));
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

class PassedSocketsTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(PassedSocketsTest);
  CPPUNIT_TEST(aPassedSocketIsFoundByAddressOrName);
  CPPUNIT_TEST(theAddressDecidesAmongSocketsOfOneName);
  CPPUNIT_TEST(theWholeAddressDecidesAndNotThePort);
  CPPUNIT_TEST(oneAddressHasSeveralForms);
  CPPUNIT_TEST(aTieIsAnErrorWithTheNames);
  CPPUNIT_TEST(aSocketIsGivenAgainWhenItsListenerIsBack);
  CPPUNIT_TEST(withoutPassedSocketsNoneIsFound);
  CPPUNIT_TEST_SUITE_END();

 public:
  PassedSocketsTest() : ScratchFileFixture("socket") {}

 private:
  // The descriptors that these listeners get; -1: none. Or the error.
  static std::vector<int> numbers(const PassedSockets& passed, const std::vector<Spec>& specs) {
    std::vector<ListenerSettings> listeners;
    for (const Spec& spec : specs) {
      listeners.push_back(listener(spec.name, spec.address));
      listeners.back().place = spec.place;
    }
    std::vector<const ListenerSettings*> pointers;
    for (const ListenerSettings& listener : listeners) {
      pointers.push_back(&listener);
    }
    std::vector<int> made;
    for (const PassedSocket& socket : passed.assign(pointers, {})) {
      made.push_back(socket ? socket->number() - SD_LISTEN_FDS_START : -1);
    }
    return made;
  }
  static std::string error_of(const PassedSockets& passed, const std::vector<Spec>& specs) {
    try {
      numbers(passed, specs);
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }
  static std::string inet(std::uint16_t port, const std::string& host = "127.0.0.1") {
    return "inet:" + host + ':' + std::to_string(port);
  }

  void aPassedSocketIsFoundByAddressOrName() {
    std::uint16_t port = 0;
    std::vector<Descriptor> sockets;
    sockets.push_back(passed_unix(file_));
    sockets.push_back(bound_inet(port));
    sockets.push_back(passed_unix(folder_ + "/named"));
    const PassedByHand by_hand(sockets, "unknown:lmtpq.socket:cyrusv2");
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    CPPUNIT_ASSERT((fcntl(SD_LISTEN_FDS_START, F_GETFD) & FD_CLOEXEC) != 0);
    CPPUNIT_ASSERT((numbers(passed, {Spec{"", "unix:/elsewhere"}, Spec{"other", "inet:127.0.0.1:1"},
                                     Spec{"x", "unix:" + file_}, Spec{"", inet(port)},
                                     Spec{"cyrusv2", "unix:/elsewhere"}}) ==
                    std::vector<int>{-1, -1, 0, 1, 2}));
    const ListenerSettings one = listener("x", "unix:" + file_);
    const PassedSocket used = passed.assign({&one}, {}).at(0);
    CPPUNIT_ASSERT_EQUAL("lmtpq.socket (" + inet(port) + ')', passed.left({used}).at(0));
    CPPUNIT_ASSERT_EQUAL("cyrusv2 (unix:" + folder_ + "/named)", passed.left({used}).at(1));
    const ListeningSocket socket(one.address, used);
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
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    CPPUNIT_ASSERT((numbers(passed, {Spec{"lmtp", "unix:" + folder_ + "/other"},
                                     Spec{"lmtp", "unix:" + file_}}) == std::vector<int>{1, 0}));
  }

  // trap: activated-by-port
  void theWholeAddressDecidesAndNotThePort() {
    std::uint16_t port = 0;
    std::vector<Descriptor> sockets;
    sockets.push_back(bound_inet(port, 2));
    sockets.push_back(bound_inet(port, 1));
    const PassedByHand by_hand(sockets, "lmtp:lmtp");
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    const Spec first{"", inet(port, "127.0.0.1")};
    const Spec second{"", inet(port, "127.0.0.2")};
    CPPUNIT_ASSERT((numbers(passed, {first, second}) == std::vector<int>{1, 0}));
    CPPUNIT_ASSERT((numbers(passed, {second, first}) == std::vector<int>{0, 1}));
    for (const char* const host : {"127.0.0.3", "0.0.0.0", "[::]", "[::1]"}) {
      CPPUNIT_ASSERT_MESSAGE(
          host, (numbers(passed, {Spec{"", inet(port, host)}}) == std::vector<int>{-1}));
    }
  }

  void oneAddressHasSeveralForms() {
    std::uint16_t port = 0;
    std::vector<Descriptor> sockets;
    sockets.push_back(bound_inet(port));
    sockets.push_back(passed_unix(file_));
    sockets.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un abstract{};
    abstract.sun_family = AF_UNIX;
    const std::string name = "lmtpq-" + std::to_string(getpid());
    name.copy(abstract.sun_path + 1, name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    CPPUNIT_ASSERT_EQUAL(
        0, bind(sockets[2].number(), reinterpret_cast<const sockaddr*>(&abstract), size));
    const PassedByHand by_hand(sockets, "a:b:c");
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    CPPUNIT_ASSERT_EQUAL(0, symlink(folder_.c_str(), (folder_ + "/here").c_str()));
    for (const std::string& address :
         {inet(port, "[::ffff:127.0.0.1]"), inet(port, "localhost"), inet(port)}) {
      CPPUNIT_ASSERT_MESSAGE(address,
                             (numbers(passed, {Spec{"", address}}) == std::vector<int>{0}));
    }
    for (const char* const path : {"//socket", "/./socket", "/here/socket"}) {
      CPPUNIT_ASSERT_MESSAGE(
          path, (numbers(passed, {Spec{"", "unix:" + folder_ + path}}) == std::vector<int>{1}));
    }
    CPPUNIT_ASSERT_EQUAL("c (unix:@" + name + ')', passed.left({}).at(2));
    CPPUNIT_ASSERT((numbers(passed, {Spec{"c", "unix:/abstract"}}) == std::vector<int>{2}));
  }

  void aTieIsAnErrorWithTheNames() {
    std::vector<Descriptor> sockets;
    sockets.push_back(passed_unix(file_));
    sockets.push_back(passed_unix(folder_ + "/other"));
    const PassedByHand by_hand(sockets, "lmtp:lmtp");
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    const Spec named{"lmtp", "unix:/elsewhere", "here"};
    CPPUNIT_ASSERT_EQUAL("here: systemd passed two sockets for this listener, lmtp (unix:" + file_ +
                             ") and lmtp (unix:" + folder_ + "/other); remove one of them",
                         error_of(passed, {named}));
    const Spec twice{"x", "unix:" + folder_ + "/./socket", "here"};
    const Spec once{"", "unix:" + file_};
    CPPUNIT_ASSERT_EQUAL(
        std::string("here: its address is the same as that of --listen; remove one of them"),
        error_of(passed, {once, twice}));
  }

  void aSocketIsGivenAgainWhenItsListenerIsBack() {
    std::vector<Descriptor> sockets;
    sockets.push_back(passed_unix(file_));
    const PassedByHand by_hand(sockets, "lmtp");
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    const ListenerSettings one = listener("", "unix:" + file_);
    for (int i = 0; i < 2; ++i) {
      const ListeningSocket socket(one.address, passed.assign({&one}, {}).at(0));
      CPPUNIT_ASSERT(dial_unix(file_).valid());
      CPPUNIT_ASSERT(!passed.assign({&one}, {socket.passed()}).at(0));
    }
    CPPUNIT_ASSERT(dial_unix(file_).valid());
  }

  void withoutPassedSocketsNoneIsFound() {
    const PassedSockets passed = PassedSockets::take(passed_descriptors());
    CPPUNIT_ASSERT(passed.left({}).empty());
    CPPUNIT_ASSERT((numbers(passed, {Spec{"lmtp", "unix:" + file_}}) == std::vector<int>{-1}));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PassedSocketsTest);
