#include "mailer/serve/listeners/clients.h"

#include <thread>

#include "tests/unit/mailer/serve/listeners/clients_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::seconds;

class ClientsTest : public ClientsFixture {
  CPPUNIT_TEST_SUITE(ClientsTest);
  CPPUNIT_TEST(onlyThoseOfTheListAreServed);
  CPPUNIT_TEST(withoutAListOnlyThisHostIs);
  CPPUNIT_TEST(asManyAsTheLimitAreServed);
  CPPUNIT_TEST(asManyOfOneClientAsItsLimitAreServed);
  CPPUNIT_TEST(oneForWhichThereIsNoMemoryIsRefused);
  CPPUNIT_TEST(aListenerThatIsGoneServesNobody);
  CPPUNIT_TEST(nobodyIsServedAtTheEnd);
  CPPUNIT_TEST(aRefusedClientThatHasSpokenReadsTheReply);
  CPPUNIT_TEST(oneThatHasNotStoppedSpeakingReadsTheLastReply);
  CPPUNIT_TEST(oneThatLeavesGivesBackWhatItTook);
  CPPUNIT_TEST(theEndOfTheLastIsNoticed);
  CPPUNIT_TEST(whoIsThereAtTheDeadlineIsLeft);
  CPPUNIT_TEST(cutEndsASessionAfterItsReply);
  CPPUNIT_TEST(disconnectEndsASessionWithoutAReply);
  CPPUNIT_TEST(descriptorsForOneMoreAreNeeded);
  CPPUNIT_TEST_SUITE_END();

  bool served(const Client& client) { return line_of(connected(client)).starts_with("220 "); }
  // Says this and is closed, is counted as `reason`, and is in the log.
  void refused(const std::string& reply, ClientRefusal reason, const Client& client,
               const std::string& address = "unix:/a") {
    const std::size_t before = refusals_.reasons.size();
    CPPUNIT_ASSERT_EQUAL("421 " + reply + "\r\n", all_of(connected(client, address)));
    CPPUNIT_ASSERT_EQUAL(before + 1, refusals_.reasons.size());
    CPPUNIT_ASSERT(refusals_.reasons.back() == reason);
    CPPUNIT_ASSERT_MESSAGE(logged(), has_logged("event=client-refused client=" + client.text() +
                                                " listener=" + address + " reply=\"421 " + reply));
  }

  void onlyThoseOfTheListAreServed() {
    configure("clients = 192.0.2.0/28, uid:7\n");
    CPPUNIT_ASSERT(served(over_tcp("192.0.2.15")));
    CPPUNIT_ASSERT(served(over_unix(7)));
    for (const Client& other : {over_tcp("192.0.2.16"), over_tcp("127.0.0.1"), over_unix(8)}) {
      refused("4.7.1 " + other.text() + " is not among this listener's clients",
              ClientRefusal::kNotAllowed, other);
    }
    CPPUNIT_ASSERT_EQUAL(2, refusals_.admitted);
    CPPUNIT_ASSERT(all_have_left());
  }

  void withoutAListOnlyThisHostIs() {
    configure();
    CPPUNIT_ASSERT(served(over_tcp("127.0.0.1")));
    CPPUNIT_ASSERT(served(over_tcp("::1")));
    CPPUNIT_ASSERT(served(over_unix()));
    refused("4.7.1 192.0.2.1 is not among this listener's clients", ClientRefusal::kNotAllowed,
            over_tcp("192.0.2.1"));
    CPPUNIT_ASSERT(all_have_left());
  }

