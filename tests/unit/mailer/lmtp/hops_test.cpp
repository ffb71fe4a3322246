#include "mailer/lmtp/hops.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq;
using namespace lmtpq::mailer;

class HopsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(HopsTest);
  CPPUNIT_TEST(aProcessHasOneMarkAndEachListenerItsOwn);
  CPPUNIT_TEST(onlyTheGreetingOfThisProcessIsItsOwn);
  CPPUNIT_TEST(readsListsOfMarksOnly);
  CPPUNIT_TEST(countsAndFindsWholeMarks);
  CPPUNIT_TEST(aMessageCameBackIfThisProcessHadItBefore);
  CPPUNIT_TEST(aFullListFitsACommandLine);
  CPPUNIT_TEST_SUITE_END();

  void aProcessHasOneMarkAndEachListenerItsOwn() {
    CPPUNIT_ASSERT_EQUAL(std::size_t{11}, instance_mark().size());  // 64 random bits
    CPPUNIT_ASSERT_EQUAL(instance_mark(), instance_mark());
    CPPUNIT_ASSERT_EQUAL(listener_mark("unix:/a"), listener_mark("unix:/a"));
    CPPUNIT_ASSERT(listener_mark("unix:/a") != listener_mark("unix:/b"));
    CPPUNIT_ASSERT(listener_mark("unix:/a").starts_with(instance_mark() + '.'));
    CPPUNIT_ASSERT(Hops::parse(listener_mark("unix:/a")));
  }

  static Reply greeting(const std::string& text) { return {220, {}, {"first", text}, {}}; }

  void onlyTheGreetingOfThisProcessIsItsOwn() {
    const std::string head = "here LMTP lmtpq";
    CPPUNIT_ASSERT_EQUAL(std::string(), greeting_end(""));
    CPPUNIT_ASSERT_EQUAL(" instance=" + instance_mark(), greeting_end(instance_mark()));
    CPPUNIT_ASSERT(is_own(greeting(head + greeting_end(listener_mark("unix:/a")))));
    CPPUNIT_ASSERT(is_own(greeting(head + greeting_end(instance_mark()))));
    for (const std::string& other :
         {std::string(), head, head + " instance=", head + greeting_end("AAAAAAAAAAA"),
          head + greeting_end(instance_mark()) + "x",
          head + "x" + greeting_end(instance_mark()) + " x", head + instance_mark()}) {
      CPPUNIT_ASSERT_MESSAGE(other, !is_own(greeting(other)));
    }
  }

  void readsListsOfMarksOnly() {
    for (const std::string& good : {std::string("a"), std::string("a,b"),
                                    std::string("Az-_09.x,b,b"), std::string(64, 'a')}) {
      CPPUNIT_ASSERT_EQUAL(good, Hops::parse(good).value().text());
    }
    for (const std::string& bad :
         {std::string(), std::string(","), std::string("a,"), std::string(",a"),
          std::string("a,,b"), std::string("a b"), std::string("a=b"), std::string("\xc3\xb6"),
          std::string("a\0b", 3), std::string(65, 'a')}) {
      CPPUNIT_ASSERT_MESSAGE(bad, !Hops::parse(bad));
    }
  }

  void countsAndFindsWholeMarks() {
    Hops hops;
    CPPUNIT_ASSERT(hops.empty() && hops.count() == 0 && !hops.contains("") && !hops.contains("a"));
    hops.add("ab");
    hops.add("c");
    CPPUNIT_ASSERT_EQUAL(std::string("ab,c"), hops.text());
    CPPUNIT_ASSERT(hops.count() == 2 && hops.contains("ab") && hops.contains("c"));
    for (const char* part : {"", "a", "b", "ab,c", "ab,", ","}) {
      CPPUNIT_ASSERT_MESSAGE(part, !hops.contains(part));
    }
  }

  void aMessageCameBackIfThisProcessHadItBefore() {
    const auto came_back = [](const std::vector<std::string>& marks) {
      Hops hops;
      for (const std::string& mark : marks) {
        hops.add(mark);
      }
      return hops.came_back();
    };
    const std::string own = listener_mark("unix:/a");
    CPPUNIT_ASSERT(!came_back({}));
    CPPUNIT_ASSERT(!came_back({own}));
    CPPUNIT_ASSERT(!came_back({"you.b", own}));
    CPPUNIT_ASSERT(!came_back({instance_mark() + "x.b", own}));
    CPPUNIT_ASSERT(came_back({listener_mark("unix:/b"), "you.b", own}));
    CPPUNIT_ASSERT(came_back({instance_mark(), own}));
  }

  void aFullListFitsACommandLine() {
    Hops hops;
    for (std::size_t i = 0; i < Hops::kMaxHops; ++i) {
      hops.add(listener_mark(std::to_string(i)));
    }
    CPPUNIT_ASSERT(Hops::parse(hops.text()));
    CPPUNIT_ASSERT(hops.text().size() < 200);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HopsTest);
