#include "mailer/delivery/session_client.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <thread>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

// A client that takes `room` bytes more.
class RecordingChannel : public Channel {
 public:
  IoStatus exchange(std::string_view&, std::string&, Deadline) override {
    CPPUNIT_FAIL("a delivery must not wait for its client");
    return IoStatus::kFailed;
  }
  bool quiet() override { return true; }
  Presence presence() const override {
    ++looks;
    return there;
  }
  void write_now(std::string_view& out) noexcept override {
    const std::size_t taken = std::min(out.size(), room);
    writes.emplace_back(out.substr(0, taken));
    out.remove_prefix(taken);
    room -= taken;
  }
  bool took_all(Deadline) const override { return takes; }
  const std::string& failure() const override { return failure_; }

  Presence there = Presence::kThere;
  bool takes = true;
  std::size_t room = 1'000'000;
  std::vector<std::string> writes;
  mutable std::atomic<int> looks = 0;

 private:
  std::string failure_;
};

Outcome good(const std::string& text) { return {Fate::kDelivered, 250, {2, 1, 5}, text, {}, 250}; }

struct Scene {
  explicit Scene(std::size_t recipients, bool has_command = false)
      : client(channel, recipients, has_command, stopping) {}
  void decide(std::size_t recipient) {
    client.decided(recipient, good("r" + std::to_string(recipient)), TraceId());
  }
  RecordingChannel channel;
  bool told = false;
  std::function<bool()> stopping = [this] { return told; };
  SessionClient client;
};

}  // namespace

class SessionClientTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SessionClientTest);
  CPPUNIT_TEST(repliesThatAreDueTogetherAreOneWrite);
  CPPUNIT_TEST(nothingDueIsNoSystemCall);
  CPPUNIT_TEST(whatAClientDoesNotTakeIsLeftForTheSession);
  CPPUNIT_TEST(theResultDecidesTheOthers);
  CPPUNIT_TEST(onlyRepliesThatWereWrittenWhileTheClientWasThereCount);
  CPPUNIT_TEST(whatAClientThatEndedItsSideHasTakenCounts);
  CPPUNIT_TEST(onlyAClientThatHasClosedHasCertainlyReadItsReplies);
  CPPUNIT_TEST(aClientThatHasGoneIsNotAskedAgain);
  CPPUNIT_TEST(aClientThatEndedItsSideHasGoneUnlessItSentACommand);
  CPPUNIT_TEST(groupsMayDecideAtTheSameTime);
  CPPUNIT_TEST_SUITE_END();

  static void check(const std::string& expected, std::string_view found) {
    CPPUNIT_ASSERT_EQUAL(expected, std::string(found));
  }

  void repliesThatAreDueTogetherAreOneWrite() {
    Scene scene(4);
    scene.decide(1);
    scene.decide(0);
    scene.client.pass_on();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, scene.channel.writes.size());
    check("250 2.1.5 r0\r\n250 2.1.5 r1\r\n", scene.channel.writes[0]);
    scene.decide(3);
    scene.client.pass_on();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, scene.channel.writes.size());
    check("", scene.client.due());
  }

  void nothingDueIsNoSystemCall() {
    Scene scene(2);
    scene.client.pass_on();
    scene.decide(1);
    scene.client.pass_on();
    CPPUNIT_ASSERT(scene.channel.writes.empty());
    CPPUNIT_ASSERT_EQUAL(0, scene.channel.looks.load());
  }

  void whatAClientDoesNotTakeIsLeftForTheSession() {
    Scene scene(3);
    scene.channel.room = 20;
    scene.decide(0);
    scene.decide(1);
    scene.client.pass_on();
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, scene.client.answered());
    check("1.5 r1\r\n", scene.client.due());
    scene.client.pass_on();
    check("1.5 r1\r\n", scene.client.due());
    scene.decide(2);
    check("1.5 r1\r\n250 2.1.5 r2\r\n", scene.client.due());
    scene.client.written(8);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, scene.client.answered());
  }

  void theResultDecidesTheOthers() {
    Scene scene(3);
    scene.decide(1);
    scene.client.finish({*TraceId::parse("t"), {good("a"), good("b"), good("c")}});
    check("250 2.1.5 a TRACEID=<t>\r\n250 2.1.5 r1\r\n250 2.1.5 c TRACEID=<t>\r\n",
          scene.client.due());
  }

  void onlyRepliesThatWereWrittenWhileTheClientWasThereCount() {
    Scene scene(3);
    scene.decide(0);
    scene.client.pass_on();
    scene.channel.there = Presence::kFinished;
    scene.channel.takes = false;  // from now on, as over TCP by a client that has closed
    scene.decide(1);
    scene.client.pass_on();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, scene.channel.writes.size());  // it may still read
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, scene.client.answered());
    scene.channel.there = Presence::kGone;
    scene.decide(2);
    scene.client.pass_on();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, scene.channel.writes.size());
    check("250 2.1.5 r2\r\n", scene.client.due());
    scene.client.written(14);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, scene.client.answered());
  }

  void whatAClientThatEndedItsSideHasTakenCounts() {
    for (const Presence later : {Presence::kFinished, Presence::kGone}) {
      Scene scene(3);
      scene.channel.there = Presence::kFinished;
      scene.decide(0);
      scene.decide(1);
      scene.client.pass_on();
      scene.channel.there = later;
      scene.client.finish({TraceId(), {good("r0"), good("r1"), good("r2")}});
      CPPUNIT_ASSERT_EQUAL(std::size_t{2}, scene.client.answered());
    }
  }

  void onlyAClientThatHasClosedHasCertainlyReadItsReplies() {
    const struct {
      Presence there;
      bool takes;
      std::size_t read;
    } rows[] = {{Presence::kThere, true, 0},
                {Presence::kFinished, true, 0},  // it may still be there, and read nothing
                {Presence::kGone, false, 0},
                {Presence::kGone, true, 1}};
    for (const auto& row : rows) {
      Scene scene(2);
      scene.decide(0);
      scene.client.pass_on();
      scene.channel.there = row.there;
      scene.channel.takes = row.takes;
      scene.client.finish({TraceId(), {good("r0"), good("r1")}});
      CPPUNIT_ASSERT_EQUAL(std::size_t{1}, scene.client.answered());
      CPPUNIT_ASSERT_EQUAL(row.read, scene.client.read());
    }
  }

  void aClientThatHasGoneIsNotAskedAgain() {
    Scene scene(1);
    CPPUNIT_ASSERT(!scene.client.gone());
    scene.channel.there = Presence::kGone;
    CPPUNIT_ASSERT(scene.client.gone());
    scene.channel.there = Presence::kThere;
    CPPUNIT_ASSERT(scene.client.gone());
    CPPUNIT_ASSERT_EQUAL(2, scene.channel.looks.load());
  }

  void aClientThatEndedItsSideHasGoneUnlessItSentACommand() {
    for (const bool has_command : {false, true}) {
      Scene scene(1, has_command);
      scene.channel.there = Presence::kFinished;
      scene.told = true;  // the end of our drain ends the client's side too
      CPPUNIT_ASSERT(!scene.client.gone());
      scene.told = false;
      CPPUNIT_ASSERT_EQUAL(!has_command, scene.client.gone());
      scene.channel.there = Presence::kGone;
      CPPUNIT_ASSERT(scene.client.gone());
    }
  }

  void groupsMayDecideAtTheSameTime() {
    constexpr std::size_t kRecipients = 400;
    Scene scene(kRecipients);
    std::vector<std::thread> groups;
    for (std::size_t group = 0; group < 4; ++group) {
      groups.emplace_back([&scene, group] {
        for (std::size_t i = group; i < kRecipients; i += 4) {
          scene.decide(i);
          scene.client.pass_on();
          CPPUNIT_ASSERT(!scene.client.gone());
        }
      });
    }
    for (std::thread& group : groups) {
      group.join();
    }
    std::string all;
    for (const std::string& piece : scene.channel.writes) {
      all += piece;
    }
    std::string expected;
    for (std::size_t i = 0; i < kRecipients; ++i) {
      expected += "250 2.1.5 r" + std::to_string(i) + "\r\n";
    }
    check(expected, all);
    CPPUNIT_ASSERT_EQUAL(kRecipients, scene.client.answered());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SessionClientTest);
