#include "mailer/routes/directory_routes.h"

#include <cppunit/extensions/HelperMacros.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "tests/unit/mailer/io/thread_scheduler.h"
#include "tests/unit/mailer/routes/route_texts.h"
#include "tests/unit/mailer/routes/scripted_directory.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Directory::Result::Kind;

namespace {

DirectorySettings settings_with(const std::string& filter, std::size_t cache_size) {
  DirectorySettings settings;
  settings.filter = filter;
  settings.cache = seconds(100);
  settings.negative_cache = seconds(10);
  settings.stale = seconds(1000);
  settings.cache_size = cache_size;
  return settings;
}

struct World {
  explicit World(const std::string& filter = "(m=%s)", std::size_t cache_size = 100)
      : routes(settings_with(filter, cache_size), directory.opener(), log, look_ups, {},
               [this] { return now; }) {}
  std::string find(const std::string& address) {
    return route_text(routes.find(recipient(address)));
  }
  // How many searches it took.
  int asked(const std::string& address) {
    const int before = directory.searches;
    find(address);
    return directory.searches - before;
  }

  Clock::time_point now = Clock::now();
  Log log{"test", "/dev/null", LogLevel::kInfo};
  ScriptedDirectory directory;
  CuttableWork look_ups;
  DirectoryRoutes routes;
};

}  // namespace

class DirectoryRoutesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DirectoryRoutesTest);
  CPPUNIT_TEST(theAddressThenTheUserThenTheDomainIsSearched);
  CPPUNIT_TEST(valuesAreDestinations);
  CPPUNIT_TEST(entriesThatNameTheSameStoreAgree);
  CPPUNIT_TEST(anInvalidAnswerIsATemporaryFailure);
  CPPUNIT_TEST(aRefusedSearchIsATemporaryFailure);
  CPPUNIT_TEST(answersAreCachedForTheirTime);
  CPPUNIT_TEST(onlyAnswersThatNameAStoreAreUsedWhileTheDirectoryIsDown);
  CPPUNIT_TEST(theCacheIsBounded);
  CPPUNIT_TEST(recipientsOfAMessageAreLookedUpTogether);
  CPPUNIT_TEST(aRecipientWhoseAnswerComesTooLateIsDeferred);
  CPPUNIT_TEST(afterACutNothingIsLookedUp);
  CPPUNIT_TEST(theLongestAnswerIsUsed);
  CPPUNIT_TEST(anAnswerThatCannotBeUsedIsLogged);
  CPPUNIT_TEST(aFiberIsPaced);
  CPPUNIT_TEST(aSourceThatFailsDefersItsRecipientOnly);
  CPPUNIT_TEST_SUITE_END();

  static void same(const std::string& expected, const std::string& found) {
    CPPUNIT_ASSERT_EQUAL(expected, found);
  }

  void theAddressThenTheUserThenTheDomainIsSearched() {
    World world;
    world.directory.entries = {{"(m=alice+d@x)", {{"detail"}}}, {"(m=alice@x)", {{"exact"}}},
                               {"(m=@x)", {{"domain"}}},        {"(m=bob@x)", {{}}},
                               {"(m=carol)", {{"local"}}},      {"(m=carol@y)", {}}};
    same("inet:detail", world.find("Alice+D@X"));
    same("inet:exact", world.find("alice+e@x"));
    same("inet:exact", world.find("\"alice\"@x"));
    same("inet:domain", world.find("bob@x"));
    same("inet:domain", world.find("dave+d@x"));
    same("inet:local", world.find("carol+d"));
    same("default", world.find("carol@y"));
    CPPUNIT_ASSERT_EQUAL(3, World().asked("u+d@z"));
    CPPUNIT_ASSERT_EQUAL(2, World().asked("u@z"));
    CPPUNIT_ASSERT_EQUAL(1, World().asked("u"));
    CPPUNIT_ASSERT_EQUAL(2, World("(u=%u)").asked("u+d@z"));
    CPPUNIT_ASSERT_EQUAL(0, World("(d=%d)").asked("u"));
  }

  static std::string find_all(Routes& routes, const std::vector<std::string>& addresses) {
    std::vector<Mailbox> mailboxes;
    for (const std::string& address : addresses) {
      mailboxes.push_back(recipient(address));
    }
    Mailboxes all;
    for (const Mailbox& mailbox : mailboxes) {
      all.push_back(&mailbox);
    }
    std::string texts;
    for (const Route& route : routes.find_all(all)) {
      texts += route_text(route) + "; ";
    }
    return texts;
  }

  // One call for the addresses, one without details, one for the domains; nothing is asked twice.
  void recipientsOfAMessageAreLookedUpTogether() {
    World world;
    world.directory.entries = {
        {"(m=a@x)", {{"one"}}}, {"(m=b@x)", {{"two"}}}, {"(m=@y)", {{"three"}}}};
    same("inet:one; inet:two; inet:two; inet:three; inet:three; default; inet:one; ",
         find_all(world.routes, {"a@x", "b+1@x", "b+2@x", "c@y", "d+1@y", "e@z", "a@x"}));
    CPPUNIT_ASSERT_EQUAL(3, world.directory.calls.load());
    CPPUNIT_ASSERT_EQUAL(6 + 2 + 2, world.directory.searches.load());
    class None : public Routes {
      Route find(const Mailbox& to) override {
        return to.domain() == "x" ? Route(DefaultRoute()) : Route(outcome_of({4, 1, 0}, "none"));
      }
    };
    std::vector<std::unique_ptr<Routes>> sources;
    sources.push_back(std::make_unique<None>());
    auto inner =
        std::make_unique<DirectoryRoutes>(settings_with("(m=%s)", 100), world.directory.opener(),
                                          world.log, world.look_ups, DirectoryPool::Limits());
    sources.push_back(std::move(inner));
    RoutesInOrder both(std::move(sources));
    same("451 4.1.0 none; inet:two; 451 4.1.0 none; ", find_all(both, {"c@y", "b@x", "e@z"}));
    same("", find_all(both, {}));
  }

  void aRecipientWhoseAnswerComesTooLateIsDeferred() {
    World world;
    world.directory.entries = {{"(m=a@x)", {{"one"}}}, {"(m=b@x)", {{"two"}}}};
    world.directory.answers_in_time = 1;
    same("inet:one; 451 4.4.3 No route: too late; ", find_all(world.routes, {"a@x", "b@x"}));
    same("inet:one; inet:two; ", find_all(world.routes, {"a@x", "b@x"}));
  }

  void valuesAreDestinations() {
    World world;
    world.directory.entries = {
        {"(m=1@x)", {{"imap:2003"}}},     {"(m=2@x)", {{"unix:/run/l"}}},
        {"(m=3@x)", {{"c", "a", "b"}}},   {"(m=4@x)", {{"b, a:24"}}},
        {"(m=5@x)", {{"[2001:DB8::1]"}}}, {"(m=7@x)", {{"smtp:mx:587, imap"}}}};
    same("inet:imap:2003", world.find("1@x"));
    same("unix:/run/l", world.find("2@x"));
    same("inet:a, inet:b, inet:c", world.find("3@x"));
    same("inet:b, inet:a:24", world.find("4@x"));
    same("inet:[2001:db8::1]", world.find("5@x"));
    same("smtp:mx:587, inet:imap", world.find("7@x"));
  }

  void entriesThatNameTheSameStoreAgree() {
    World world;
    world.directory.entries = {{"(m=1@x)", {{"a"}, {"a"}}},
                               {"(m=2@x)", {{}, {"a"}, {}}},
                               {"(m=3@x)", {{"a", "b"}, {"b", "a"}}}};
    same("inet:a", world.find("1@x"));
    same("inet:a", world.find("2@x"));
    same("inet:a, inet:b", world.find("3@x"));
  }

  void anInvalidAnswerIsATemporaryFailure() {
    World world;
    const std::string no_route = "451 4.4.3 No route: ";
    std::vector<std::string> many;
    for (int i = 0; i < 17; ++i) {
      many.push_back("s" + std::to_string(i));
    }
    world.directory.entries = {{"(m=1@x)", {{"a"}, {"b"}}},
                               {"(m=2@x)", {{"/run/l"}}},
                               {"(m=3@x)", {{std::string(1025, 'a')}}},
                               {"(m=4@x)", {many}},
                               {"(m=5@x)", {{"a"}, {"a", "b"}}},
                               {"(m=6@x)", {{""}}},
                               {"(m=7@x)", {{" \t"}}},
                               {"(m=8@x)", {{" , ,"}}},
                               {"(m=9@x)", {{"a", ""}}},
                               {"(m=@x)", {{"never"}}}};
    same(no_route + "two entries of the directory name different stores", world.find("1@x"));
    CPPUNIT_ASSERT(world.find("2@x").starts_with(
        no_route + "in the directory: \"/run/l\": did you mean unix:/run/l?"));
    same(no_route + "a value in the directory is longer than 1024 bytes", world.find("3@x"));
    same(no_route + "the directory names more than 16 stores for one recipient", world.find("4@x"));
    same(no_route + "two entries of the directory name different stores", world.find("5@x"));
    for (const char* address : {"6@x", "7@x", "8@x", "9@x"}) {  // trap: route-to-nowhere
      same(no_route + "a value in the directory names no DEST", world.find(address));
    }
    // The answer is cached, so that the directory is not asked each time.
    CPPUNIT_ASSERT_EQUAL(0, world.asked("1@x"));
    world.now += seconds(10);
    CPPUNIT_ASSERT_EQUAL(1, world.asked("1@x"));
  }

  void theLongestAnswerIsUsed() {
    World world;
    std::vector<std::string> many;
    for (char c = 'a'; c < 'a' + 16; ++c) {
      many.emplace_back(1, c);
    }
    std::string longest = "a, b";
    longest.resize(1024, ' ');
    world.directory.entries = {{"(m=1@x)", {many}}, {"(m=2@x)", {{longest}}}};
    CPPUNIT_ASSERT(world.find("1@x").ends_with(", inet:o, inet:p"));
    same("inet:a, inet:b", world.find("2@x"));
  }

  void anAnswerThatCannotBeUsedIsLogged() {
    char name[] = "/tmp/lmtpq-unit-test-XXXXXX";
    const Descriptor file(mkstemp(name));
    {
      ScriptedDirectory directory;
      directory.entries = {{"(m=1@x)", {{""}}}, {"(m=2@x)", {{"a"}}}};
      CuttableWork look_ups;
      const Log log("test", name, LogLevel::kInfo);
      DirectoryRoutes routes(settings_with("(m=%s)", 9), directory.opener(), log, look_ups, {});
      for (const char* address : {"1@x", "1@x", "2@x"}) {
        routes.find(recipient(address));
      }
    }
    char text[1000];
    const ssize_t length = read(file.number(), text, sizeof text);
    unlink(name);
    const std::string lines(text, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    CPPUNIT_ASSERT_MESSAGE(
        lines, lines.ends_with("event=route-lookup-failed search=\"(m=1@x)\" error=\"No route: a "
                               "value in the directory names no DEST\"\n"));
    CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1}, std::count(lines.begin(), lines.end(), '\n'));
  }

  void aSourceThatFailsDefersItsRecipientOnly() {
    class Broken : public Routes {
      Route find(const Mailbox& to) override {
        return to.domain() == "x" ? throw std::runtime_error("no memory") : Route(DefaultRoute());
      }
    };
    Broken broken;
    ThreadScheduler scheduler;
    same("default; 451 4.3.0 lmtpq: no memory; default; ", find_all(broken, {"a@y", "b@x", "c@y"}));
    CPPUNIT_ASSERT_EQUAL(3, scheduler.paces);
  }

  // Each recipient at each of the three steps, each question, and each answer of the directory.
  void aFiberIsPaced() {
    World world;
    ThreadScheduler scheduler;
    find_all(world.routes, {"a@x", "b@y"});
    CPPUNIT_ASSERT_EQUAL(6 + 4 + 4, scheduler.paces);
    find_all(world.routes, {"a@x", "b@y"});
    CPPUNIT_ASSERT_EQUAL(14 + 6 + 4, scheduler.paces);
  }

  void aRefusedSearchIsATemporaryFailure() {
    World world;
    world.directory.kind = Kind::kRefused;
    same("451 4.4.3 No route: said no", world.find("1@x"));
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
  }

  void answersAreCachedForTheirTime() {
    World world("(u=%u)");
    world.directory.entries = {{"(u=1)", {{"a"}}}};
    same("inet:a", world.find("1@x"));
    same("default", world.find("2@x"));
    world.directory.entries = {{"(u=1)", {{"b"}}}, {"(u=2)", {{"b"}}}};
    world.now += seconds(10) - milliseconds(1);
    same("inet:a", world.find("1@x"));
    same("default", world.find("2@x"));
    world.now += milliseconds(1);
    same("inet:b", world.find("2@x"));
    same("inet:a", world.find("1@y"));
    world.now += seconds(90);
    same("inet:b", world.find("1@x"));
    // A mailbox that was removed from the directory is forgotten, too.
    world.directory.entries.clear();
    world.now += seconds(100);
    same("default", world.find("1@x"));
  }

  void onlyAnswersThatNameAStoreAreUsedWhileTheDirectoryIsDown() {
    World world("(u=%u)");
    world.directory.entries = {{"(u=1)", {{"a"}}}};
    world.find("1@x");
    world.find("2@x");
    world.directory.kind = Kind::kLost;
    world.now += seconds(100);
    same("inet:a", world.find("1@x"));
    same("451 4.4.3 No route: said no", world.find("2@x"));
    same("451 4.4.3 No route: said no", world.find("3@x"));
    world.now += seconds(1000) - milliseconds(1);
    same("inet:a", world.find("1@x"));
    world.now += milliseconds(1);
    same("451 4.4.3 No route: said no", world.find("1@x"));
    // The entry was removed since the last answer: the new answer counts.
    world.directory.kind = Kind::kFound;
    world.directory.entries.clear();
    world.now += seconds(60);
    same("default", world.find("1@x"));
  }

  void afterACutNothingIsLookedUp() {
    World world("(u=%u)");
    world.directory.entries = {{"(u=1)", {{"a"}}}};
    world.find("1@x");
    world.look_ups.cut();
    same("inet:a", world.find("1@x"));
    same("451 4.4.3 No route: lmtpq is stopping", world.find("2@x"));
    CPPUNIT_ASSERT_EQUAL(1, world.directory.searches.load());
  }

  void theCacheIsBounded() {
    World world("(u=%u)", 3);
    for (const char* address : {"1@x", "2@x", "3@x", "1@x", "4@x"}) {
      world.find(address);
    }
    CPPUNIT_ASSERT_EQUAL(0, world.asked("1@x"));
    CPPUNIT_ASSERT_EQUAL(0, world.asked("4@x"));
    CPPUNIT_ASSERT_EQUAL(0, world.asked("3@x"));
    CPPUNIT_ASSERT_EQUAL(1, world.asked("2@x"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DirectoryRoutesTest);
