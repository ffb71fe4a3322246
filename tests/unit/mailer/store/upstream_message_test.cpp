#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "mailer/message/mail_data.h"
#include "mailer/store/upstream.h"
#include "tests/unit/mailer/store/scripted_store.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

// What a store with CHUNKING received, and how it fails.
struct Heard {
  std::string offers = "250-store\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
  std::size_t at_once = ~std::size_t{0};     // it takes this many bytes at a time
  std::size_t dies_after = ~std::size_t{0};  // of all bytes
  std::size_t refuses_chunk = 0;             // the n-th gets 452

  std::vector<std::string> flights;  // what came before the store had to speak: "MAIL RCPT BDAT"
  std::vector<std::size_t> chunks;
  std::string message;
};

// A store that reads any number of commands, and then replies to all of them.
class ChunkStore : public Channel {
 public:
  explicit ChunkStore(Heard& heard) : heard_(heard) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!out.empty() && taken_ < heard_.dies_after) {
      const std::size_t count = std::min({out.size(), heard_.at_once, heard_.dies_after - taken_});
      unread_ += out.substr(0, count);
      out.remove_prefix(count);
      taken_ += count;
      while (hear()) {
      }
      return IoStatus::kProgress;
    }
    if (taken_ >= heard_.dies_after) {
      failure_ = "the peer closed the connection";
      return IoStatus::kClosed;
    }
    if (said_.empty()) {
      return IoStatus::kTimeout;
    }
    if (!flight_.empty()) {
      heard_.flights.push_back(std::exchange(flight_, {}));
    }
    in += std::exchange(said_, {});
    return IoStatus::kProgress;
  }
  bool quiet() override { return said_.empty() && taken_ < heard_.dies_after; }
  const std::string& failure() const override { return failure_; }

 private:
  bool hear() {
    const std::size_t end = unread_.find("\r\n");
    if (end == std::string::npos) {
      return false;
    }
    const std::string line = unread_.substr(0, end);
    const std::string verb = line.substr(0, 4);
    const std::size_t size = verb == "BDAT" ? std::strtoul(line.c_str() + 5, nullptr, 10) : 0;
    if (unread_.size() < end + 2 + size) {
      return false;
    }
    if (verb == "BDAT") {
      heard_.message += unread_.substr(end + 2, size);
      heard_.chunks.push_back(size);
    }
    unread_.erase(0, end + 2 + size);
    flight_ += (flight_.empty() ? "" : " ") + verb;
    answer(line, verb);
    return true;
  }

  void answer(const std::string& line, const std::string& verb) {
    if (verb == "LHLO") {
      said_ += heard_.offers;
    } else if (verb == "BDAT" && heard_.chunks.size() == heard_.refuses_chunk) {
      said_ += "452 4.3.1 disk\r\n";
    } else if (verb == "BDAT" && line.ends_with("LAST")) {
      for (; recipients_ > 0; --recipients_) {
        said_ += kSent;
      }
    } else {
      recipients_ += verb == "RCPT" ? 1 : 0;
      said_ += kOk;
    }
  }

  Heard& heard_;
  std::string unread_;
  std::string said_ = "220 store\r\n";
  std::string flight_;
  std::string failure_;
  std::size_t taken_ = 0;
  int recipients_ = 0;
};

std::string message_of(std::size_t size) {
  std::string message = "Subject: x\r\n\r\n";
  while (message.size() + 76 < size) {
    message += "." + std::string(73, static_cast<char>('a' + message.size() % 26)) + "\r\n";
  }
  const std::size_t left = size - std::min(size, message.size());
  return left < 2 ? message : message + std::string(left - 2, 'z') + "\r\n";
}

// A connection to that store.
class Scene {
 public:
  explicit Scene(Heard& heard, const std::vector<std::string>& arguments = {})
      : settings_(settings_with(arguments)),
        upstream_(std::make_unique<ChunkStore>(heard), "test", settings_.store_defaults, settings_,
                  log_) {
    CPPUNIT_ASSERT(upstream_.open(Deadline::max()));
    heard.flights.clear();
  }

