#include "mailer/probe.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sysexits.h>

#include "mailer/settings/destination_sections.h"
#include "tests/unit/mailer/io/scripted_channel.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

class ScriptedDialer : public Dialer {
 public:
  explicit ScriptedDialer(Play* play) : play_(play) {}
  Dialled dial(const Destination& destination, std::chrono::milliseconds,
               const Patience& /*patience*/) override {
    if (play_ == nullptr) {
      return {nullptr, destination.text, destination.text + ": Connection refused"};
    }
    return {std::make_unique<ScriptedChannel>(*play_), destination.text, {}};
  }

 private:
  Play* play_;
};

const std::string kGreeting = "220 store LMTP Cyrus ready\r\n";
const std::string kOffers =
    "250-store\r\n250-SIZE 1000\r\n250-IGNOREQUOTA\r\n250 Ok SESSIONID=<s-1>\r\n";
const std::string kTraceOffer = "250-store\r\n250 TRACE\r\n";
const std::string kOk = "250 2.0.0 Ok\r\n";
const std::string kFull = "452 4.2.2 Over quota SESSIONID=<s-1>\r\n";

ProbeResult probed(Play* play, const std::vector<std::string>& arguments) {
  Settings settings;
  OptionReader options(option_table(Command::kProbe, settings));
  options.take_arguments(arguments);
  options.apply();
  settings.stores = find_stores(options, {parse_destination("unix:/s")});
  ScriptedDialer dialer(play);
  const Log log("test", "/dev/null", LogLevel::kInfo);
  return probe(settings, dialer, log);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

class ProbeTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ProbeTest);
  CPPUNIT_TEST(anUnreachableStoreIsReported);
  CPPUNIT_TEST(aServerThatIsNotLmtpIsReported);
  CPPUNIT_TEST(theStoresCapabilitiesArePrinted);
  CPPUNIT_TEST(aMailboxIsProbedWithAndWithoutIgnoreQuota);
  CPPUNIT_TEST(aMailboxIsProbedOnceWhereIgnoreQuotaIsNotOffered);
  CPPUNIT_TEST(noMessageIsEverSent);
  CPPUNIT_TEST(aStoreThatOffersTraceIsAskedWithAnIdOfOurs);
  CPPUNIT_TEST(aGivenTraceIdIsTried);
  CPPUNIT_TEST(aStoreThatHangsUpOnTraceIsReported);
  CPPUNIT_TEST(onlyAProbeWithAllAnswersSucceeds);
  CPPUNIT_TEST(aSecondLhloWithoutAnAnswerIsAFailure);
  CPPUNIT_TEST(theStoresOwnReplyIsPrinted);
  CPPUNIT_TEST(whatIsKnownOfTlsIsPrintedWithoutAGreeting);
  CPPUNIT_TEST(aLostConnectionIsNoRefusalOfTheMailbox);
  CPPUNIT_TEST(overQuotaIsWhatOverQuotaPoliciesAreFor);
  CPPUNIT_TEST(aStoreThatRequiresALoginIsReported);
  CPPUNIT_TEST(aProbeThatWasNotDoneInTimeIsUnavailable);
  CPPUNIT_TEST(whatIsRequiredMustBeOffered);
  CPPUNIT_TEST(jsonIsEscaped);
  CPPUNIT_TEST(whatControlsATerminalIsEscaped);
  CPPUNIT_TEST_SUITE_END();

  void anUnreachableStoreIsReported() {
    const ProbeResult result = probed(nullptr, {});
    CPPUNIT_ASSERT(result.reached == ProbeResult::Reached::kNothing);
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/s: Connection refused"), result.failure);
    CPPUNIT_ASSERT_EQUAL(EX_UNAVAILABLE, exit_status(result));
    const std::string json = to_json(result, "");
    CPPUNIT_ASSERT_MESSAGE(json, json.starts_with("{\"reached\":\"nothing\",\"peer\":"));
    CPPUNIT_ASSERT(has(json, "\"failure\":\"unix:/s: Connection refused\"}\n"));
  }

  void aServerThatIsNotLmtpIsReported() {
    const struct {
      std::deque<std::string> replies;
      const char* why;
    } rows[] = {
        {{"hello\r\n"}, "protocol error: not a reply: hello"},
        {{"554 no service\r\n"}, "greeting refused: 554 no service"},
        {{"421 4.3.0 lmtpd: usage\r\n"}, "421 4.3.0 lmtpd: usage"},
        {{kGreeting, "500 LHLO unknown\r\n"}, "LHLO refused: 500 LHLO unknown"},
        {{Play::kClose}, "the peer closed the connection before the reply to greeting"},
        {{""}, "timed out before the reply to greeting"},
    };
    for (const auto& row : rows) {
      Play play;
      play.replies = row.replies;
      const ProbeResult result = probed(&play, {});
      CPPUNIT_ASSERT(result.reached == ProbeResult::Reached::kProtocolError);
      CPPUNIT_ASSERT_EQUAL(EX_PROTOCOL, exit_status(result));
      CPPUNIT_ASSERT_MESSAGE(result.failure, has(result.failure, row.why));
      CPPUNIT_ASSERT_MESSAGE(result.failure, result.failure.ends_with(" (unix:/s)"));
      CPPUNIT_ASSERT(has(to_json(result, ""), "\"reached\":\"protocol-error\""));
    }
  }

  void theStoresCapabilitiesArePrinted() {
    Play play;
    play.replies = {kGreeting, kOffers};
    const ProbeResult result = probed(&play, {});
    CPPUNIT_ASSERT(result.reached == ProbeResult::Reached::kStore);
    const std::string text = describe(result, "");
    for (const char* row :
         {"greeting           220 store LMTP Cyrus ready\n", "offers             SIZE 1000\n",
          "                   IGNOREQUOTA\n", "session            s-1\n",
          "IGNOREQUOTA        yes\n", "TRACE              no\n"}) {
      CPPUNIT_ASSERT_MESSAGE(text + row, has(text, row));
    }
    CPPUNIT_ASSERT_MESSAGE(text, !has(text, "SESSIONID"));
    CPPUNIT_ASSERT_MESSAGE(text, !has(text, "mailbox"));
    const std::string json = to_json(result, "");
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"offers\":{\"SIZE\":\"1000\",\"IGNOREQUOTA\":\"\"}"));
    CPPUNIT_ASSERT_MESSAGE(json, has(json,
                                     "\"session\":\"s-1\",\"IGNOREQUOTA\":true,"
                                     "\"TRACE\":false}\n"));
  }

  void aMailboxIsProbedWithAndWithoutIgnoreQuota() {
    Play play;
    play.replies = {kGreeting, kOffers, kOk, kFull, kOk, kOk, "250 2.1.5 ok\r\n"};
    const ProbeResult result = probed(&play, {"--rcpt=bob"});
    const std::string text = describe(result, "bob");
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "mailbox            bob: over quota\n"));
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "RCPT               452 4.2.2 Over quota"));
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "with IGNOREQUOTA 250 2.1.5 ok\n"));
    const std::string json = to_json(result, "bob");
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"mailbox\":\"bob\",\"state\":\"over quota\""));
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"rcpt_ignorequota\":\"250 2.1.5 ok\"}\n"));
  }

  void aMailboxIsProbedOnceWhereIgnoreQuotaIsNotOffered() {
    const struct {
      const char* said;
      const char* state;
    } rows[] = {{"250 2.1.5 ok\r\n", "accepted"},
                {"550-5.1.1 a\r\n550 5.1.1 User unknown\r\n", "refused"},
                {"552 5.2.2 Over quota\r\n", "over quota"}};
    for (const auto& row : rows) {
      Play play;
      play.replies = {kGreeting, "250 store\r\n", kOk, row.said};
      const ProbeResult result = probed(&play, {"--rcpt=bob"});
      CPPUNIT_ASSERT(result.recipient && !result.with_ignorequota);
      CPPUNIT_ASSERT(
          has(describe(result, "bob"), "mailbox            bob: " + std::string(row.state) + "\n"));
    }
  }

  void noMessageIsEverSent() {
    Play play;
    play.replies = {kGreeting, kOffers, kOk, kOk, kOk, kOk, kOk, kOk};
    probed(&play, {"--rcpt=bob", "--hostname=me"});
    const std::vector<std::string> expected = {"LHLO me",       "MAIL FROM:<>",
                                               "RCPT TO:<bob>", "RSET",
                                               "MAIL FROM:<>",  "RCPT TO:<bob> IGNOREQUOTA",
                                               "QUIT"};
    CPPUNIT_ASSERT(play.heard == expected);
    CPPUNIT_ASSERT(play.message.empty());
  }

  // The session is left without an id, and the mailbox is asked about first.
  void aStoreThatOffersTraceIsAskedWithAnIdOfOurs() {
    Play play;
    play.replies = {kGreeting, kTraceOffer, kOk, kFull, kOk, "250 2.0.0 Ok TRACEID=<p>\r\n",
                    kOk,       kOk};
    const ProbeResult result = probed(&play, {"--rcpt=bob"});
    CPPUNIT_ASSERT_MESSAGE(result.trace.text(), result.trace.text().starts_with("probe-"));
    CPPUNIT_ASSERT_MESSAGE(result.trace.text(), !has(result.trace.text(), "."));
    const std::vector<std::string> after_rcpt(play.heard.begin() + 3, play.heard.end());
    const std::vector<std::string> expected = {"RSET", "TRACE " + result.trace.text(), "RSET",
                                               "QUIT"};
    CPPUNIT_ASSERT(after_rcpt == expected);
    const std::string text = describe(result, "bob");
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "TRACE              yes\n  id               probe-"));
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "\n  reply            250 2.0.0 Ok TRACEID=<p>\n"));
    const std::string json = to_json(result, "bob");
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"TRACE\":true,\"trace_id\":\"probe-"));
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"trace_reply\":\"250 2.0.0 Ok TRACEID=<p>\","));
  }

  void aGivenTraceIdIsTried() {
    Play play;
    play.replies = {kGreeting, kTraceOffer, "501 5.5.4 Invalid TRACE id.\r\n", kOk, kOk};
    const ProbeResult result = probed(&play, {"--trace-id=a.b", "--hostname=me"});
    CPPUNIT_ASSERT(
        (play.heard == std::vector<std::string>{"LHLO me", "TRACE a.b", "RSET", "QUIT"}));
    CPPUNIT_ASSERT_EQUAL(std::string("501 5.5.4 Invalid TRACE id."), result.trace_reply);
    CPPUNIT_ASSERT(result.reached == ProbeResult::Reached::kStore);
  }

  void aStoreThatHangsUpOnTraceIsReported() {
    const struct {
      const char* last;
      const char* shown;
    } rows[] = {
        {Play::kClose, "none: the peer closed the connection before the reply to TRACE"},
        {"", "none: timed out before the reply to TRACE"},
        {"421 4.3.2 shutting down\r\n", "421 4.3.2 shutting down"},
    };
    for (const auto& row : rows) {
      Play play;
      play.replies = {kGreeting, kTraceOffer, row.last};
      const ProbeResult result = probed(&play, {});
      CPPUNIT_ASSERT_EQUAL(std::string(row.shown), result.trace_reply);
    }
  }

  // A question without an answer is a failure, whichever it is; a refusal is an answer.
  void onlyAProbeWithAllAnswersSucceeds() {
    const std::string offers = "250-store\r\n250-IGNOREQUOTA\r\n250 TRACE\r\n";
    // To MAIL and RCPT, RSET, MAIL and RCPT with IGNOREQUOTA, RSET, TRACE, RSET, QUIT.
    const std::vector<std::string> answered = {kGreeting, offers, kOk, kFull, kOk, kOk,
                                               kFull,     kOk,    kOk, kOk,   kOk};
    for (const std::size_t refused : {2u, 3u, 5u, 6u, 8u}) {
      Play play;
      play.replies.assign(answered.begin(), answered.end());
      play.replies[refused] = "550 5.7.1 no\r\n";
      if (refused == 2 || refused == 5) {  // no RCPT after a refused MAIL
        play.replies.erase(play.replies.begin() + static_cast<std::ptrdiff_t>(refused) + 1);
      }
      const ProbeResult result = probed(&play, {"--rcpt=bob"});
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::to_string(refused), EX_OK, exit_status(result));
      CPPUNIT_ASSERT_EQUAL(std::string(), result.failure);
    }
    for (const char* ending : {Play::kClose, "", "421 4.3.2 enough\r\n", "hello\r\n"}) {
      for (std::size_t last = 2; last < answered.size() - 1; ++last) {
        Play play;
        play.replies.assign(answered.begin(), answered.begin() + static_cast<std::ptrdiff_t>(last));
        play.replies.emplace_back(ending);
        const ProbeResult result = probed(&play, {"--rcpt=bob"});
        const std::string where = "at reply " + std::to_string(last) + ": " + result.failure;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where, EX_PROTOCOL, exit_status(result));
        CPPUNIT_ASSERT_MESSAGE(where, result.failure.ends_with(" (unix:/s)"));
        CPPUNIT_ASSERT(has(to_json(result, "bob"), "\"failure\":\""));
      }
    }
  }

  // After TLS or a login.
  void aSecondLhloWithoutAnAnswerIsAFailure() {
    ProbeResult result;
    result.reached = ProbeResult::Reached::kUnsecured;
    result.offered.emplace_back(Reply{250, std::nullopt, {"store", "AUTH PLAIN"}, {}});
    result.mechanism = "PLAIN";
    CPPUNIT_ASSERT_EQUAL(EX_PROTOCOL, exit_status(result));
    const std::string text = describe(result, "");
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "offers             AUTH PLAIN\n"));
    CPPUNIT_ASSERT_MESSAGE(text, !has(text, "offers after login"));
  }

  void theStoresOwnReplyIsPrinted() {
    const struct {
      std::deque<std::string> replies;
      const char* text;
      const char* json;
    } rows[] = {
        {{kGreeting, kOffers, kOk, "421 4.3.2 shutting down\r\n"},
         "bob: not answered\nRCPT               421 4.3.2 shutting down\n",
         "\"state\":\"not answered\",\"rcpt\":\"421 4.3.2 shutting down\"}"},
        {{kGreeting, kOffers, "421 4.3.2 shutting down\r\n"},
         "bob: not answered\nMAIL               421 4.3.2 shutting down\n",
         "\"state\":\"not answered\",\"mail\":\"421 4.3.2 shutting down\"}"},
        {{kGreeting, kOffers, "530 5.7.0 log in\r\n"},
         "bob: refused\nMAIL               530 5.7.0 log in\n",
         "\"state\":\"refused\",\"mail\":\"530 5.7.0 log in\""},
        {{kGreeting, kOffers, kOk, kFull, "421 4.3.2 enough\r\n"},
         "RCPT               452 4.2.2 Over quota SESSIONID=<s-1>\n"
         "  with IGNOREQUOTA 421 4.3.2 enough\n",
         "\"rcpt_ignorequota\":\"421 4.3.2 enough\"}"},
        {{kGreeting, kOffers, kOk, kFull, kOk, kOk, "421 4.3.2 enough\r\n"},
         "  with IGNOREQUOTA 421 4.3.2 enough\n",
         "\"rcpt_ignorequota\":\"421 4.3.2 enough\"}"},
        {{kGreeting, kOffers, kOk, Play::kClose},
         "RCPT               no reply: the peer closed the connection before the reply to RCPT\n",
         "\"rcpt\":\"no reply: the peer closed the connection before the reply to RCPT\"}"},
        {{kGreeting, kOffers, kOk, "354 what\r\n"},
         "RCPT               no reply: invalid reply to RCPT: 354 what\n",
         "\"rcpt\":\"no reply: invalid reply to RCPT: 354 what\"}"},
    };
    for (const auto& row : rows) {
      Play play;
      play.replies = row.replies;
      const ProbeResult result = probed(&play, {"--rcpt=bob"});
      const std::string text = describe(result, "bob");
      CPPUNIT_ASSERT_MESSAGE(text + row.text, has(text, row.text));
      CPPUNIT_ASSERT_MESSAGE(text, !has(text, "RCPT               0"));
      const std::string json = to_json(result, "bob");
      CPPUNIT_ASSERT_MESSAGE(json + row.json, has(json, row.json));
    }
  }

  void whatIsKnownOfTlsIsPrintedWithoutAGreeting() {
    ProbeResult result;
    result.reached = ProbeResult::Reached::kUnsecured;
    result.tls_first = true;
    result.tls.verification = "certificate has expired";
    result.tls.chain.emplace_back().subject = "CN=store";
    CPPUNIT_ASSERT(result.met());
    const std::string text = describe(result, "");
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "verification       certificate has expired\n"));
    CPPUNIT_ASSERT_MESSAGE(text, !has(text, "greeting"));
    const std::string json = to_json(result, "");
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"from_start\":true"));
    result.reached = ProbeResult::Reached::kProtocolError;
    CPPUNIT_ASSERT_EQUAL(text, describe(result, ""));
    CPPUNIT_ASSERT(has(to_json(result, ""), "\"reached\":\"protocol-error\""));
    CPPUNIT_ASSERT_MESSAGE(json, !has(json, "greeting"));
  }

  void aLostConnectionIsNoRefusalOfTheMailbox() {
    for (const char* last : {"", Play::kClose, "421 4.3.2 shutting down\r\n"}) {
      Play play;
      play.replies = {kGreeting, kOffers, kOk, last};
      const ProbeResult result = probed(&play, {"--rcpt=bob"});
      const std::string text = describe(result, "bob");
      CPPUNIT_ASSERT_MESSAGE(text, !has(text, "bob: refused"));
      CPPUNIT_ASSERT_MESSAGE(text, !has(text, "bob: accepted"));
      const std::string json = to_json(result, "bob");
      CPPUNIT_ASSERT_MESSAGE(json, !has(json, "\"state\":\"refused\""));
    }
  }

  void aStoreThatRequiresALoginIsReported() {
    for (const char* said : {"430 Authentication required\r\n", "530 5.7.0 no\r\n"}) {
      Play play;
      play.replies = {kGreeting, "250-store\r\n250 AUTH PLAIN\r\n", said};
      const ProbeResult result = probed(&play, {"--rcpt=bob"});
      CPPUNIT_ASSERT_EQUAL_MESSAGE(said, EX_PROTOCOL, exit_status(result));
      const std::string text = describe(result, "bob");
      CPPUNIT_ASSERT_MESSAGE(
          text, has(text, "login              none configured; the store offers AUTH\n"));
      CPPUNIT_ASSERT_MESSAGE(text, has(text, "settings           no section matches\n"));
    }
    Play play;
    play.replies = {kGreeting, kOffers, kOk, kFull, kOk, kOk, kOk};
    CPPUNIT_ASSERT_EQUAL(EX_OK, exit_status(probed(&play, {"--rcpt=bob"})));
  }

  // As in a delivery.
  void overQuotaIsWhatOverQuotaPoliciesAreFor() {
    const auto words = [](Awaited stage, int code, std::optional<EnhancedStatus> status,
                          const char* text) {
      return std::string(quota_words(Answer{stage, Reply{code, status, {text}, {}}}));
    };
    const std::string over_quota = "over quota";
    const std::string refused = "refused";
    CPPUNIT_ASSERT_EQUAL(refused, words(Awaited::kRcpt, 452, std::nullopt, "Full disk"));
    CPPUNIT_ASSERT_EQUAL(over_quota, words(Awaited::kRcpt, 452, std::nullopt, "Over quota"));
    CPPUNIT_ASSERT_EQUAL(over_quota, words(Awaited::kRcpt, 452, EnhancedStatus{4, 2, 2}, "x"));
    CPPUNIT_ASSERT_EQUAL(over_quota, words(Awaited::kRcpt, 552, EnhancedStatus{5, 2, 2}, "x"));
    CPPUNIT_ASSERT_EQUAL(refused, words(Awaited::kRcpt, 452, EnhancedStatus{4, 2, 1}, "x"));
    CPPUNIT_ASSERT_EQUAL(refused, words(Awaited::kMail, 452, EnhancedStatus{4, 2, 2}, "x"));
    CPPUNIT_ASSERT_EQUAL(refused, words(Awaited::kRcpt, 530, EnhancedStatus{5, 2, 2}, "x"));
  }

  // However far it came.
  void aProbeThatWasNotDoneInTimeIsUnavailable() {
    for (const auto reached : {ProbeResult::Reached::kNothing, ProbeResult::Reached::kProtocolError,
                               ProbeResult::Reached::kUnsecured, ProbeResult::Reached::kStore}) {
      ProbeResult result;
      result.reached = reached;
      result.failure = "late";
      result.timed_out = true;
      CPPUNIT_ASSERT_EQUAL(EX_UNAVAILABLE, exit_status(result));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("not done within 10 s (--timeout)"),
                         too_slow(std::chrono::seconds(10)));
    CPPUNIT_ASSERT_EQUAL(std::string("not done within 0.25 s (--timeout)"),
                         too_slow(std::chrono::milliseconds(250)));
  }

  void whatIsRequiredMustBeOffered() {
    for (const auto& [required, failure] :
         {std::pair("--require=IgnoreQuota, size", ""),
          std::pair("--require=IGNOREQUOTA,TRACE",
                    "the store does not offer TRACE, which --require lists (unix:/s)")}) {
      Play play;
      play.replies = {kGreeting, kOffers, kOk};
      const ProbeResult result = probed(&play, {required});
      CPPUNIT_ASSERT_EQUAL(std::string(failure), result.failure);
      CPPUNIT_ASSERT_EQUAL(*failure == '\0' ? EX_OK : EX_PROTOCOL, exit_status(result));
    }
  }

  void jsonIsEscaped() {
    ProbeResult result;
    result.peer = "unix:/a\"b\\c\nd";
    CPPUNIT_ASSERT(has(to_json(result, ""), "\"peer\":\"unix:/a\\\"b\\\\c\\nd\""));
  }

  void whatControlsATerminalIsEscaped() {
    ProbeResult result;
    result.offered.emplace_back();
    result.tls_failure =
        "CN=\x1b[2J\xe2\x80\xae\xc2\x9b"
        "a";
    const std::string text = describe(result, "");
    CPPUNIT_ASSERT_MESSAGE(text, has(text, "CN=\\x1b[2J\\xe2\\x80\\xae\\xc2\\x9ba;"));
    const std::string json = to_json(result, "");
    CPPUNIT_ASSERT_MESSAGE(json, has(json, "\"CN=\\u001b[2J\\u202e\\u009ba\""));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProbeTest);
