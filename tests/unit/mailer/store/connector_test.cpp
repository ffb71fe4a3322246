#include "mailer/store/connector.h"

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "mailer/delivery/delivery.h"
#include "mailer/lmtp/hops.h"
#include "mailer/settings/destination_sections.h"
#include "tests/unit/mailer/io/scripted_channel.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

const std::string kGreeting = "220 store\r\n";
const std::string kNoAuth = "250 store\r\n";
const std::string kAuth = "250-store\r\n250 AUTH PLAIN EXTERNAL\r\n";

// Counts the open channels.
class CountedChannel : public ScriptedChannel {
 public:
  CountedChannel(Play& play, int& open) : ScriptedChannel(play), open_(open) { ++open_; }
  ~CountedChannel() override { --open_; }

 private:
  int& open_;
};

// Each dial gets the next play, and notes how many connections are open.
class PlaysDialer : public Dialer {
 public:
  explicit PlaysDialer(std::vector<Play> all) : plays(std::move(all)) {}
  Dialled dial(const Destination& destination, std::chrono::milliseconds,
               const Patience& /*patience*/) override {
    seen_open.push_back(open_);
    return {std::make_unique<CountedChannel>(plays.at(seen_open.size() - 1), open_),
            destination.text,
            {}};
  }

  std::vector<Play> plays;
  std::vector<int> seen_open;

 private:
  int open_ = 0;
};

// Its stores neither read nor send; it notes for how long they are waited for.
struct SilentDialer : Dialer {
  class SilentChannel : public Channel {
   public:
    explicit SilentChannel(std::vector<Deadline>& asked) : asked_(asked) {}
    IoStatus exchange(std::string_view&, std::string&, Deadline deadline) override {
      asked_.push_back(deadline);
      return IoStatus::kTimeout;
    }
    bool quiet() override { return true; }
    const std::string& failure() const override { return failure_; }

   private:
    std::vector<Deadline>& asked_;
    std::string failure_;
  };
  Dialled dial(const Destination& destination, std::chrono::milliseconds,
               const Patience& /*patience*/) override {
    return {std::make_unique<SilentChannel>(asked), destination.text, {}};
  }
  std::vector<Deadline> asked;
};

Play play(std::deque<std::string> replies) {
  Play made;
  made.replies = std::move(replies);
  return made;
}

struct Connected {
  Connection connection;
  std::vector<std::string> heard;
};

struct World {
  World(const std::vector<std::string>& arguments, std::vector<Play> plays)
      : dialer(std::move(plays)), log("test", "/dev/null", LogLevel::kInfo) {
    OptionReader options = option_reader(Command::kRelay, settings);
    std::vector<Destination> destinations;
    for (const std::string& operand : options.take_arguments(arguments)) {
      destinations.push_back(parse_destination(operand));
    }
    options.apply();
    settings.stores = find_stores(options, destinations);
  }
  Settings settings;
  PlaysDialer dialer;
  Log log;
};

Connected connect(const std::vector<std::string>& arguments, Play with) {
  World world(arguments, {std::move(with)});
  Connector connector(world.settings.stores.at(0), world.settings, world.dialer, world.log);
  Connected made{connector.connect(Deadline::max()), {}};
  made.connection.upstream.reset();
  made.heard = world.dialer.plays[0].heard;
  return made;
}

// What connections write to the log: as many as there are values, which say whether each is ready.
std::string logged(World& world, const std::vector<bool>& ready) {
  char path[] = "/tmp/lmtpq-connector-XXXXXX";
  CPPUNIT_ASSERT(close(mkstemp(path)) == 0);
  const Log log("test", path, LogLevel::kInfo);
  Connector connector(world.settings.stores.at(0), world.settings, world.dialer, log);
  for (const bool expected : ready) {
    CPPUNIT_ASSERT_EQUAL(expected, connector.connect(Deadline::max()).ready);
  }
  log.flush();
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  unlink(path);
  return text;
}

