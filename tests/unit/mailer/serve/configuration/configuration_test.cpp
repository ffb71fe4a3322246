#include "mailer/serve/configuration/configuration.h"

#include <cppunit/extensions/HelperMacros.h>

#include "tests/unit/mailer/serve/configuration/daemon_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

const std::string kTwoListeners =
    "destination = unix:/s\n[listener.a]\naddress = unix:/a\n"
    "[listener.b]\naddress = unix:/b\ndestination = unix:/s, unix:/t\n";

}  // namespace

class ConfigurationTest : public DaemonFixture {
  CPPUNIT_TEST_SUITE(ConfigurationTest);
  CPPUNIT_TEST(aListenerIsFoundByItsAddress);
  CPPUNIT_TEST(listenersOfOneStoreShareItsPool);
  CPPUNIT_TEST(aPoolOutlivesItsConfiguration);
  CPPUNIT_TEST(onlyAChangedStoreGetsANewPool);
  CPPUNIT_TEST(aRoutesPoolsAreMadeOnce);
  CPPUNIT_TEST(aRoutesStoreHasTheSettingsOfItsSection);
  CPPUNIT_TEST(withoutAMapThereAreNoRoutes);
  CPPUNIT_TEST(aMapIsJudgedAgainWhenThereIsAnotherListener);
  CPPUNIT_TEST(aConfigurationInUseOutlivesItsReplacement);
  CPPUNIT_TEST_SUITE_END();

  std::shared_ptr<const Configuration> configuration(const std::string& text) {
    return std::make_shared<const Configuration>(settings(text), registry_, log_);
  }
  static ConnectionPool* pool(const Configuration& configuration, const char* listener,
                              std::size_t store = 0) {
    return &(*configuration.listener(listener)->pools)[store];
  }

  void aListenerIsFoundByItsAddress() {
    const auto made = configuration(kTwoListeners);
    CPPUNIT_ASSERT_EQUAL(std::string("b"), made->listener("unix:/b")->name);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, made->listener("unix:/b")->pools->size());
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/t"),
                         pool(*made, "unix:/b", 1)->store().destination.text);
    CPPUNIT_ASSERT(made->listener("unix:/c") == nullptr);
    CPPUNIT_ASSERT(made->listener("") == nullptr);
  }

  void listenersOfOneStoreShareItsPool() {
    const auto made = configuration(kTwoListeners);
    CPPUNIT_ASSERT_EQUAL(pool(*made, "unix:/a"), pool(*made, "unix:/b"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, registry_.all().size());
  }

  // As at a SIGHUP: the new one is made before the old one ends.
  void aPoolOutlivesItsConfiguration() {
    auto before = configuration(kTwoListeners);
    ConnectionPool* const one = pool(*before, "unix:/a");
    ConnectionPool* const two = pool(*before, "unix:/b", 1);
    const auto after = configuration("max-clients = 9\nignore-quota = never\n" + kTwoListeners +
                                     "listen-mode = 0600\n[listener.c]\naddress = unix:/c\n");
    before.reset();
    registry_.sweep();
    CPPUNIT_ASSERT_EQUAL(one, pool(*after, "unix:/a"));
    CPPUNIT_ASSERT_EQUAL(two, pool(*after, "unix:/b", 1));
    CPPUNIT_ASSERT_EQUAL(one, pool(*after, "unix:/c"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, registry_.all().size());
  }

  void onlyAChangedStoreGetsANewPool() {
    auto before = configuration(kTwoListeners);
    ConnectionPool* const two = pool(*before, "unix:/b", 1);
    const auto after =
        configuration(kTwoListeners + "[destination.s]\ndestination = unix:/s\nconnections = 3\n");
    CPPUNIT_ASSERT(pool(*after, "unix:/a") != pool(*before, "unix:/a"));
    CPPUNIT_ASSERT_EQUAL(two, pool(*after, "unix:/b", 1));
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, registry_.all().size());
    before.reset();
    registry_.sweep();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, registry_.all().size());
  }

  void aRoutesPoolsAreMadeOnce() {
    const auto made = configuration(kTwoListeners);
    const std::vector<Destination> route = {parse_destination("unix:/t"),
                                            parse_destination("inet:imap7.example.net")};
    const auto pools = made->pools(*made->listener("unix:/a"), route);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, pools->size());
    CPPUNIT_ASSERT_EQUAL(pool(*made, "unix:/b", 1), &(*pools)[0]);  // which others use, too
    CPPUNIT_ASSERT(pools == made->pools(*made->listener("unix:/a"), route));
    const auto reversed = made->pools(*made->listener("unix:/a"), {route[1], route[0]});
    CPPUNIT_ASSERT(pools != reversed);
    CPPUNIT_ASSERT_EQUAL(&(*pools)[0], &(*reversed)[1]);
  }

  void aRoutesStoreHasTheSettingsOfItsSection() {
    write_passwords("unix:/u one:first\n");
    const auto made = configuration(kTwoListeners +
                                    "[destination.u]\ndestination = unix:/u\nconnections = 5\n"
                                    "auth-password-file = " +
                                    passwords() + "\n");
    const auto pools = made->pools(*made->listener("unix:/a"), {parse_destination("unix:/u")});
    CPPUNIT_ASSERT_EQUAL(std::size_t{5}, (*pools)[0].figures().limit);
    CPPUNIT_ASSERT_EQUAL(std::string("one"), (*pools)[0].store().login.user);
  }

  void withoutAMapThereAreNoRoutes() {
    CPPUNIT_ASSERT(configuration(kTwoListeners)->routes() == nullptr);
    std::ofstream(folder_ + "/map") << "*@example.net unix:/t\n";
    CPPUNIT_ASSERT(configuration("route-file = " + folder_ + "/map\n" + kTwoListeners)->routes() !=
                   nullptr);
  }

  // The file is the same, and where it may lead to is not.
  void aMapIsJudgedAgainWhenThereIsAnotherListener() {
    std::ofstream(folder_ + "/map") << "*@example.net unix:/t\n";
    const std::string text = "route-file = " + folder_ +
                             "/map\ndestination = unix:/s\n[listener.a]\naddress = unix:/a\n";
    const Configuration before(settings(text), registry_, log_);
    const auto next = [&](const std::string& more) {
      return Configuration(settings(text + more), registry_, log_, &before).routes() != nullptr;
    };
    CPPUNIT_ASSERT(next(""));
    CPPUNIT_ASSERT(next("[listener.b]\naddress = unix:/b\n"));
    CPPUNIT_ASSERT_THROW(next("[listener.t]\naddress = unix:/t\n"), ConfigError);
  }

  void aConfigurationInUseOutlivesItsReplacement() {
    CurrentConfiguration present;
    CPPUNIT_ASSERT(present.get() == nullptr);
    present.set(configuration(kTwoListeners));
    const std::shared_ptr<const Configuration> held = present.get();
    present.set(configuration("max-clients = 9\n" + kTwoListeners));
    CPPUNIT_ASSERT(present.get() != held);
    CPPUNIT_ASSERT_EQUAL(std::size_t{9}, present.get()->settings().process.serve.max_clients);
    CPPUNIT_ASSERT_EQUAL(1L, held.use_count());
    CPPUNIT_ASSERT(held->listener("unix:/a") != nullptr);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConfigurationTest);
