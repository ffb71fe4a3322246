#include "mailer/io/tls.h"

#include <cppunit/extensions/HelperMacros.h>

#include <deque>
#include <utility>
#include <vector>

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace std::chrono_literals;

namespace {

using State = TlsConnection::Handshake;

// Its handshake is a list of what it sends and the state that it is in then.
class ScriptedTls : public TlsConnection {
 public:
  using Steps = std::deque<std::pair<std::string, State>>;
  explicit ScriptedTls(Steps steps) : steps_(std::move(steps)) {}

  Handshake handshake(std::string_view received, std::string& to_send) override {
    heard.emplace_back(received);
    if (steps_.empty()) {
      return State::kDone;
    }
    const auto [text, state] = steps_.front();
    steps_.pop_front();
    to_send += text;
    return state;
  }
  const std::string& failure() const override { return failure_; }

  const TlsFacts& facts() const override { return facts_; }
  bool showed_certificate() const override { return false; }
  std::string channel_binding(const std::string&) const override { return ""; }
  std::optional<std::size_t> seal(std::string_view, std::string&) override { return {}; }
  bool open(std::string_view, std::string&, std::string&) override { return false; }
  std::string ending() const override { return ""; }
  bool ended() const override { return false; }
  void seal_end(std::string&) override {}

  std::vector<std::string> heard;

 private:
  Steps steps_;
  TlsFacts facts_;
  std::string failure_ = "bad certificate";
};

// One exchange() after the other; after the last the peer has closed the connection.
class ScriptedWire : public Channel {
 public:
  struct Exchange {
    std::string says;
    bool takes = true;  // what we write
    IoStatus status = IoStatus::kProgress;
  };
  explicit ScriptedWire(std::deque<Exchange> script, std::string failure = "it closed")
      : script_(std::move(script)), failure_(std::move(failure)) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (script_.empty()) {
      return IoStatus::kClosed;
    }
    const Exchange now = script_.front();
    script_.pop_front();
    in += now.says;
    if (now.takes && !out.empty()) {
      written.emplace_back(std::exchange(out, {}));
    }
    return now.status;
  }
  bool quiet() override { return false; }
  const std::string& failure() const override { return failure_; }
  std::size_t left() const { return script_.size(); }

  std::vector<std::string> written;

 private:
  std::deque<Exchange> script_;
  std::string failure_;
};

Deadline late() { return Clock::now() + 60s; }

using Texts = std::vector<std::string>;

}  // namespace

class TlsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TlsTest);
  CPPUNIT_TEST(bothSidesTakeTurnsUntilItIsDone);
  CPPUNIT_TEST(bytesThatComeDuringAWriteAreNotWaitedForAgain);
  CPPUNIT_TEST(aFailureSendsItsAlertAndDoesNotWaitForThePeer);
  CPPUNIT_TEST(aReplyInPlaceOfTlsIsReported);
  CPPUNIT_TEST(theAlertOfAPeerThatReadsNothingIsTheReason);
  CPPUNIT_TEST(aLossIsReportedWithItsReason);
  CPPUNIT_TEST(aPeerThatKeepsSendingTimesOut);
  CPPUNIT_TEST_SUITE_END();

  void bothSidesTakeTurnsUntilItIsDone() {
    ScriptedTls tls({{"hello", State::kNeedMore}, {"", State::kNeedMore}, {"done", State::kDone}});
    ScriptedWire wire({{""}, {"cer"}, {"tificate"}, {"early"}});
    std::string failure;
    CPPUNIT_ASSERT(shake_hands(tls, wire, late(), failure));
    CPPUNIT_ASSERT((wire.written == Texts{"hello", "done"}));
    CPPUNIT_ASSERT((tls.heard == Texts{"", "cer", "tificate", "early"}));
    CPPUNIT_ASSERT_EQUAL(std::string(), failure);
  }

  void bytesThatComeDuringAWriteAreNotWaitedForAgain() {
    ScriptedTls tls({{"hello", State::kNeedMore}, {"", State::kDone}});
    ScriptedWire wire({{"certificate"}, {"later"}});
    std::string failure;
    CPPUNIT_ASSERT(shake_hands(tls, wire, late(), failure));
    CPPUNIT_ASSERT((tls.heard == Texts{"", "certificate", ""}));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, wire.left());
  }

  void aFailureSendsItsAlertAndDoesNotWaitForThePeer() {
    for (const bool takes : {true, false}) {
      ScriptedTls tls({{"hello", State::kNeedMore}, {"alert", State::kFailed}});
      ScriptedWire wire({{""}, {"certificate"}, {"", takes, IoStatus::kTimeout}, {""}});
      std::string failure;
      CPPUNIT_ASSERT(!shake_hands(tls, wire, late(), failure));
      CPPUNIT_ASSERT((wire.written == (takes ? Texts{"hello", "alert"} : Texts{"hello"})));
      CPPUNIT_ASSERT_EQUAL(std::size_t{1}, wire.left());
      CPPUNIT_ASSERT_EQUAL(std::string("bad certificate"), failure);
    }
  }

  void aReplyInPlaceOfTlsIsReported() {
    const std::string longest = "220 " + std::string(196, 'x');
    const struct {
      std::string first;
      std::string then;
      std::string reply;
    } rows[] = {{"220 ready\r\n", "250 more\r\n", "220 ready"},
                {"2", "20 ready\r\n", "220 ready"},
                {"220", "\r", "220"},
                {"099 no\n", "", "099 no"},
                {"22\r\n", "", ""},
                {"22", "", ""},
                {"/20 x\r\n", "", ""},
                {":20 x\r\n", "", ""},
                {"22a x\r\n", "", ""},
                {"HTTP/1.0 400\r\n", "", ""},
                {longest, "y\r\n", longest},
                {longest.substr(0, 150), longest.substr(150) + "y", longest}};
    for (const auto& row : rows) {
      ScriptedTls tls(
          {{"hello", State::kNeedMore}, {"", State::kNeedMore}, {"alert", State::kFailed}});
      ScriptedWire wire({{""}, {row.first}, {row.then}, {""}});
      std::string failure;
      std::string in_clear;
      CPPUNIT_ASSERT(!shake_hands(tls, wire, late(), failure, &in_clear));
      CPPUNIT_ASSERT_EQUAL(row.reply, in_clear);
      CPPUNIT_ASSERT_EQUAL(std::string("bad certificate"), failure);
    }
  }

  void theAlertOfAPeerThatReadsNothingIsTheReason() {
    const struct {
      State before;  // of the write that fails
      State then;
      const char* failure;
      const char* in_clear;
      std::size_t calls;
    } rows[] = {{State::kNeedMore, State::kFailed, "bad certificate", "454 no", 2},
                {State::kNeedMore, State::kNeedMore, "it closed during the TLS handshake", "", 2},
                {State::kDone, State::kFailed, "it closed during the TLS handshake", "", 1}};
    for (const auto& row : rows) {
      ScriptedTls tls({{"hello", row.before}, {"", row.then}});
      ScriptedWire wire({{"454 no\r\n", false, IoStatus::kFailed}});
      std::string failure;
      std::string in_clear;
      CPPUNIT_ASSERT(!shake_hands(tls, wire, late(), failure, &in_clear));
      CPPUNIT_ASSERT_EQUAL(std::string(row.failure), failure);
      CPPUNIT_ASSERT_EQUAL(std::string(row.in_clear), in_clear);
      CPPUNIT_ASSERT_EQUAL(row.calls, tls.heard.size());
    }
  }

  void aLossIsReportedWithItsReason() {
    const struct {
      Deadline deadline;
      const char* failure;  // of the channel
      const char* reason;
    } rows[] = {{late(), "it closed", "it closed during the TLS handshake"},
                {late(), "", "timed out during the TLS handshake"},
                {Clock::now(), "it closed", "timed out during the TLS handshake"}};
    for (const auto& row : rows) {
      for (const std::deque<ScriptedWire::Exchange>& script :
           {std::deque<ScriptedWire::Exchange>{}, {{""}}}) {
        ScriptedTls tls({{"hello", State::kNeedMore}, {"", State::kNeedMore}});
        ScriptedWire wire(script, row.failure);
        std::string failure;
        CPPUNIT_ASSERT(!shake_hands(tls, wire, row.deadline, failure));
        CPPUNIT_ASSERT_EQUAL(std::string(row.reason), failure);
      }
    }
  }

  void aPeerThatKeepsSendingTimesOut() {
    ScriptedTls tls({{"hello", State::kNeedMore}, {"", State::kDone}});
    ScriptedWire wire({{""}, {"certificate"}});
    std::string failure;
    CPPUNIT_ASSERT(!shake_hands(tls, wire, Clock::now(), failure));
    CPPUNIT_ASSERT_EQUAL(std::string("timed out during the TLS handshake"), failure);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, tls.heard.size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TlsTest);
