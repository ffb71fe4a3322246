#include "mailer/serve/limits/resource_limits.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "mailer/serve/limits/cgroup_memory.h"

using namespace lmtpq::mailer;

namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

std::optional<std::uint64_t> limit_with(const Files& files) {
  std::string root = fs::temp_directory_path() / "lmtpq-cgroup.XXXXXX";
  CPPUNIT_ASSERT(mkdtemp(root.data()) != nullptr);
  for (const auto& [name, text] : files) {
    const fs::path path = root + name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  const auto found = cgroup_memory_limit(root);
  fs::remove_all(root);
  return found;
}

class ResourceLimitsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ResourceLimitsTest);
  CPPUNIT_TEST(version2HasAFileInTheGroup);
  CPPUNIT_TEST(version1HasAHierarchyForMemory);
  CPPUNIT_TEST(theLowestLimitOnTheWayDownHolds);
  CPPUNIT_TEST(aContainerMaySeeTheTopOnly);
  CPPUNIT_TEST(noLimitIsNone);
  CPPUNIT_TEST(theOptionComesFirst);
  CPPUNIT_TEST(clientsGetWhatOthersLeave);
  CPPUNIT_TEST(aUnixSocketTakesThreeDescriptors);
  CPPUNIT_TEST_SUITE_END();

  static void check(std::uint64_t wanted, const Files& files) {
    CPPUNIT_ASSERT_EQUAL(wanted, limit_with(files).value_or(0));
  }

  void version2HasAFileInTheGroup() {
    check(1000, {{"/proc/self/cgroup", "0::/system.slice/lmtpq.service\n"},
                 {"/sys/fs/cgroup/system.slice/lmtpq.service/memory.max", "1000\n"}});
  }

  void version1HasAHierarchyForMemory() {
    check(2000, {{"/proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/b\n1:name=systemd:/c\n0::/\n"},
                 {"/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "2000\n"}});
    check(2000, {{"/proc/self/cgroup", "4:cpu,memory:/b\n"},
                 {"/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "2000\n"}});
  }

  void theLowestLimitOnTheWayDownHolds() {
    check(1000, {{"/proc/self/cgroup", "0::/a/b/c\n"},
                 {"/sys/fs/cgroup/a/memory.max", "1000\n"},
                 {"/sys/fs/cgroup/a/b/memory.max", "max\n"},
                 {"/sys/fs/cgroup/a/b/c/memory.max", "3000\n"}});
  }

  void aContainerMaySeeTheTopOnly() {
    check(1000, {{"/proc/self/cgroup", "4:memory:/docker/0123\n"},
                 {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n"}});
    check(1000, {{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/memory.max", "1000\n"}});
  }

  void noLimitIsNone() {
    check(0, {});
    check(0, {{"/proc/self/cgroup", "0::/a\n"}});
    check(0, {{"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/a/memory.max", "max\n"}});
    check(0, {{"/proc/self/cgroup", "4:memory:/a\n"},
              {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"}});
    constexpr std::uint64_t kNone = std::uint64_t{1} << 60;
    for (const std::uint64_t limit : {kNone - 1, kNone}) {
      check(limit < kNone ? limit : 0,
            {{"/proc/self/cgroup", "0::/a\n"},
             {"/sys/fs/cgroup/a/memory.max", std::to_string(limit) + "\n"}});
    }
  }

  void theOptionComesFirst() {
    ServeSettings settings;
    settings.memory_limit = 12345678;
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{12345678}, memory_limit(settings));
    settings.memory_limit = 0;
    const auto group = cgroup_memory_limit();
    CPPUNIT_ASSERT_EQUAL(group ? *group / 2 : std::uint64_t{512} << 20, memory_limit(settings));
  }

  void clientsGetWhatOthersLeave() {
    const DescriptorNeeds needs{100, 50};
    CPPUNIT_ASSERT_EQUAL(std::size_t{200}, needs.all());
    CPPUNIT_ASSERT_EQUAL(std::size_t{50}, needs.affordable(200));
    CPPUNIT_ASSERT_EQUAL(std::size_t{49}, needs.affordable(199));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, needs.affordable(100));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, needs.affordable(10));
  }

  // Itself, its lock and its file.
  void aUnixSocketTakesThreeDescriptors() {
    DaemonSettings settings;
    settings.process.serve.control.clear();
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, socket_descriptors(settings));
    for (const auto& [address, wanted] :
         {std::pair("inet:127.0.0.1:24", std::size_t{1}), {"unix:/run/x", 4}, {"unix:/run/y", 7}}) {
      settings.listeners.emplace_back().address = parse_destination(address);
      CPPUNIT_ASSERT_EQUAL(wanted, socket_descriptors(settings));
    }
    settings.process.serve.control = "/run/control";
    CPPUNIT_ASSERT_EQUAL(std::size_t{10}, socket_descriptors(settings));
    settings.process.serve.metrics = "unix:/run/metrics";
    CPPUNIT_ASSERT_EQUAL(std::size_t{14}, socket_descriptors(settings));
    settings.process.serve.metrics = "127.0.0.1:9024";
    CPPUNIT_ASSERT_EQUAL(std::size_t{12}, socket_descriptors(settings));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ResourceLimitsTest);

}  // namespace
