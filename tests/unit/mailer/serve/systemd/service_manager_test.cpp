#include "mailer/serve/systemd/service_manager.h"

#include <cppunit/extensions/HelperMacros.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

#include "tests/unit/common/process_limits.h"
#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

using Lines = std::vector<std::string>;

class ServiceManagerTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(ServiceManagerTest);
  CPPUNIT_TEST(linesArriveAtAPathAndAtAnAbstractName);
  CPPUNIT_TEST(whatCannotBeSentNowIsSentLaterInOrder);
  CPPUNIT_TEST(ofManyThatCannotBeSentTheLatestAreKept);
  CPPUNIT_TEST(aBeatIsNotKeptAndOvertakesNothing);
  CPPUNIT_TEST(withoutADescriptorItIsSentLater);
  CPPUNIT_TEST(withoutAUsableNameNothingIsKept);
  CPPUNIT_TEST_SUITE_END();

 public:
  ServiceManagerTest() : ScratchFileFixture("notify") {}
  void tearDown() override {
    unsetenv("NOTIFY_SOCKET");
    beat_service_manager("");  // without it, what was kept is dropped
    ScratchFileFixture::tearDown();
  }

 private:
  // Reads at this name from now on; where it begins with @, at an abstract one.
  void listen(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') {
      address.sun_path[0] = '\0';
    }
    socket_ = Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    CPPUNIT_ASSERT_EQUAL(0,
                         bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address), size));
    CPPUNIT_ASSERT_EQUAL(0, setenv("NOTIFY_SOCKET", name.c_str(), 1));
  }
  // All that has arrived.
  Lines received() const {
    Lines made;
    char text[1000];
    ssize_t size = 0;
    while ((size = recv(socket_.number(), text, sizeof text, MSG_DONTWAIT)) >= 0) {
      made.emplace_back(text, static_cast<std::size_t>(size));
    }
    return made;
  }
  // Until the reader's queue takes no more.
  void fill() const {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    CPPUNIT_ASSERT_EQUAL(0, getsockname(socket_.number(), raw, &size));
    const Descriptor filler(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    CPPUNIT_ASSERT_EQUAL(0, connect(filler.number(), raw, size));
    while (send(filler.number(), "BEAT", 4, 0) == 4) {
    }
    beat_service_manager("lost");
  }

  void linesArriveAtAPathAndAtAnAbstractName() {
    for (const std::string& name : {file_, "@lmtpq-unit-test-" + std::to_string(getpid())}) {
      listen(name);
      notify_service_manager("READY=1");
      beat_service_manager("WATCHDOG=1");
      beat_service_manager("");
      CPPUNIT_ASSERT((received() == Lines{"READY=1", "WATCHDOG=1"}));
    }
  }

  // As long as nobody is there, sending fails for good; a full queue may have room later.
  void whatCannotBeSentNowIsSentLaterInOrder() {
    listen(file_);
    fill();
    notify_service_manager("one");
    notify_service_manager("two");
    const Lines before = received();
    CPPUNIT_ASSERT(!before.empty());
    CPPUNIT_ASSERT(before == Lines(before.size(), "BEAT"));
    notify_service_manager("three");
    CPPUNIT_ASSERT((received() == Lines{"one", "two", "three"}));
  }

  void ofManyThatCannotBeSentTheLatestAreKept() {
    listen(file_);
    fill();
    for (int i = 1; i <= 20; ++i) {
      notify_service_manager(std::to_string(i));
    }
    received();
    beat_service_manager("");
    Lines later;
    for (Lines some = received(); !some.empty(); some = received()) {
      later.insert(later.end(), some.begin(), some.end());
      beat_service_manager("");
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{16}, later.size());
    for (std::size_t i = 0; i < later.size(); ++i) {
      CPPUNIT_ASSERT_EQUAL(std::to_string(i + 5), later[i]);
    }
  }

  void aBeatIsNotKeptAndOvertakesNothing() {
    listen(file_);
    fill();
    notify_service_manager("one");
    beat_service_manager("lost");
    received();
    beat_service_manager("two");
    CPPUNIT_ASSERT((received() == Lines{"one", "two"}));
  }

  void withoutADescriptorItIsSentLater() {
    listen(file_);
    {
      const DescriptorLimit none(0);
      notify_service_manager("one");
    }
    CPPUNIT_ASSERT(received().empty());
    beat_service_manager("two");
    CPPUNIT_ASSERT((received() == Lines{"one", "two"}));
  }

  void withoutAUsableNameNothingIsKept() {
    const std::string longest(sizeof(sockaddr_un::sun_path) - 1, 'x');
    for (const std::string& name :
         {std::string(), std::string("notify"), '/' + longest, '@' + longest, folder_ + "/none"}) {
      CPPUNIT_ASSERT_EQUAL(0, setenv("NOTIFY_SOCKET", name.c_str(), 1));
      notify_service_manager("lost");
    }
    unsetenv("NOTIFY_SOCKET");
    notify_service_manager("lost");
    listen(file_);
    notify_service_manager("READY=1");
    CPPUNIT_ASSERT((received() == Lines{"READY=1"}));
  }

  Descriptor socket_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServiceManagerTest);
