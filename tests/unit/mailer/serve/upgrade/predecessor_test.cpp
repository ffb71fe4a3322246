#include "mailer/serve/upgrade/predecessor.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "mailer/serve/upgrade/upgrade_message.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::seconds;

namespace {

bool same_file(int one, int other) {
  struct stat a {};
  struct stat b {};
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

}  // namespace

// Standard error is one end of a pair of sockets that this process has made itself; the test is the
// running daemon at the other end.
class PredecessorTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PredecessorTest);
  CPPUNIT_TEST(anotherProgramIsNone);
  CPPUNIT_TEST(whatIsHandedOverArrives);
  CPPUNIT_TEST(aSocketIsTakenOnce);
  CPPUNIT_TEST(itWaitsForGo);
  CPPUNIT_TEST(aDaemonThatEndsIsAnError);
  CPPUNIT_TEST(whyItFailsIsTold);
  CPPUNIT_TEST_SUITE_END();

 public:
  void setUp() override {
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    daemon_ = Descriptor(ends[0]);
    const Descriptor other(ends[1]);
    error_ = Descriptor(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    dup2(other.number(), STDERR_FILENO);
    setenv(Predecessor::kVariable, std::to_string(getpid()).c_str(), 1);
  }
  void tearDown() override {
    dup2(error_.number(), STDERR_FILENO);
    unsetenv(Predecessor::kVariable);
  }

 private:
  void say(const std::vector<std::string>& words, const std::vector<int>& descriptors = {}) {
    CPPUNIT_ASSERT(send_message(daemon_.number(), words, descriptors));
  }
  // With its standard error.
  Predecessor found() {
    say({upgrade_words::kStandardError}, {error_.number()});
    say({upgrade_words::kAll});
    auto made = Predecessor::find();
    CPPUNIT_ASSERT(made);
    return std::move(*made);
  }
  std::string heard() {
    const auto message = receive_message(daemon_.number(), seconds(60));
    return message ? message->word(0) : "nothing";
  }

  void anotherProgramIsNone() {
    for (const std::string& from : {std::string("1"), std::string(), std::string("0")}) {
      setenv(Predecessor::kVariable, from.c_str(), 1);
      CPPUNIT_ASSERT(!Predecessor::find());
      CPPUNIT_ASSERT(getenv(Predecessor::kVariable) == nullptr);
    }
    CPPUNIT_ASSERT(!Predecessor::find());
  }

  void whatIsHandedOverArrives() {
    say({upgrade_words::kStandardError}, {error_.number()});
    say({"unknown", "words"}, {error_.number()});
    say({upgrade_words::kPassed, "front"}, {daemon_.number()});
    say({upgrade_words::kSocket, "unix:/a", "640", "root:mail"},
        {daemon_.number(), error_.number()});
    say({upgrade_words::kSocket, "unix:/without"});
    say({upgrade_words::kNotBefore, "7200", "a later word"});
    say({upgrade_words::kAll});
    auto made = Predecessor::find();
    CPPUNIT_ASSERT(made);
    CPPUNIT_ASSERT(getenv(Predecessor::kVariable) == nullptr);
    CPPUNIT_ASSERT(same_file(error_.number(), STDERR_FILENO));
    const auto passed = made->passed();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, passed.size());
    CPPUNIT_ASSERT_EQUAL(std::string("front"), passed[0].name);
    CPPUNIT_ASSERT(same_file(daemon_.number(), passed[0].socket.number()));
    CPPUNIT_ASSERT(made->passed().empty());
    const auto left = made->left();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, left.size());
    CPPUNIT_ASSERT_EQUAL(mode_t{0640}, left[0].mode);
    CPPUNIT_ASSERT_EQUAL(std::string("root:mail"), left[0].owner);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, left[0].descriptors.size());
    CPPUNIT_ASSERT(made->memory_upgrade_not_before().time_since_epoch() == seconds(7200));
  }

  void aSocketIsTakenOnce() {
    for (const char* const address : {"unix:/a", "unix:/b"}) {
      say({upgrade_words::kSocket, address, "600", ""}, {error_.number()});
    }
    Predecessor made = found();
    CPPUNIT_ASSERT(!made.socket("unix:/c"));
    const auto taken = made.socket("unix:/a");
    CPPUNIT_ASSERT(taken && taken->address == "unix:/a" && taken->descriptors.size() == 1);
    CPPUNIT_ASSERT(!made.socket("unix:/a"));
    const auto left = made.left();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, left.size());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/b"), left[0].address);
  }

  void itWaitsForGo() {
    Predecessor made = found();
    say({"a word of another version"});
    say({upgrade_words::kGo});
    made.wait_for_go();
    CPPUNIT_ASSERT_EQUAL(std::string(upgrade_words::kReady), heard());
    CPPUNIT_ASSERT(!made.fail("too late"));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), heard());
  }

  void aDaemonThatEndsIsAnError() {
    Predecessor made = found();
    say({"a word of another version"});
    daemon_ = Descriptor();
    CPPUNIT_ASSERT_THROW(made.wait_for_go(), std::runtime_error);
  }

  void whyItFailsIsTold() {
    CPPUNIT_ASSERT(found().fail("no store"));
    CPPUNIT_ASSERT_EQUAL(std::string("no store"), heard());
  }

  Descriptor daemon_;
  Descriptor error_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PredecessorTest);
