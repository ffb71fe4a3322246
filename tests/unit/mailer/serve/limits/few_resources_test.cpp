// What ResourceLimits does and says where descriptors or memory are few.

#include "mailer/serve/limits/resource_limits.h"
#include "tests/unit/common/process_limits.h"
#include "tests/unit/mailer/serve/listeners/clients_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::seconds;

class FewResourcesTest : public ClientsFixture {
  CPPUNIT_TEST_SUITE(FewResourcesTest);
  CPPUNIT_TEST(aStartNeedsDescriptorsForOneClient);
  CPPUNIT_TEST(whatIsMissingIsInTheLogAndClientsAreFewer);
  CPPUNIT_TEST(aLookFollowsTheNumberOfStores);
  CPPUNIT_TEST(refusedMessagesAreLoggedOnceAMinute);
  CPPUNIT_TEST_SUITE_END();

  void aStartNeedsDescriptorsForOneClient() {
    DaemonSettings settings;
    settings.process.serve.threads = 3;
    settings.process.serve.control = "/run/control";
    settings.listeners.emplace_back().address = parse_destination("inet:127.0.0.1:24");
    const auto error_with = [&](rlim_t limit) {
      const DescriptorLimit few(limit);
      try {
        require_descriptors(settings);
      } catch (const ConfigError& error) {
        return std::string(error.what());
      }
      return std::string();
    };
    // 20, three for the control socket, one for the listener, two for each thread.
    CPPUNIT_ASSERT_EQUAL(std::string("the process may open 29 files, and needs 30 at least; raise "
                                     "LimitNOFILE= of the unit (ulimit -n)"),
                         error_with(29));
    CPPUNIT_ASSERT_EQUAL(std::string(), error_with(30));
  }

  // Of the others there are a reserve of 64, a control socket, a listener, two threads and seven
  // connections.
  static constexpr std::size_t kOthers = 64 + 3 + 3 + 2 * 2 + 2 * 7;

  void configure_few(const std::string& more = "") {
    configure(more, "control = " + folder_ +
                        "/control\nthreads = 2\nmax-clients = 50\nconnections = 7\n"
                        "memory-limit = 3M\n");
  }

  bool affords(std::size_t number) {
    std::vector<Descriptor> clients;
    while (!clients_->full()) {
      CPPUNIT_ASSERT(clients.size() < number);
      clients.push_back(connected(over_unix(static_cast<uid_t>(clients.size()))));
    }
    const bool right = clients.size() == number;
    clients.clear();
    return all_have_left() && right;
  }

  void whatIsMissingIsInTheLogAndClientsAreFewer() {
    configure_few();
    ResourceLimits limits(current_, registry_, *clients_, memory_, *log_file_);
    {
      const DescriptorLimit enough(kOthers + 100);
      limits.take_over();
      CPPUNIT_ASSERT(!has_logged("event=descriptors-few"));
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{3} << 20, memory_.limit());
    }
    {
      const DescriptorLimit few(kOthers + 6);
      limits.take_over();
    }
    CPPUNIT_ASSERT(affords(3));
    const std::string needed = std::to_string(kOthers + 100);
    CPPUNIT_ASSERT_MESSAGE(
        logged(),
        has_logged("level=warning event=descriptors-few limit=" + std::to_string(kOthers + 6) +
                   " needed=" + needed +
                   " missing=94 effect=\"at most 3 clients are served at a time; others wait\" "
                   "remedy=\"set LimitNOFILE= of the unit (ulimit -n) to " +
                   needed + ", or lower max-clients\""));
  }

  // As a route brings them.
  void aLookFollowsTheNumberOfStores() {
    configure_few();
    ResourceLimits limits(current_, registry_, *clients_, memory_, *log_file_);
    const auto configuration = current_.get();
    const auto more =
        configuration->pools(*configuration->listener("unix:/a"), {parse_destination("unix:/t")});
    {
      const DescriptorLimit few(kOthers + 2 * 7 + 4);
      limits.look();
    }
    CPPUNIT_ASSERT(affords(2));
    CPPUNIT_ASSERT(!has_logged("event=descriptors-few"));
  }

  void refuse_messages(int number) {
    for (int i = 0; i < number; ++i) {
      CPPUNIT_ASSERT(!memory_.take(1'000'000'000, MemoryBudget::Use::kMessage));
    }
  }

  void refusedMessagesAreLoggedOnceAMinute() {
    configure_few();
    ResourceLimits limits(current_, registry_, *clients_, memory_, *log_file_);
    limits.take_over();
    const Clock::time_point start = Clock::now();
    limits.look(start);
    CPPUNIT_ASSERT(!has_logged("event=memory-short"));
    refuse_messages(2);
    CPPUNIT_ASSERT(memory_.take(4096, MemoryBudget::Use::kClient));
    limits.look(start + seconds(1));
    CPPUNIT_ASSERT_MESSAGE(
        logged(), has_logged("level=warning event=memory-short limit=3145728 used=4096 refused=2 "
                             "effect=\"new messages are deferred with 452 4.3.1\" "
                             "remedy=\"raise memory-limit; see whether a store is slow\""));
    refuse_messages(3);
    limits.look(start + seconds(60));
    CPPUNIT_ASSERT(!has_logged(" refused=3 "));
    limits.look(start + seconds(61));
    CPPUNIT_ASSERT(has_logged(" refused=3 "));
    const std::string lines = logged();
    limits.look(start + seconds(200));
    CPPUNIT_ASSERT_EQUAL(lines, logged());
    memory_.give_back(4096);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FewResourcesTest);
