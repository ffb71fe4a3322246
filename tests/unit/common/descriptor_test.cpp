#include "common/descriptor.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "tests/unit/common/in_a_child.h"

using lmtpq::Descriptor;

namespace {

bool is_open(int number) { return fcntl(number, F_GETFD) >= 0; }

Descriptor opened() { return Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

class DescriptorTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DescriptorTest);
  CPPUNIT_TEST(theOwnerCloses);
  CPPUNIT_TEST(closedStandardDescriptorsFailOrDiscard);
  CPPUNIT_TEST(openStandardDescriptorsStay);
  CPPUNIT_TEST(theLimitBecomesTheHardOne);
  CPPUNIT_TEST_SUITE_END();

  void theOwnerCloses() {
    CPPUNIT_ASSERT(!Descriptor().valid() && Descriptor(0).valid());
    int number = -1;
    {
      Descriptor first = opened();
      number = first.number();
      Descriptor second(std::move(first));
      CPPUNIT_ASSERT(!first.valid());  // NOLINT(bugprone-use-after-move)
      first = std::move(second);
      CPPUNIT_ASSERT(is_open(number));
      first = Descriptor();
      CPPUNIT_ASSERT(!is_open(number));
    }
    Descriptor released = opened();
    number = released.release();
    CPPUNIT_ASSERT(!released.valid() && is_open(number));
    { const Descriptor again(number); }
    CPPUNIT_ASSERT(!is_open(number));
  }

  // Reading fails, writing to standard output too, and errors are discarded.
  void closedStandardDescriptorsFailOrDiscard() {
    CPPUNIT_ASSERT(lmtpq::in_a_child([] {
      for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) {
        close(number);
      }
      lmtpq::fill_standard_descriptors();
      char byte = 'x';
      const bool reads = read(STDIN_FILENO, &byte, 1) >= 0 || errno != EBADF;
      const bool writes = write(STDOUT_FILENO, &byte, 1) >= 0 || errno != EBADF;
      return !reads && !writes && write(STDERR_FILENO, &byte, 1) == 1;
    }));
  }

  void openStandardDescriptorsStay() {
    CPPUNIT_ASSERT(lmtpq::in_a_child([] {
      int ends[2];
      if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        return false;
      }
      lmtpq::fill_standard_descriptors();
      char byte = 'x';
      return write(STDERR_FILENO, &byte, 1) == 1 && read(ends[0], &byte, 1) == 1;
    }));
  }

  void theLimitBecomesTheHardOne() {
    CPPUNIT_ASSERT(lmtpq::in_a_child([] {
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      limit.rlim_cur = 32;
      setrlimit(RLIMIT_NOFILE, &limit);
      lmtpq::raise_descriptor_limit();
      rlimit now{};
      return getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == limit.rlim_max &&
             now.rlim_max == limit.rlim_max;
    }));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DescriptorTest);