  // How many of the recipients got 2xx.
  long send(const std::string& message, std::size_t recipients = 2) {
    MailData data("/tmp", std::nullopt);
    data.append(message);
    data.finish();
    Transaction transaction;
    for (std::size_t i = 1; i <= recipients; ++i) {
      transaction.recipients.push_back({mailbox(("u" + std::to_string(i)).c_str())});
    }
    upstream_.transact(std::move(transaction), data.body(), Deadline::max(), Deadline::max());
    const auto& answers = upstream_.client().answers();
    return std::count_if(answers.begin(), answers.end(),
                         [](const auto& a) { return a && a->reply.positive(); });
  }
  Upstream& upstream() { return upstream_; }

 private:
  Settings settings_;
  Log log_{"test", "/dev/null", LogLevel::kInfo};
  Upstream upstream_;
};

std::string joined(const std::vector<std::string>& flights) {
  std::string all;
  for (const std::string& flight : flights) {
    all += (all.empty() ? "" : " | ") + flight;
  }
  return all;
}

}  // namespace

class UpstreamMessageTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(UpstreamMessageTest);
  CPPUNIT_TEST(oneFlightNeedsAConnectionThatCarriedAMessage);
  CPPUNIT_TEST(oneFlightIsNotUsedAfterSilence);
  CPPUNIT_TEST(oneFlightIsNotUsedForSeveralRecipients);
  CPPUNIT_TEST(aLargeMessageGoesInChunks);
  CPPUNIT_TEST(everySplitOfTheBytesArrivesComplete);
  CPPUNIT_TEST(chunkingCanBeSwitchedOff);
  CPPUNIT_TEST(withoutPipeliningThereIsNoFlight);
  CPPUNIT_TEST(afterTheLastByteTheMessageMayHaveBeenFiled);
  CPPUNIT_TEST(aRefusedChunkIsTheReplyForEveryRecipient);
  CPPUNIT_TEST(aConnectionIsNotReusedBeyondMailMax);
  CPPUNIT_TEST_SUITE_END();

  void oneFlightNeedsAConnectionThatCarriedAMessage() {
    Heard heard;
    Scene scene(heard);
    for (int i = 0; i < 3; ++i) {
      CPPUNIT_ASSERT_EQUAL(1L, scene.send("Subject: x\r\n\r\n.\r\n", 1));
      CPPUNIT_ASSERT(scene.upstream().alive() && scene.upstream().dot_sent());
    }
    check("MAIL RCPT | BDAT | RSET MAIL RCPT BDAT | RSET MAIL RCPT BDAT", joined(heard.flights));
    const std::string one = "Subject: x\r\n\r\n.\r\n";
    check(one + one + one, heard.message);
    // The largest message for one flight, and one byte more.
    heard.flights.clear();
    CPPUNIT_ASSERT_EQUAL(1L, scene.send(message_of(64 * 1024), 1));
    CPPUNIT_ASSERT_EQUAL(1L, scene.send(message_of(64 * 1024 + 1), 1));
    check("RSET MAIL RCPT BDAT | RSET MAIL RCPT | BDAT", joined(heard.flights));
  }

  void oneFlightIsNotUsedAfterSilence() {
    Heard heard;
    Scene scene(heard);
    scene.send("hi\r\n");
    heard.flights.clear();
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    CPPUNIT_ASSERT_EQUAL(1L, scene.send("hi\r\n", 1));
    CPPUNIT_ASSERT_EQUAL(1L, scene.send("hi\r\n", 1));
    check("RSET MAIL RCPT | BDAT | RSET MAIL RCPT BDAT", joined(heard.flights));
  }

  // The first one's reply is passed on before it can be seen that the replies are out of step.
  void oneFlightIsNotUsedForSeveralRecipients() {  // trap: replies-held-back
    Heard heard;
    Scene scene(heard);
    scene.send("hi\r\n", 1);
    heard.flights.clear();
    CPPUNIT_ASSERT_EQUAL(2L, scene.send("hi\r\n"));
    check("RSET MAIL RCPT RCPT | BDAT", joined(heard.flights));
  }

  void aLargeMessageGoesInChunks() {
    for (const std::size_t size : {0u, 1u, 70'000u, 262'144u, 262'145u, 600'000u}) {
      Heard heard;
      Scene scene(heard);
      const std::string message = size < 100 ? std::string(size, 'x') : message_of(size);
      CPPUNIT_ASSERT_EQUAL(2L, scene.send(message));
      check(message, heard.message);
      std::size_t sum = 0;
      for (std::size_t i = 0; i < heard.chunks.size(); ++i) {
        sum += heard.chunks[i];
        CPPUNIT_ASSERT(i + 1 == heard.chunks.size() || heard.chunks[i] >= 64 * 1024);
      }
      CPPUNIT_ASSERT_EQUAL(size, sum);
      CPPUNIT_ASSERT_EQUAL(size > 262'144, heard.chunks.size() > 1);
      CPPUNIT_ASSERT(scene.upstream().alive());
    }
  }

  void everySplitOfTheBytesArrivesComplete() {
    for (const std::size_t at_once : {1u, 2u, 7u, 1000u}) {
      Heard heard;
      heard.at_once = at_once;
      Scene scene(heard);
      const std::string message = message_of(3000);
      for (int i = 0; i < 3; ++i) {
        heard.message.clear();
        CPPUNIT_ASSERT_EQUAL(2L, scene.send(message));
        check(message, heard.message);
      }
    }
  }

  void chunkingCanBeSwitchedOff() {
    Heard heard;
    Scene scene(heard, {"--chunking=no"});
    scene.send("hi\r\n");
    check("MAIL RCPT RCPT DATA", joined(heard.flights));
  }

  void withoutPipeliningThereIsNoFlight() {
    Heard heard;
    heard.offers = "250-store\r\n250 CHUNKING\r\n";
    Scene scene(heard);
    const std::string message = message_of(300'000);
    for (int i = 0; i < 2; ++i) {
      heard.flights.clear();
      heard.message.clear();
      CPPUNIT_ASSERT_EQUAL(2L, scene.send(message));
      check(message, heard.message);
      check(std::string(i == 0 ? "" : "RSET | ") +
                "MAIL | RCPT | RCPT | BDAT | BDAT | BDAT | BDAT | BDAT",
            joined(heard.flights));
    }
  }

  void afterTheLastByteTheMessageMayHaveBeenFiled() {
    const std::string message = "Subject: x\r\n\r\nhi\r\n";
    Heard first;
    std::size_t before = 0;
    std::size_t behind = 0;
    {
      Scene scene(first);
      scene.send(message, 1);
      before = std::string("LHLO \r\n").size() + scene.upstream().settings().hostname.size() +
               std::string("MAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 18 LAST\r\n").size() +
               message.size();
      behind = before +
               std::string("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 18 LAST\r\n").size() +
               message.size();
    }
    for (std::size_t end = before + 1; end <= behind; ++end) {
      Heard heard;
      heard.dies_after = end;
      Scene scene(heard);
      CPPUNIT_ASSERT_EQUAL(1L, scene.send(message, 1));
      CPPUNIT_ASSERT_EQUAL(0L, scene.send(message, 1));
      CPPUNIT_ASSERT_EQUAL(end == behind, scene.upstream().dot_sent());
      CPPUNIT_ASSERT(!scene.upstream().alive());
    }
  }

  void aRefusedChunkIsTheReplyForEveryRecipient() {
    Heard heard;
    heard.refuses_chunk = 2;
    Scene scene(heard);
    CPPUNIT_ASSERT_EQUAL(0L, scene.send(message_of(600'000)));
    for (const auto& answer : scene.upstream().client().answers()) {
      check("452 4.3.1 disk", answer.value().reply.summary());
    }
    CPPUNIT_ASSERT(!scene.upstream().alive());
  }

  void aConnectionIsNotReusedBeyondMailMax() {
    for (const char* limits : {"MAILMAX=2", "RCPTMAX=9 mailmax=2 X"}) {
      Heard heard;
      heard.offers = "250-store\r\n250-CHUNKING\r\n250 LIMITS " + std::string(limits) + "\r\n";
      Scene scene(heard);
      CPPUNIT_ASSERT(scene.upstream().alive());
      CPPUNIT_ASSERT_EQUAL(2L, scene.send("hi\r\n"));
      CPPUNIT_ASSERT(scene.upstream().alive() && scene.upstream().reusable());
      CPPUNIT_ASSERT_EQUAL(2L, scene.send("hi\r\n"));
      CPPUNIT_ASSERT(scene.upstream().client().reusable());
      CPPUNIT_ASSERT(!scene.upstream().reusable() && !scene.upstream().alive());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(UpstreamMessageTest);
