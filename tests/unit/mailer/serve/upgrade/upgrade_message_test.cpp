#include "mailer/serve/upgrade/upgrade_message.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

class UpgradeMessageTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(UpgradeMessageTest);
  CPPUNIT_TEST(wordsAndDescriptorsArrive);
  CPPUNIT_TEST(messagesKeepTheirBounds);
  CPPUNIT_TEST(noMessageInTimeIsNoEnd);
  CPPUNIT_TEST(theEndOfTheOtherProcessIsAnEnd);
  CPPUNIT_TEST(whatWasSentBeforeTheEndArrives);
  CPPUNIT_TEST(nobodyCanBeSentToAfterTheEnd);
  CPPUNIT_TEST_SUITE_END();

 public:
  void setUp() override {
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    here_ = Descriptor(ends[0]);
    there_ = Descriptor(ends[1]);
  }

  void wordsAndDescriptorsArrive() {
    int pipe_ends[2];
    CPPUNIT_ASSERT_EQUAL(0, pipe2(pipe_ends, O_CLOEXEC));
    const Descriptor reads(pipe_ends[0]);
    {
      const Descriptor writes(pipe_ends[1]);
      CPPUNIT_ASSERT(send_message(there_.number(), {"socket", "", "a b"}, {writes.number()}));
    }
    const auto message = receive();
    CPPUNIT_ASSERT(message);
    CPPUNIT_ASSERT((message->words == std::vector<std::string>{"socket", "", "a b"}));
    CPPUNIT_ASSERT_EQUAL(std::string("a b"), message->word(2));
    CPPUNIT_ASSERT_EQUAL(std::string(), message->word(3));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, message->descriptors.size());
    const int received = message->descriptors[0].number();
    CPPUNIT_ASSERT((fcntl(received, F_GETFD) & FD_CLOEXEC) != 0);
    CPPUNIT_ASSERT_EQUAL(ssize_t{1}, write(received, "x", 1));
    char byte = 0;
    CPPUNIT_ASSERT_EQUAL(ssize_t{1}, read(reads.number(), &byte, 1));
  }

  void messagesKeepTheirBounds() {
    CPPUNIT_ASSERT(send_message(there_.number(), {"one"}));
    CPPUNIT_ASSERT(send_message(there_.number(), {"two", "words"}));
    CPPUNIT_ASSERT((receive()->words == std::vector<std::string>{"one"}));
    CPPUNIT_ASSERT((receive()->words == std::vector<std::string>{"two", "words"}));
  }

  void noMessageInTimeIsNoEnd() {
    errno = 0;
    CPPUNIT_ASSERT(!receive_message(here_.number(), milliseconds(1)));
    CPPUNIT_ASSERT_EQUAL(EAGAIN, errno);
  }

  void theEndOfTheOtherProcessIsAnEnd() {
    there_ = Descriptor();
    errno = EAGAIN;  // of an earlier call
    CPPUNIT_ASSERT(!receive());
    CPPUNIT_ASSERT_EQUAL(EPIPE, errno);
  }

  // It ended without reading all, which is an error on the socket as well.
  void whatWasSentBeforeTheEndArrives() {
    CPPUNIT_ASSERT(send_message(here_.number(), {"not read"}));
    CPPUNIT_ASSERT(send_message(there_.number(), {"ready"}));
    there_ = Descriptor();
    const auto message = receive();
    CPPUNIT_ASSERT(message && message->word(0) == "ready");
    errno = EAGAIN;
    CPPUNIT_ASSERT(!receive());
    CPPUNIT_ASSERT_EQUAL(EPIPE, errno);
  }

  void nobodyCanBeSentToAfterTheEnd() {
    there_ = Descriptor();
    CPPUNIT_ASSERT(!send_message(here_.number(), {"go"}));
    CPPUNIT_ASSERT_EQUAL(EPIPE, errno);
  }

 private:
  std::optional<UpgradeMessage> receive() const {
    return receive_message(here_.number(), milliseconds(5000));
  }

  Descriptor here_;
  Descriptor there_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(UpgradeMessageTest);
