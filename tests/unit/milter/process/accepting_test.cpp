#include "milter/process/accepting.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "tests/unit/common/process_limits.h"

using namespace lmtpq;
using namespace lmtpq::milter;

namespace {

// A socket that listens, and does not block.
Descriptor listener() {
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr nameless{AF_UNIX, {}};
  CPPUNIT_ASSERT_EQUAL(0, bind(made.number(), &nameless, sizeof nameless.sa_family));
  CPPUNIT_ASSERT_EQUAL(0, listen(made.number(), 1));
  return made;
}

int lowest_free(int any) {
  const Descriptor copy(dup(any));
  return copy.number();
}

}  // namespace

class AcceptingTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(AcceptingTest);
  CPPUNIT_TEST(theProcessNeeds32Descriptors);
  CPPUNIT_TEST(theLastDescriptorsAreKeptFree);
  CPPUNIT_TEST_SUITE_END();

  void theProcessNeeds32Descriptors() {
    {
      const DescriptorLimit enough(32);
      require_descriptors();
    }
    const DescriptorLimit few(31);
    try {
      require_descriptors();
      CPPUNIT_FAIL("it was enough");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(
          std::string("the process may open 31 files, and needs 32 at least; raise "
                      "LimitNOFILE= of the unit (ulimit -n)"),
          std::string(error.what()));
    }
  }

  // Sixteen, but half of them at most.
  void theLastDescriptorsAreKeptFree() {
    std::vector<std::size_t> reports;
    on_no_descriptors([&](std::size_t limit) { reports.push_back(limit); });
    const Descriptor listening = listener();
    std::vector<Descriptor> held;
    for (const rlim_t limit : {rlim_t{30}, rlim_t{64}}) {
      const DescriptorLimit narrow(limit);
      const int first_kept = static_cast<int>(limit == 30 ? 15 : 48);
      while (lowest_free(listening.number()) < first_kept - 1) {
        held.emplace_back(dup(listening.number()));
      }
      CPPUNIT_ASSERT_EQUAL(first_kept - 1, lowest_free(listening.number()));
      // Nobody has connected.
      CPPUNIT_ASSERT_EQUAL(EAGAIN, error_of_accept(listening));
      held.emplace_back(dup(listening.number()));
      CPPUNIT_ASSERT_EQUAL(EINTR, error_of_accept(listening));
    }
    on_no_descriptors(nullptr);
    // Once a minute.
    CPPUNIT_ASSERT(reports == std::vector<std::size_t>{30});
  }

  static int error_of_accept(const Descriptor& listening) {
    CPPUNIT_ASSERT_EQUAL(-1, accept(listening.number(), nullptr, nullptr));
    return errno;
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AcceptingTest);
