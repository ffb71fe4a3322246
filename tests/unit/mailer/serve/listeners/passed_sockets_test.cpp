#include "mailer/serve/listeners/passed_sockets.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdlib>

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

class PassedSocketsTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(PassedSocketsTest);
  CPPUNIT_TEST(aPassedSocketIsFoundByNameOrAddress);
  CPPUNIT_TEST(theAddressDecidesAmongSocketsOfOneName);
  CPPUNIT_TEST(withoutPassedSocketsNoneIsFound);
  CPPUNIT_TEST_SUITE_END();

 public:
  PassedSocketsTest() : ScratchFileFixture("socket") {}

 private:
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
    const ListeningSocket socket(parse_destination("unix:" + file_), std::move(by_address));
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

  void withoutPassedSocketsNoneIsFound() {
    PassedSockets passed = PassedSockets::take();
    CPPUNIT_ASSERT(passed.left().empty());
    CPPUNIT_ASSERT(!passed.find(listener("lmtp", "unix:" + file_)).valid());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PassedSocketsTest);