  void asManyAsTheLimitAreServed() {
    configure("", "max-clients = 2\n");
    const Descriptor one = connected(over_unix(1));
    const Descriptor two = connected(over_unix(2));
    refused("4.3.2 Too many connections, try again later", ClientRefusal::kTooMany, over_unix(3));
    CPPUNIT_ASSERT(line_of(one).starts_with("220 ") && line_of(two).starts_with("220 "));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, clients_->count());
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, clients_->count_by_listener().at("unix:/a"));
    shutdown(one.number(), SHUT_WR);
    shutdown(two.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
    CPPUNIT_ASSERT(clients_->count_by_listener().empty());
  }

  void asManyOfOneClientAsItsLimitAreServed() {
    configure("", "max-clients-each = 2\n");
    std::optional<Descriptor> one = connected(over_unix(1));
    {
      const Descriptor two = connected(over_unix(1));
      refused("4.7.0 Too many connections from uid:1, try again later",
              ClientRefusal::kTooManyOfOne, over_unix(1));
      CPPUNIT_ASSERT(served(over_unix(2)));
      one.reset();
    }
    CPPUNIT_ASSERT(all_have_left());
    CPPUNIT_ASSERT(served(over_unix(1)));
    CPPUNIT_ASSERT(all_have_left());
  }

  void oneForWhichThereIsNoMemoryIsRefused() {
    configure();
    memory_.set_limit(2 * MemoryCost::kClient - 1);
    const Descriptor one = connected(over_unix(1));
    CPPUNIT_ASSERT(line_of(one).starts_with("220 "));
    refused("4.3.2 No room for another connection, try again later", ClientRefusal::kNoRoom,
            over_unix(2));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{MemoryCost::kClient}, memory_.used());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, clients_->count());
    shutdown(one.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
  }

  void aListenerThatIsGoneServesNobody() {
    configure();
    refused("4.3.2 No longer served here", ClientRefusal::kStopping, over_unix(), "unix:/b");
    CPPUNIT_ASSERT_EQUAL(0, refusals_.admitted);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, memory_.used());
  }

  void nobodyIsServedAtTheEnd() {
    configure();
    clients_->drain();
    CPPUNIT_ASSERT(clients_->draining());
    refused("4.3.2 Shutting down, try again later", ClientRefusal::kStopping, over_unix());
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, clients_->count());
  }

  // To close a socket with unread data is an error of the connection, which may overtake the reply.
  void aRefusedClientThatHasSpokenReadsTheReply() {
    configure("clients = uid:7\n");
    const std::string said = all_of(connected(over_unix(8), "unix:/a", "LHLO client.test\r\n"));
    CPPUNIT_ASSERT_EQUAL(std::string("421 4.7.1 uid:8 is not among this listener's clients\r\n"),
                         said);
  }

  // Likewise.
  void oneThatHasNotStoppedSpeakingReadsTheLastReply() {
    configure();
    std::string early = "QUIT\r\n";
    early.append(100'000, 'x');
    const std::string said = all_of(connected(over_unix(), "unix:/a", early));
    CPPUNIT_ASSERT_MESSAGE(said, said.find("\r\n221 ") != said.npos && said.ends_with("\r\n"));
    CPPUNIT_ASSERT(all_have_left());
  }

  void oneThatLeavesGivesBackWhatItTook() {
    configure("", "max-clients = 1\nmax-clients-each = 1\n");
    memory_.set_limit(MemoryCost::kClient);
    for (int i = 0; i < 3; ++i) {
      CPPUNIT_ASSERT(served(over_unix()));
      CPPUNIT_ASSERT(all_have_left());
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, memory_.used());
      CPPUNIT_ASSERT_EQUAL(std::size_t{0}, clients_->count());
    }
    CPPUNIT_ASSERT_EQUAL(3, refusals_.admitted);
  }

  // Without a look at the clock: the deadline is beyond any patience.
  void theEndOfTheLastIsNoticed() {
    configure();
    std::optional<Descriptor> one = connected(over_unix());
    CPPUNIT_ASSERT(line_of(*one).starts_with("220 "));
    std::thread leaves([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      one.reset();
    });
    const Deadline deadline = Clock::now() + seconds(100);
    CPPUNIT_ASSERT(clients_->wait(deadline));
    CPPUNIT_ASSERT(Clock::now() < deadline);
    leaves.join();
  }

  void whoIsThereAtTheDeadlineIsLeft() {
    configure();
    const Descriptor one = connected(over_unix());
    CPPUNIT_ASSERT(line_of(one).starts_with("220 "));
    CPPUNIT_ASSERT(!clients_->wait(Clock::now() + std::chrono::milliseconds(1)));
    shutdown(one.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
  }

  void cutEndsASessionAfterItsReply() {
    configure();
    const Descriptor one = connected(over_unix());
    CPPUNIT_ASSERT(line_of(one).starts_with("220 "));
    clients_->drain();
    clients_->cut();
    CPPUNIT_ASSERT(all_of(one).starts_with("421 4.3.2 "));
    CPPUNIT_ASSERT(all_have_left());
  }

  void disconnectEndsASessionWithoutAReply() {
    configure();
    const Descriptor one = connected(over_unix());
    CPPUNIT_ASSERT(line_of(one).starts_with("220 "));
    clients_->drain();
    clients_->disconnect();
    CPPUNIT_ASSERT_EQUAL(std::string(), all_of(one));
    CPPUNIT_ASSERT(all_have_left());
  }

  void descriptorsForOneMoreAreNeeded() {
    configure();
    CPPUNIT_ASSERT(!clients_->full());
    clients_->limit_to(1);
    CPPUNIT_ASSERT(!clients_->full());
    const Descriptor one = connected(over_unix());
    CPPUNIT_ASSERT(clients_->full());
    clients_->limit_to(2);
    CPPUNIT_ASSERT(!clients_->full());
    shutdown(one.number(), SHUT_WR);
    CPPUNIT_ASSERT(all_have_left());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ClientsTest);
