#include "mailer/serve/listeners/acceptor.h"

#include <thread>

#include "tests/unit/common/process_limits.h"
#include "tests/unit/mailer/serve/listeners/clients_fixture.h"
#include "tests/unit/mailer/serve/listeners/local_sockets.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

class AcceptorTest : public ClientsFixture {
  CPPUNIT_TEST_SUITE(AcceptorTest);
  CPPUNIT_TEST(clientsOfEachSocketAreServed);
  CPPUNIT_TEST(aSocketThatIsNotUsedAnyMoreIsReleased);
  CPPUNIT_TEST(clientsWaitForADescriptorAndTheLogSaysSoOnce);
  CPPUNIT_TEST(withoutADescriptorClientsWaitToo);
  CPPUNIT_TEST(itWaitsToo);
  CPPUNIT_TEST_SUITE_END();

  using Socket = std::shared_ptr<ListeningSocket>;

  Socket listening(const std::string& name) const {
    return std::make_shared<ListeningSocket>(parse_destination("unix:" + path(name)),
                                             ListenerOptions());
  }
  std::string path(const std::string& name) const { return folder_ + '/' + name; }

  void configure_two() {
    use("destination = unix:/s\n[listener.a]\naddress = unix:" + path("a") +
        "\n[listener.b]\naddress = unix:" + path("b") + '\n');
  }
  Descriptor dial(const std::string& name) const {
    Descriptor made = dial_unix(path(name));
    const timeval patience{60, 0};
    setsockopt(made.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return made;
  }
  bool greeted(const std::string& name) const { return line_of(dial(name)).starts_with("220 "); }

  void clientsOfEachSocketAreServed() {
    configure_two();
    Acceptor acceptor(*clients_, *log_file_);
    acceptor.use({listening("a")});
    CPPUNIT_ASSERT(greeted("a"));
    acceptor.use({listening("b"), listening("a2")});
    CPPUNIT_ASSERT(greeted("b"));
    CPPUNIT_ASSERT(line_of(dial("a2")).starts_with("421 4.3.2 No longer served here"));
    acceptor.stop();
    CPPUNIT_ASSERT(all_have_left());
  }

  void aSocketThatIsNotUsedAnyMoreIsReleased() {
    configure_two();
    Acceptor acceptor(*clients_, *log_file_);
    for (int i = 0; i < 20; ++i) {
      Socket socket = listening("a");
      acceptor.use({socket});
      acceptor.use({});
      CPPUNIT_ASSERT_EQUAL(1L, socket.use_count());
    }
  }

  void clientsWaitForADescriptorAndTheLogSaysSoOnce() {
    configure_two();
    Acceptor acceptor(*clients_, *log_file_);
    acceptor.use({listening("a")});
    clients_->limit_to(0);
    const Descriptor client = dial("a");
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    while (!has_logged("event=accept-failed") && Clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    std::this_thread::sleep_for(milliseconds(120));  // it looks again, and has no more to say
    clients_->limit_to(100);
    CPPUNIT_ASSERT(line_of(client).starts_with("220 "));
    CPPUNIT_ASSERT(has_logged("level=error event=accept-failed listener=unix:" + path("a") +
                              " error=\"only the reserve of descriptors is free\" effect=\"clients "
                              "wait; raise the limit of open files\""));
    const std::string lines = logged();
    CPPUNIT_ASSERT_EQUAL(lines.find("event=accept-failed"), lines.rfind("event=accept-failed"));
    CPPUNIT_ASSERT_EQUAL(lines.npos, lines.find("event=lines-left-out"));
    acceptor.stop();
    shutdown(client.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
  }

  void withoutADescriptorClientsWaitToo() {
    configure_two();
    const Socket socket = listening("a");
    Acceptor acceptor(*clients_, *log_file_);
    const Descriptor client = dial("a");
    log_file_->info(Record("begin"));  // the log opens its file
    log_file_->flush();
    {
      const DescriptorLimit none(STDERR_FILENO + 1);
      acceptor.use({socket});
      const auto before = processor_time();
      std::this_thread::sleep_for(milliseconds(300));
      CPPUNIT_ASSERT(processor_time() - before < milliseconds(150));
    }
    CPPUNIT_ASSERT(line_of(client).starts_with("220 "));
    CPPUNIT_ASSERT_MESSAGE(logged(), has_logged("event=accept-failed listener=unix:" + path("a") +
                                                " error=\"Too many open files\""));
    acceptor.stop();
    shutdown(client.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
  }

  void itWaitsToo() {
    configure_two();
    clients_->limit_to(0);
    Acceptor acceptor(*clients_, *log_file_);
    acceptor.use({listening("a")});
    const Descriptor client = dial("a");
    const auto before = processor_time();
    std::this_thread::sleep_for(milliseconds(300));
    CPPUNIT_ASSERT(processor_time() - before < milliseconds(150));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AcceptorTest);