const char* trouble(const Connection& connection) {
  return connection.ready                                ? "none"
         : connection.trouble == Trouble::kTls           ? "tls"
         : connection.trouble == Trouble::kLogin         ? "login"
         : connection.trouble == Trouble::kConfiguration ? "configuration"
                                                         : "unreachable";
}

}  // namespace

class ConnectorTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ConnectorTest);
  CPPUNIT_TEST(fromLevelEncryptOnStartTlsMustBeOffered);
  CPPUNIT_TEST(aLoginIsRequiredOverTcpAndOptionalOverAUnixSocket);
  CPPUNIT_TEST(aSilentStoreMayExpectTls);
  CPPUNIT_TEST(anSmtpStoreIsSpokenToByEhlo);
  CPPUNIT_TEST(theReasonComesFirst);
  CPPUNIT_TEST(aProxyHeaderComesFirst);
  CPPUNIT_TEST(aFailedConnectionIsClosedBeforeTheNextDial);
  CPPUNIT_TEST(aStoreThatIsThisProcessIsRefusedAtItsGreeting);
  CPPUNIT_TEST(itIsLoggedOnceUntilTheStoreIsAnother);
  CPPUNIT_TEST(theDialogueWithAListedPeerIsLogged);
  CPPUNIT_TEST(aStoreThatDoesNotGreetHasLittleTimeWhereThereIsAnother);
  CPPUNIT_TEST(noStageIsWaitedForLongerThanTheDeliveryHas);
  CPPUNIT_TEST_SUITE_END();

  void fromLevelEncryptOnStartTlsMustBeOffered() {
    const struct {
      std::vector<std::string> arguments;
      const char* trouble;
    } rows[] = {
        {{"--tls=none", "inet:a"}, "none"},
        {{"--tls=may", "inet:a"}, "none"},
        {{"--tls=encrypt", "inet:a"}, "tls"},
        {{"--tls=verify", "inet:a"}, "tls"},
        {{"--tls=fingerprint", "--tls-fingerprint=" + std::string(64, 'a'), "inet:a"}, "tls"},
        {{"--tls=encrypt", "unix:/s"}, "tls"},
        {{"--tls=may", "unix:/s"}, "none"},
    };
    for (const auto& row : rows) {
      const Connected made = connect(row.arguments, play({kGreeting, kNoAuth}));
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.arguments[0], std::string(row.trouble),
                                   std::string(trouble(made.connection)));
      CPPUNIT_ASSERT_EQUAL(std::size_t{1}, made.heard.size());  // LHLO, nothing else
    }
  }

  void aLoginIsRequiredOverTcpAndOptionalOverAUnixSocket() {
    const struct {
      const char* destination;
      const std::string& offers;
      const char* trouble;
    } rows[] = {{"inet:a", kNoAuth, "login"}, {"unix:/s", kNoAuth, "none"}};
    for (const auto& row : rows) {
      const Connected made =
          connect({"--tls=none", "--auth-user=mx", row.destination}, play({kGreeting, row.offers}));
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.destination, std::string(row.trouble),
                                   std::string(trouble(made.connection)));
      CPPUNIT_ASSERT_EQUAL(std::size_t{1}, made.heard.size());
    }
    const Connected unasked = connect({"--tls=none", "inet:a"}, play({kGreeting, kAuth}));
    CPPUNIT_ASSERT(unasked.connection.ready);
  }

  void aSilentStoreMayExpectTls() {
    const auto failure = [](const std::vector<std::string>& arguments,
                            std::deque<std::string> replies) {
      return connect(arguments, play(std::move(replies))).connection.failure;
    };
    const char* const hint =
        "it sent nothing: does it wait for TLS (tls-wrapper = yes) or for a PROXY header "
        "(proxy-protocol = v2)?";
    for (const char* const said : {"", Play::kClose}) {
      const std::string words = failure({"inet:a"}, {said});
      CPPUNIT_ASSERT_MESSAGE(words, words.find(hint) != std::string::npos);
    }
    CPPUNIT_ASSERT_EQUAL(std::string::npos, failure({"unix:/s"}, {""}).find("tls-wrapper"));
    CPPUNIT_ASSERT_EQUAL(std::string::npos, failure({"inet:a"}, {"220-x\r\n"}).find("tls-wrapper"));
    CPPUNIT_ASSERT_EQUAL(std::string::npos,
                         failure({"inet:a"}, {kGreeting, ""}).find("tls-wrapper"));
    CPPUNIT_ASSERT_EQUAL(
        std::string("the store seems to speak TLS from the start: set tls-wrapper = yes (inet:a)"),
        failure({"inet:a"}, {"\x15\x03\x03\x02\x02\x28"}));
  }

  void anSmtpStoreIsSpokenToByEhlo() {
    const Connected made =
        connect({"--tls=none", "--hostname=me", "smtp:a"}, play({kGreeting, kNoAuth}));
    CPPUNIT_ASSERT_MESSAGE(made.connection.failure, made.connection.ready);
    CPPUNIT_ASSERT_EQUAL(std::string("EHLO me"), made.heard.at(0));
    const Connected silent = connect({"--tls=none", "smtp:a"}, play({kGreeting, ""}));
    CPPUNIT_ASSERT_MESSAGE(silent.connection.failure, silent.connection.failure.starts_with(
                                                          "timed out before the reply to EHLO"));
  }

  void theReasonComesFirst() {
    const Connected made = connect({"--tls=verify", "inet:a"}, play({kGreeting, kNoAuth}));
    CPPUNIT_ASSERT_EQUAL(
        std::string("STARTTLS is not offered, and --tls=verify requires it (inet:a)"),
        made.connection.failure);
    const Outcome outcome = outcome_of(made.connection.trouble, made.connection.failure);
    CPPUNIT_ASSERT(
        reply_line(outcome, TraceId()).starts_with("451 4.7.5 TLS failed: STARTTLS is not"));
  }

  void aProxyHeaderComesFirst() {
    // The header contains three CRLFs, which the script takes for line ends.
    const Connected made = connect({"--tls=none", "--proxy-protocol=v2", "inet:a"},
                                   play({kGreeting, "", "", "", kNoAuth}));
    CPPUNIT_ASSERT(made.connection.ready);
    CPPUNIT_ASSERT_EQUAL(std::size_t{4}, made.heard.size());
    CPPUNIT_ASSERT_EQUAL(std::string(1, '\0'), made.heard[2]);
    CPPUNIT_ASSERT(made.heard[3].starts_with("QUIT\n"));
    CPPUNIT_ASSERT(made.heard[3].find("LHLO ") != std::string::npos);
    const Connected refused =
        connect({"--tls=none", "--proxy-protocol=v2", "inet:a"}, play({"500 what?\r\n"}));
    CPPUNIT_ASSERT(refused.connection.failure.find("lmtpd -H") != std::string::npos);
  }

  // The store may allow one connection only.
  void aFailedConnectionIsClosedBeforeTheNextDial() {
    World world({"--tls=none", "inet:a", "inet:b"},
                {play({"554 not today\r\n"}), play({"554 nor here\r\n"})});
    PoolList pools(world.settings, world.dialer, world.log);
    Delivery delivery(world.settings, pools, world.log);
    Envelope envelope;
    envelope.recipients.push_back({*Mailbox::parse("u@x")});
    MailData data("/tmp", std::nullopt);
    data.append("Subject: x\r\n\r\nhi\r\n");
    data.finish();
    delivery.deliver({envelope, data, Clock::now(), Clock::now()});
    CPPUNIT_ASSERT((world.dialer.seen_open == std::vector<int>{0, 0}));
  }

  static std::string own_greeting() {
    return "220 here LMTP lmtpq" + greeting_end(listener_mark("unix:/l")) + "\r\n";
  }

  // trap: own-listener
  void aStoreThatIsThisProcessIsRefusedAtItsGreeting() {
    const Connected made = connect({"--tls=encrypt", "--auth-user=mx", "inet:a"},
                                   play({own_greeting(), "250-here\r\n250 STARTTLS\r\n"}));
    CPPUNIT_ASSERT(!made.connection.ready && made.connection.trouble == Trouble::kLoop);
    CPPUNIT_ASSERT_EQUAL(std::string("the store is this lmtpq itself (inet:a)"),
                         made.connection.failure);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, made.heard.size());  // LHLO
    const Connected other =
        connect({"--tls=none", "unix:/s"},
                play({"220 here LMTP lmtpq" + greeting_end("other") + "\r\n", "250 here\r\n"}));
    CPPUNIT_ASSERT(other.connection.ready);
  }

  void itIsLoggedOnceUntilTheStoreIsAnother() {
    const Play own = play({own_greeting(), kNoAuth});
    const Play another = play({kGreeting, kNoAuth});
    World world({"--tls=none", "inet:a"}, {own, own, own, another, own, own});
    const std::string text = logged(world, {false, false, false, true, false, false});
    const std::string line = "event=store-is-own-listener destination=inet:a ";
    const std::size_t first = text.find(line);
    const std::size_t second = text.find(line, first + 1);
    CPPUNIT_ASSERT_MESSAGE(text, first != std::string::npos && second != std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(text, text.find(line, second + 1) == std::string::npos);
  }

  void theDialogueWithAListedPeerIsLogged() {
    const struct {
      const char* peers;
      bool is_logged;
    } rows[] = {{"", false},     {"all", true},     {"al", false},   {"inet:store", true},
                {"store", true}, {"inet:b", false}, {"ball", false}, {"inet:b,tor", true}};
    for (const auto& row : rows) {
      World world({"--tls=none", std::string("--debug-peer=") + row.peers, "inet:store"},
                  {play({kGreeting, kNoAuth})});
      const std::string text = logged(world, {true});
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.peers, row.is_logged, text.find("LHLO") != text.npos);
    }
  }

  void aStoreThatDoesNotGreetHasLittleTimeWhereThereIsAnother() {
    SilentDialer dialer;
    const World world({"unix:/s"}, {});
    Connector connector(world.settings.stores.at(0), world.settings, dialer, world.log);
    const auto time_asked = [&](Connector::Resort resort) {
      CPPUNIT_ASSERT(!connector.connect(Deadline::max(), resort).ready);
      return dialer.asked.back() - Clock::now();
    };
    CPPUNIT_ASSERT(time_asked(Connector::Resort::kOthers) <= std::chrono::seconds(10));
    CPPUNIT_ASSERT(time_asked(Connector::Resort::kLast) > std::chrono::seconds(60));
  }

  // Neither --lhlo-timeout nor the time of the delivery is exceeded.
  void noStageIsWaitedForLongerThanTheDeliveryHas() {
    const World world({"--proxy-protocol=v2", "--lhlo-timeout=30s", "inet:a"}, {});
    for (const std::chrono::seconds patience :
         {std::chrono::seconds(3600), std::chrono::seconds(5)}) {
      for (const Connector::Resort resort :
           {Connector::Resort::kOthers, Connector::Resort::kLast}) {
        SilentDialer dialer;
        Connector connector(world.settings.stores.at(0), world.settings, dialer, world.log);
        const Deadline latest = Clock::now() + patience;
        CPPUNIT_ASSERT(!connector.connect(latest, resort).ready);
        CPPUNIT_ASSERT(dialer.asked.front() <= Clock::now() + std::chrono::seconds(30));
        for (const Deadline asked : dialer.asked) {
          CPPUNIT_ASSERT(asked <= latest);
        }
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConnectorTest);
