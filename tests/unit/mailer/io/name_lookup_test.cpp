#include "mailer/io/name_lookup.h"

#include <cppunit/extensions/HelperMacros.h>

#include <thread>
#include <vector>

#include "tests/unit/common/no_threads.h"
#include "tests/unit/mailer/io/fake_resolver.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using namespace std::chrono_literals;

namespace {

Deadline soon() { return Clock::now() + 60s; }  // reached only if a test fails

int count(const Addresses& found) {
  int all = 0;
  for (const addrinfo* address = found.list.get(); address != nullptr; address = address->ai_next) {
    ++all;
  }
  return all;
}

void await_asked(const std::string& host, int times) {
  for (const Deadline latest = soon(); fake_resolver::asked(host) < times;) {
    CPPUNIT_ASSERT(Clock::now() < latest);
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

class NameLookupTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(NameLookupTest);
  CPPUNIT_TEST(aNameHasItsAddresses);
  CPPUNIT_TEST(aNumberIsNotLookedUp);
  CPPUNIT_TEST(aNameThatHangsDelaysNoOther);
  CPPUNIT_TEST(aNameIsLookedUpOnceAtATime);
  CPPUNIT_TEST(aFailureIsKeptForAMoment);
  CPPUNIT_TEST(onlyAnAnswerSaysSomethingAboutTheHost);
  CPPUNIT_TEST(aLookUpThatIsGivenUpIsReported);
  CPPUNIT_TEST(aLookUpWithoutAThreadFailsAndTheNextOneTriesAgain);
  CPPUNIT_TEST_SUITE_END();

  void aNameHasItsAddresses() {
    fake_resolver::set("two.test", 0, {"127.0.0.2", "::1"});
    CPPUNIT_ASSERT_EQUAL(2, count(look_up("two.test", "24", soon())));
    fake_resolver::set("two.test", 0, {"127.0.0.2"});
    CPPUNIT_ASSERT_EQUAL(1, count(look_up("two.test", "24", soon())));
    CPPUNIT_ASSERT_EQUAL(1, fake_resolver::asked("two.test"));
  }

  void aNumberIsNotLookedUp() {
    for (const char* host : {"127.0.0.1", "::1"}) {
      CPPUNIT_ASSERT_EQUAL(1, count(look_up(host, "24", soon())));
    }
  }

  void aNameThatHangsDelaysNoOther() {  // trap: silent-resolver
    fake_resolver::set("here.test", 0, {"127.0.0.1"});
    std::vector<std::thread> waiting;
    for (const char* host : {"dead1.test", "dead2.test"}) {
      fake_resolver::hang(host);
      for (int i = 0; i < 40; ++i) {
        waiting.emplace_back([host] { look_up(host, "24", soon()); });
      }
      await_asked(host, 1);
    }
    for (int i = 0; i < 3; ++i) {
      CPPUNIT_ASSERT_EQUAL(1, count(look_up("here.test", "24", soon())));
    }
    CPPUNIT_ASSERT_EQUAL(1, fake_resolver::asked("dead1.test"));
    CPPUNIT_ASSERT_EQUAL(1, fake_resolver::asked("dead2.test"));
    fake_resolver::set("dead1.test", EAI_AGAIN);
    fake_resolver::set("dead2.test", EAI_AGAIN);
    for (std::thread& thread : waiting) {
      thread.join();
    }
  }

  void aNameIsLookedUpOnceAtATime() {
    fake_resolver::hang("slow.test");
    const Addresses late = look_up("slow.test", "24", Clock::now() + 20ms);
    CPPUNIT_ASSERT_EQUAL(std::string("look-up of slow.test timed out"), late.failure);
    CPPUNIT_ASSERT(late.unknown && !late.list);
    std::thread releases([] {
      await_asked("slow.test", 1);
      std::this_thread::sleep_for(20ms);
      fake_resolver::set("slow.test", 0, {"127.0.0.1"});
    });
    const Addresses found = look_up("slow.test", "24", soon());
    releases.join();
    CPPUNIT_ASSERT_EQUAL(1, count(found));
    CPPUNIT_ASSERT_EQUAL(0, fake_resolver::asked("slow.test"));  // since it was set
  }

  void aFailureIsKeptForAMoment() {
    fake_resolver::set("none.test", EAI_NONAME);
    const std::string failure = "look-up of none.test port 24: Name or service not known";
    CPPUNIT_ASSERT_EQUAL(failure, look_up("none.test", "24", soon()).failure);
    const Clock::time_point failed = Clock::now();
    CPPUNIT_ASSERT_EQUAL(failure, look_up("none.test", "24", soon()).failure);
    const int asked = fake_resolver::asked("none.test");
    CPPUNIT_ASSERT(asked == 1 || Clock::now() - failed >= kFailureKept);
    std::this_thread::sleep_until(failed + kFailureKept);
    look_up("none.test", "24", soon());
    CPPUNIT_ASSERT_EQUAL(asked + 1, fake_resolver::asked("none.test"));
  }

  void onlyAnAnswerSaysSomethingAboutTheHost() {
    for (const int status : {EAI_AGAIN, EAI_SYSTEM, EAI_MEMORY}) {
      const std::string host = "again" + std::to_string(-status) + ".test";
      fake_resolver::set(host, status);
      CPPUNIT_ASSERT(look_up(host, "24", soon()).unknown);
    }
    fake_resolver::set("no.test", EAI_NONAME);
    CPPUNIT_ASSERT(!look_up("no.test", "24", soon()).unknown);
  }

  void aLookUpThatIsGivenUpIsReported() {
    fake_resolver::hang("lost.test");
    const Addresses lost = look_up("lost.test", "24", {soon(), [] { return true; }});
    CPPUNIT_ASSERT_EQUAL(std::string("look-up of lost.test was given up"), lost.failure);
    CPPUNIT_ASSERT(lost.unknown && !lost.list);
    fake_resolver::set("lost.test", EAI_AGAIN);
  }

  void aLookUpWithoutAThreadFailsAndTheNextOneTriesAgain() {
    fake_resolver::set("busy.test", 0, {"127.0.0.1"});
    {
      const NoThreads no_threads;
      const Addresses none = look_up("busy.test", "24", soon());
      CPPUNIT_ASSERT_EQUAL(
          std::string("no thread for the look-up: Resource temporarily unavailable"), none.failure);
      CPPUNIT_ASSERT(none.unknown && !none.list);
    }
    CPPUNIT_ASSERT_EQUAL(1, count(look_up("busy.test", "24", soon())));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NameLookupTest);
