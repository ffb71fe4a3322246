#include "mailer/delivery/delivery.h"

#include <cppunit/extensions/HelperMacros.h>

#include <new>

#include "common/options/option_reader.h"
#include "mailer/settings/destination_sections.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;

class FakeClient : public MessageClient {
 public:
  explicit FakeClient(bool gone) : gone_(gone) {}
  void decided(std::size_t, const Outcome& outcome, const TraceId&) override {
    heard = reply_text(outcome);
  }
  void pass_on() noexcept override {}
  bool gone() override {
    ++asked;
    return gone_;
  }
  std::string heard;
  int asked = 0;

 private:
  const bool gone_;
};

// A store that accepts everything until `fails_at` is written; then the next read throws.
class FailingChannel : public Channel {
 public:
  explicit FailingChannel(std::string fails_at) : fails_at_(std::move(fails_at)) {}
  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!reply_.empty()) {
      in += std::exchange(reply_, {});
      return IoStatus::kProgress;
    }
    if (failing_) {
      throw std::bad_alloc();
    }
    const std::string written(std::exchange(out, {}));
    failing_ = written.starts_with(fails_at_);
    reply_ = failing_ ? "" : written.starts_with("DATA") ? "354 go\r\n" : "250 ok\r\n";
    return IoStatus::kProgress;
  }
  bool quiet() override { return true; }
  const std::string& failure() const override { return failure_; }

 private:
  std::string fails_at_;
  std::string reply_ = "220 hi\r\n";
  std::string failure_;
  bool failing_ = false;
};

class FailingDialer : public Dialer {
 public:
  explicit FailingDialer(std::string fails_at) : fails_at_(std::move(fails_at)) {}
  Dialled dial(const Destination& destination, std::chrono::milliseconds,
               const Patience& /*patience*/) override {
    return {std::make_unique<FailingChannel>(fails_at_), destination.text, {}};
  }

 private:
  std::string fails_at_;
};

// The reply when `waited` has passed since the end of data, and the store fails after `command`.
std::string reply_of_failing_store(const std::string& command, MessageClient* client = nullptr,
                                   std::chrono::milliseconds waited = {}) {
  Settings settings;
  OptionReader options(option_table(Command::kRelay, settings));
  options.apply();
  settings.stores = find_stores(options, {parse_destination("unix:/store")});
  const Log log("test", "/dev/null", LogLevel::kInfo);
  FailingDialer dialer(command);
  PoolList pools(settings, dialer, log);
  Delivery delivery(settings, pools, log);
  Envelope envelope;
  envelope.recipients.push_back({*Mailbox::parse("u@x")});
  MailData data("/tmp", std::nullopt);
  data.append("Subject: x\r\n\r\nhi\r\n");
  const Clock::time_point complete = Clock::now() - waited;
  const DeliveryResult result =
      delivery.deliver({envelope, data, complete, complete, nullptr, nullptr, client});
  CPPUNIT_ASSERT_EQUAL(std::size_t{1}, result.outcomes.size());
  CPPUNIT_ASSERT(client != nullptr || !delivery.has_idle());
  return reply_text(result.outcomes[0]);
}

}  // namespace

class DeliveryTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DeliveryTest);
  CPPUNIT_TEST(anExceptionBeforeEndOfDataIsTemporary);
  CPPUNIT_TEST(anExceptionAfterEndOfDataIsAPossibleDuplicate);
  CPPUNIT_TEST(nothingIsDeliveredForAClientThatHasGone);  // trap: gone-before-mail
  CPPUNIT_TEST(theClientIsToldTheOutcome);
  CPPUNIT_TEST_SUITE_END();

  void anExceptionBeforeEndOfDataIsTemporary() {
    for (const char* command : {"LHLO", "MAIL", "RCPT", "DATA"}) {
      const std::string words = reply_of_failing_store(command);
      CPPUNIT_ASSERT_MESSAGE(words, words.starts_with("451 4.3.0 "));
    }
  }

  void anExceptionAfterEndOfDataIsAPossibleDuplicate() {
    const std::string words = reply_of_failing_store("Subject");
    CPPUNIT_ASSERT_MESSAGE(words, words.starts_with("451 4.4.2 "));
    CPPUNIT_ASSERT_MESSAGE(words, words.find("possible duplicate") != std::string::npos);
  }

  void nothingIsDeliveredForAClientThatHasGone() {
    FakeClient gone(true);
    const std::string words = reply_of_failing_store("MAIL", &gone, std::chrono::minutes(1));
    CPPUNIT_ASSERT_MESSAGE(words, words.starts_with("451 4.4.2 Client disconnected: "));
    CPPUNIT_ASSERT_EQUAL(words, gone.heard);
    FakeClient there(false);
    const std::string other = reply_of_failing_store("MAIL", &there, std::chrono::minutes(1));
    CPPUNIT_ASSERT_MESSAGE(other, other.starts_with("451 4.3.0 "));  // MAIL was sent
    CPPUNIT_ASSERT_EQUAL(1, there.asked);
  }

  void theClientIsToldTheOutcome() {
    FakeClient client(false);
    const std::string words = reply_of_failing_store("DATA", &client);
    CPPUNIT_ASSERT_EQUAL(words, client.heard);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DeliveryTest);
