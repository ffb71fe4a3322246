#include <cppunit/extensions/HelperMacros.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "mailer/lines/dot_stuffing.h"
#include "mailer/message/mail_data.h"
#include "mailer/store/upstream.h"
#include "tests/unit/mailer/store/scripted_store.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

// What a store received, and how it fails.
struct Heard {
  std::string offers = "250-store\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
  std::size_t at_once = ~std::size_t{0};     // it takes this many bytes at a time
  std::size_t dies_after = ~std::size_t{0};  // of all bytes

  std::size_t taken = 0;
  std::vector<std::string> flights;  // what came before the store had to speak: "MAIL RCPT DATA"
  std::string message;
};

// A store that reads any number of commands, and then replies to all of them.
class CountingStore : public Channel {
 public:
  explicit CountingStore(Heard& heard) : heard_(heard) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    if (!out.empty() && heard_.taken < heard_.dies_after) {
      const std::size_t count =
          std::min({out.size(), heard_.at_once, heard_.dies_after - heard_.taken});
      unread_ += out.substr(0, count);
      out.remove_prefix(count);
      heard_.taken += count;
      while (hear()) {
      }
      return IoStatus::kProgress;
    }
    if (heard_.taken >= heard_.dies_after) {
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
  bool quiet() override { return said_.empty() && heard_.taken < heard_.dies_after; }
  const std::string& failure() const override { return failure_; }

 private:
  bool hear() {
    if (decoder_) {
      std::string_view rest = unread_;
      const bool ended = decoder_->decode(rest, heard_.message);
      unread_ = std::string(rest);
      if (ended) {
        decoder_.reset();
        for (; recipients_ > 0; --recipients_) {
          said_ += kSent;
        }
      }
      return ended;
    }
    const std::size_t end = unread_.find("\r\n");
    if (end == std::string::npos) {
      return false;
    }
    const std::string verb = unread_.substr(0, 4);
    unread_.erase(0, end + 2);
    flight_ += (flight_.empty() ? "" : " ") + verb;
    recipients_ += verb == "RCPT" ? 1 : 0;
    said_ += verb == "LHLO" ? heard_.offers : verb == "DATA" ? kGo : kOk;
    if (verb == "DATA") {
      decoder_.emplace(TextRules());
    }
    return true;
  }

  Heard& heard_;
  std::string unread_;
  std::string said_ = "220 store\r\n";
  std::string flight_;
  std::string failure_;
  std::optional<DataDecoder> decoder_;  // between DATA and the dot
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
        upstream_(std::make_unique<CountingStore>(heard), "test", settings_.store_defaults,
                  settings_, log_) {
    CPPUNIT_ASSERT(upstream_.open(Deadline::max()));
    heard.flights.clear();
  }

  // How many of the recipients got 2xx. A message over the limit cannot be read.
  long send(const std::string& message, std::size_t recipients = 2,
            std::optional<std::uint64_t> limit = std::nullopt) {
    MailData data("/tmp", limit);
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
  CPPUNIT_TEST(theMessageWaitsForThe354);
  CPPUNIT_TEST(withoutPipeliningEachCommandWaits);
  CPPUNIT_TEST(everySizeArrivesComplete);
  CPPUNIT_TEST(everySplitOfTheBytesArrivesComplete);
  CPPUNIT_TEST(afterTheDotTheMessageMayHaveBeenFiled);
  CPPUNIT_TEST(aPartOfAMessageIsNeverEnded);
  CPPUNIT_TEST(theTranscriptSaysHowAConnectionEnded);
  CPPUNIT_TEST(aConnectionIsNotReusedBeyondMailMax);
  CPPUNIT_TEST_SUITE_END();

  void theMessageWaitsForThe354() {  // trap: chunk-without-354
    Heard heard;
    Scene scene(heard);
    for (int i = 0; i < 2; ++i) {
      CPPUNIT_ASSERT_EQUAL(1L, scene.send("Subject: x\r\n\r\n.\r\n", 1));
      CPPUNIT_ASSERT(scene.upstream().alive() && scene.upstream().dot_sent());
    }
    check("MAIL RCPT DATA | RSET MAIL RCPT DATA", joined(heard.flights));
  }

  void withoutPipeliningEachCommandWaits() {
    Heard heard;
    heard.offers = "250-store\r\n250 CHUNKING\r\n";
    Scene scene(heard);
    for (int i = 0; i < 2; ++i) {
      heard.flights.clear();
      CPPUNIT_ASSERT_EQUAL(2L, scene.send("hi\r\n"));
      check(std::string(i == 0 ? "" : "RSET | ") + "MAIL | RCPT | RCPT | DATA",
            joined(heard.flights));
    }
  }

  void everySizeArrivesComplete() {
    for (const std::size_t size : {0u, 2u, 70'000u, 262'144u, 262'145u, 600'000u}) {
      Heard heard;
      Scene scene(heard);
      const std::string message = message_of(size);
      CPPUNIT_ASSERT_EQUAL(2L, scene.send(message));
      check(message, heard.message);
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

  void afterTheDotTheMessageMayHaveBeenFiled() {
    const std::string message = "Subject: x\r\n\r\nhi\r\n";
    Heard whole;
    Scene(whole).send(message, 1);
    for (std::size_t end = whole.taken - message.size(); end <= whole.taken; ++end) {
      Heard heard;
      heard.dies_after = end;
      Scene scene(heard);
      CPPUNIT_ASSERT_EQUAL(0L, scene.send(message, 1));
      CPPUNIT_ASSERT_EQUAL(end == whole.taken, scene.upstream().dot_sent());
      CPPUNIT_ASSERT(!scene.upstream().alive());
    }
  }

  void aPartOfAMessageIsNeverEnded() {
    for (const std::size_t limit : {1'000u, 300'000u}) {
      Heard heard;
      Scene scene(heard);
      CPPUNIT_ASSERT_EQUAL(0L, scene.send(message_of(400'000), 1, limit));
      const Upstream& upstream = scene.upstream();
      CPPUNIT_ASSERT(!upstream.spool_failure().empty());
      check(upstream.spool_failure(), upstream.client().reason());
      CPPUNIT_ASSERT(!upstream.dot_sent() && !upstream.reusable());
      CPPUNIT_ASSERT(heard.message.size() <= limit);
    }
  }

  void theTranscriptSaysHowAConnectionEnded() {
    for (const bool dies : {false, true}) {
      const std::filesystem::path folder = "/tmp/lmtpq-upstream-test" + std::to_string(getpid());
      std::filesystem::create_directory(folder);
      Heard heard;
      Scene scene(heard, {"--transcript-dir=" + folder.string()});
      heard.dies_after = heard.taken + (dies ? 1 : 1000);
      CPPUNIT_ASSERT_EQUAL(dies ? 0L : 1L, scene.send("hi\r\n", 1));
      if (!dies) {
        scene.upstream().quit(Deadline::max());
      }
      std::ifstream in(std::filesystem::directory_iterator(folder)->path());
      std::string last;
      std::string all;
      for (std::string line; std::getline(in, line); last = line) {
        all += line + '\n';
      }
      check(dies ? "-- the peer closed the connection before the reply to MAIL" : "-- closed by us",
            last);
      CPPUNIT_ASSERT_EQUAL(!dies, all.find("\nC: (message, 7 bytes)\n") != std::string::npos);
      std::filesystem::remove_all(folder);
    }
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
