#include "mailer/serve/status/snapshot.h"

#include <thread>

#include "mailer/serve/status/control_socket.h"
#include "mailer/settings/serve_settings.h"
#include "tests/unit/common/process_limits.h"
#include "tests/unit/mailer/serve/listeners/clients_fixture.h"
#include "tests/unit/mailer/serve/listeners/local_sockets.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::hours;

// What a daemon says of itself, and its control socket.
class SnapshotTest : public ClientsFixture {
  CPPUNIT_TEST_SUITE(SnapshotTest);
  CPPUNIT_TEST(clientsOfAListenerThatIsGoneAreShown);
  CPPUNIT_TEST(poolsOfOneStoreAreOne);
  CPPUNIT_TEST(aStoreThatIsDownSaysWhyAndUntilWhen);
  CPPUNIT_TEST(timesAreThoseOfTheDaemon);
  CPPUNIT_TEST(theTimerTellsTheCountersOfTheStores);
  CPPUNIT_TEST(theTimerSleeps);
  CPPUNIT_TEST(eachClientOfTheSocketGetsOneAnswer);
  CPPUNIT_TEST(aReaderThatLeavesIsForgotten);
  CPPUNIT_TEST(onlyTheDefaultSocketMayFail);
  CPPUNIT_TEST_SUITE_END();

  DaemonParts parts() {
    return {current_,
            *clients_,
            registry_,
            mailboxes_,
            memory_,
            counters_,
            *log_file_,
            std::chrono::system_clock::now(),
            Clock::now() - hours(25)};
  }
  Snapshot snapshot() { return take_snapshot(parts()); }

  void clientsOfAListenerThatIsGoneAreShown() {
    use("destination = unix:/s\n[listener.a]\naddress = unix:/a\n[listener.b]\naddress = "
        "unix:/b\n");
    const Descriptor one = connected(over_unix(), "unix:/b");
    const Descriptor two = connected(over_unix(), "unix:/a");
    const auto shown = [&] {
      std::string text;
      for (const ListenerStatus& listener : snapshot().listeners) {
        text +=
            listener.name + ' ' + listener.address + ' ' + std::to_string(listener.clients) + '\n';
      }
      return text;
    };
    CPPUNIT_ASSERT_EQUAL(std::string("a unix:/a 1\nb unix:/b 1\n"), shown());
    configure();
    CPPUNIT_ASSERT_EQUAL(std::string("a unix:/a 1\n unix:/b 1\n"), shown());
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, snapshot().clients);
    shutdown(one.number(), SHUT_WR);
    shutdown(two.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
    CPPUNIT_ASSERT_EQUAL(std::string("a unix:/a 0\n"), shown());
  }

