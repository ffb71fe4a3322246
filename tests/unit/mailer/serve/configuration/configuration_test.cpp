#include "mailer/serve/configuration/configuration.h"

#include <cppunit/extensions/HelperMacros.h>

#include "tests/unit/mailer/serve/configuration/store_replies.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

const std::string kTwoDoors =
    "destination = unix:/s\n[listener.a]\naddress = unix:/a\n"
    "[listener.b]\naddress = unix:/b\ndestination = unix:/s, unix:/t\n";

}  // namespace

class SiteTest : public DaemonFixture {
  CPPUNIT_TEST_SUITE(SiteTest);
  CPPUNIT_TEST(aDoorIsFoundByItsAddress);
  CPPUNIT_TEST(doorsToOneStoreShareItsPool);
  CPPUNIT_TEST(aPoolOutlivesItsSite);
  CPPUNIT_TEST(onlyWhatChangedIsNew);
  CPPUNIT_TEST(aRouteHasItsPoolsOnce);
  CPPUNIT_TEST(aRoutesStoreHasItsSection);
  CPPUNIT_TEST(withoutAMapThereAreNoRoutes);
  CPPUNIT_TEST(thePresentSiteIsReplacedUnderWhoHoldsIt);
  CPPUNIT_TEST_SUITE_END();

  std::shared_ptr<const Configuration> site(const std::string& text) {
    return std::make_shared<const Configuration>(settings(text), book_, log_);
  }
  static ConnectionPool* pool(const Configuration& site, const char* door, std::size_t store = 0) {
    return &(*site.door(door)->pools)[store];
  }

  void aDoorIsFoundByItsAddress() {
    const auto made = site(kTwoDoors);
    CPPUNIT_ASSERT_EQUAL(std::string("b"), made->door("unix:/b")->listener->name);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, made->door("unix:/b")->pools->size());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/t"),
                         pool(*made, "unix:/b", 1)->store().destination.text);
    CPPUNIT_ASSERT(made->door("unix:/c") == nullptr);
    CPPUNIT_ASSERT(made->door("") == nullptr);
  }

  void doorsToOneStoreShareItsPool() {
    const auto made = site(kTwoDoors);
    CPPUNIT_ASSERT_EQUAL(pool(*made, "unix:/a"), pool(*made, "unix:/b"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, book_.all().size());
  }

  // As at a SIGHUP: the new one is there before the old one ends.
  void aPoolOutlivesItsSite() {
    auto before = site(kTwoDoors);
    ConnectionPool* const one = pool(*before, "unix:/a");
    ConnectionPool* const two = pool(*before, "unix:/b", 1);
    const auto after = site("max-clients = 9\nignore-quota = never\n" + kTwoDoors +
                            "listen-mode = 0600\n[listener.c]\naddress = unix:/c\n");
    before.reset();
    book_.sweep();
    CPPUNIT_ASSERT_EQUAL(one, pool(*after, "unix:/a"));
    CPPUNIT_ASSERT_EQUAL(two, pool(*after, "unix:/b", 1));
    CPPUNIT_ASSERT_EQUAL(one, pool(*after, "unix:/c"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, book_.all().size());
  }

  void onlyWhatChangedIsNew() {
    auto before = site(kTwoDoors);
    ConnectionPool* const two = pool(*before, "unix:/b", 1);
    const auto after =
        site(kTwoDoors + "[destination.s]\ndestination = unix:/s\nconnections = 3\n");
    CPPUNIT_ASSERT(pool(*after, "unix:/a") != pool(*before, "unix:/a"));
    CPPUNIT_ASSERT_EQUAL(two, pool(*after, "unix:/b", 1));
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, book_.all().size());
    before.reset();
    book_.sweep();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, book_.all().size());
  }

  void aRouteHasItsPoolsOnce() {
    const auto made = site(kTwoDoors);
    const std::vector<Destination> route = {parse_destination("unix:/t"),
                                            parse_destination("inet:imap7.example.net")};
    const auto pools = made->pools(*made->door("unix:/a"), route);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, pools->size());
    CPPUNIT_ASSERT_EQUAL(pool(*made, "unix:/b", 1), &(*pools)[0]);  // which others use, too
    CPPUNIT_ASSERT(pools == made->pools(*made->door("unix:/a"), route));
    const auto reversed = made->pools(*made->door("unix:/a"), {route[1], route[0]});
    CPPUNIT_ASSERT(pools != reversed);
    CPPUNIT_ASSERT_EQUAL(&(*pools)[0], &(*reversed)[1]);
  }

  void aRoutesStoreHasItsSection() {
    write_passwords("unix:/u one:first\n");
    const auto made = site(kTwoDoors +
                           "[destination.u]\ndestination = unix:/u\nconnections = 5\n"
                           "auth-password-file = " +
                           passwords() + "\n");
    const auto pools = made->pools(*made->door("unix:/a"), {parse_destination("unix:/u")});
    CPPUNIT_ASSERT_EQUAL(std::size_t{5}, (*pools)[0].figures().limit);
    CPPUNIT_ASSERT_EQUAL(std::string("one"), (*pools)[0].store().login.user);
  }

  void withoutAMapThereAreNoRoutes() {
    CPPUNIT_ASSERT(site(kTwoDoors)->routes() == nullptr);
    std::ofstream(folder_ + "/map") << "*@example.net unix:/t\n";
    CPPUNIT_ASSERT(site("route-file = " + folder_ + "/map\n" + kTwoDoors)->routes() != nullptr);
  }

  void thePresentSiteIsReplacedUnderWhoHoldsIt() {
    CurrentConfiguration present;
    CPPUNIT_ASSERT(present.get() == nullptr);
    present.set(site(kTwoDoors));
    const std::shared_ptr<const Configuration> held = present.get();
    present.set(site("max-clients = 9\n" + kTwoDoors));
    CPPUNIT_ASSERT(present.get() != held);
    CPPUNIT_ASSERT_EQUAL(std::size_t{9}, present.get()->settings().process.serve.max_clients);
    CPPUNIT_ASSERT_EQUAL(1L, held.use_count());
    CPPUNIT_ASSERT(held->door("unix:/a") != nullptr);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SiteTest);
