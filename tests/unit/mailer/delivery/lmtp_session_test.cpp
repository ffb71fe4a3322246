// What a session says of the replies that its client may not have read when a stop meets its end.
#include "mailer/delivery/lmtp_session.h"

#include <cppunit/extensions/HelperMacros.h>

#include <utility>

#include "mailer/settings/load_settings.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

// Sends one message, and ends its side just when the daemon is told to stop. It is gone then.
class LeavingClient : public Channel {
 public:
  LeavingClient(bool reads, bool& stopping) : reads_(reads), stopping_(stopping) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!out.empty()) {
      const bool written = !stopping_;
      out = written ? std::string_view() : out;
      return written ? IoStatus::kProgress : IoStatus::kFailed;
    }
    in += std::exchange(input_, {});
    stopping_ = in.empty();
    return in.empty() ? IoStatus::kClosed : IoStatus::kProgress;
  }
  bool quiet() override { return false; }
  Presence presence() const override { return stopping_ ? Presence::kGone : Presence::kThere; }
  bool took_all(Deadline) const override { return reads_; }
  bool may_have_read() const override { return reads_; }
  const std::string& failure() const override { return failure_; }

 private:
  const bool reads_;
  bool& stopping_;
  std::string input_ = "LHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<u@b>\r\nDATA\r\nhi\r\n.\r\n";
  std::string failure_ = "closed";
};

class FilingAgent : public DeliveryAgent {
 public:
  DeliveryResult deliver(const DeliveryRequest&) override {
    return {TraceId(), {{Fate::kDelivered, 250, {2, 1, 5}, "filed", {}, 250}}};
  }
  void reply_lost() override { ++lost; }
  int lost = 0;
};

}  // namespace

class LmtpSessionTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LmtpSessionTest);
  CPPUNIT_TEST(aClientThatHasReadAllAndLeavesAsTheDaemonStopsIsNotAnnounced);
  CPPUNIT_TEST_SUITE_END();

  // trap: closed-with-replies-unread
  void aClientThatHasReadAllAndLeavesAsTheDaemonStopsIsNotAnnounced() {
    for (const bool reads : {true, false}) {
      Settings settings;
      OptionReader options(option_table(Command::kRelay, settings));
      options.apply();
      const Log log("test", "/dev/null", LogLevel::kInfo);
      bool stopping = false;
      LeavingClient client(reads, stopping);
      FilingAgent agent;
      LmtpSession session(client, settings, server_limits(settings), agent, log,
                          [&] { return stopping; });
      CPPUNIT_ASSERT(session.run() == LmtpSession::End::kToldToStop);
      session.send_421();
      CPPUNIT_ASSERT_EQUAL(reads ? 0 : 1, agent.lost);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LmtpSessionTest);