  void poolsOfOneStoreAreOne() {
    configure("", "connections = 3\n");
    const auto former = current_.get();
    configure("", "connections = 4\n");
    const Snapshot now = snapshot();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, now.stores.size());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s"), now.stores[0].destination);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{7}, now.stores[0].limit);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, now.stores[0].leased + now.stores[0].idle);
    CPPUNIT_ASSERT(now.stores[0].up);
  }

  void aStoreThatIsDownSaysWhyAndUntilWhen() {
    configure("destination = unix:" + folder_ + "/none\n",
              "dial-backoff = 1h\n"
              "dial-backoff-limit = 1h\n");
    for (const auto& pool : registry_.all()) {
      ConnectionPool::Failure failure;
      CPPUNIT_ASSERT(!pool->take(Clock::now() + std::chrono::seconds(60), failure));
    }
    const Snapshot now = snapshot();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, now.stores.size());
    CPPUNIT_ASSERT(!now.stores[0].up);
    CPPUNIT_ASSERT(now.stores[0].retry_in > 60);
    CPPUNIT_ASSERT_MESSAGE(
        now.stores[0].failure,
        now.stores[0].failure.find("No such file or directory") != std::string::npos);
  }

  void timesAreThoseOfTheDaemon() {
    configure("", "max-clients = 12\n");
    const Snapshot now = snapshot();
    CPPUNIT_ASSERT(now.uptime >= 25 * 3600 && now.uptime < 26 * 3600);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{12}, now.most_clients);
    CPPUNIT_ASSERT_EQUAL(static_cast<std::uint64_t>(getpid()), now.pid);
  }

  bool counters_know(const std::string& destination) const {
    bool known = false;
    counters_.each(
        [&](const std::string& one, const Counters&) { known = known || one == destination; });
    return known;
  }

  void theTimerTellsTheCountersOfTheStores() {
    configure();
    CPPUNIT_ASSERT(!counters_know("unix:/s"));
    const ControlSocket timer(parts(), "", nullptr, *log_file_);
    CPPUNIT_ASSERT(timer.socket() == nullptr);
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (!counters_know("unix:/s") && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CPPUNIT_ASSERT(counters_know("unix:/s"));
  }

  void theTimerSleeps() {
    configure();
    const ControlSocket timer(parts(), "", nullptr, *log_file_);
    const auto before = processor_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    CPPUNIT_ASSERT(processor_time() - before < std::chrono::milliseconds(150));
  }

  static std::shared_ptr<ListeningSocket> open(const Destination& address,
                                               const ListenerOptions& options) {
    return std::make_shared<ListeningSocket>(address, options);
  }

  void eachClientOfTheSocketGetsOneAnswer() {
    configure("", "max-clients = 12\n");
    const std::string path = folder_ + "/control";
    ControlSocket control(parts(), path, open, *log_file_);
    for (int i = 0; i < 10; ++i) {
      const Descriptor client = dial_unix(path);
      const Snapshot now = parse_snapshot(all_of(client));
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{12}, now.most_clients);
    }
    control.stop();
    CPPUNIT_ASSERT(control.socket() == nullptr);
    CPPUNIT_ASSERT(!dial_unix(path).valid());
    control.stop();
  }

  // Its answer is larger than the buffers; otherwise poll(2) would return again and again.
  void aReaderThatLeavesIsForgotten() {
    std::string text = "destination = unix:/s\n";
    for (int i = 0; i < 300; ++i) {
      const std::string number = std::to_string(i);
      text +=
          "[listener." + std::string(3000, 'x') + number + "]\naddress = unix:/" + number + '\n';
    }
    use(text);
    const std::string path = folder_ + "/control";
    const ControlSocket control(parts(), path, open, *log_file_);
    {
      const Descriptor client = dial_unix(path);
      char byte = 0;
      CPPUNIT_ASSERT_EQUAL(ssize_t{1}, read(client.number(), &byte, 1));
    }
    CPPUNIT_ASSERT(all_of(dial_unix(path)).size() > 900'000);
    const auto before = processor_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    CPPUNIT_ASSERT(processor_time() - before < std::chrono::milliseconds(150));
  }

  void onlyTheDefaultSocketMayFail() {
    configure();
    const OpenSocket broken = [](const Destination& address,
                                 const ListenerOptions&) -> std::shared_ptr<ListeningSocket> {
      throw ConfigError(address.text + ": broken");
    };
    CPPUNIT_ASSERT_THROW(ControlSocket(parts(), folder_ + "/control", broken, *log_file_),
                         ConfigError);
    CPPUNIT_ASSERT(!has_logged("event=control-socket-failed"));
    ControlSocket control(parts(), kDefaultControl, broken, *log_file_);
    control.share(true);
    CPPUNIT_ASSERT(control.socket() == nullptr);
    CPPUNIT_ASSERT(has_logged(
        std::string("level=warning event=control-socket-failed error=\"unix:") + kDefaultControl +
        ": broken\" effect=\"serve --status is "
        "unavailable\""));
  }

  MailboxLimiter mailboxes_;
  CounterRegistry counters_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SnapshotTest);
