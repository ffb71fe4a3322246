#include "mailer/serve/configuration/own_listeners.h"

#include <cppunit/extensions/HelperMacros.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "mailer/serve/configuration/configuration.h"
#include "tests/unit/mailer/serve/configuration/daemon_fixture.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

// trap: own-listener
class OwnListenersTest : public DaemonFixture {
  CPPUNIT_TEST_SUITE(OwnListenersTest);
  CPPUNIT_TEST(anAddressReachesTheListenersThatItLeadsTo);
  CPPUNIT_TEST(anAddressOfAnInterfaceReachesAWildcard);
  CPPUNIT_TEST(aUnixSocketIsItsFileByWhateverName);
  CPPUNIT_TEST(theErrorNamesBothPlaces);
  CPPUNIT_TEST(anOperandIsADestinationToo);
  CPPUNIT_TEST(aRouteMustNotLeadToAListenerEither);
  CPPUNIT_TEST_SUITE_END();

  static bool refused(const std::string& listener, const std::string& destination) {
    std::vector<ListenerSettings> listeners(1);
    listeners[0].address = parse_destination(listener);
    listeners[0].place = "--listen";
    try {
      OwnListeners(listeners).refuse(parse_destination(destination));
      return false;
    } catch (const ConfigError&) {
      return true;
    }
  }

  void anAddressReachesTheListenersThatItLeadsTo() {
    const struct {
      const char* listener;
      const char* destination;
      bool refused;
    } rows[] = {
        {"inet:127.0.0.1:2003", "inet:127.0.0.1:2003", true},
        {"inet:127.0.0.1:2003", "inet:127.0.0.1:2004", false},
        {"inet:127.0.0.1:2003", "inet:127.0.0.2:2003", false},
        {"inet:127.0.0.1:2003", "inet:[127.0.0.1]:2003", true},
        {"inet:127.0.0.1:2003", "inet:localhost:2003", true},
        {"inet:localhost:2003", "inet:127.0.0.1:2003", true},
        {"inet:localhost:2003", "inet:LOCALHOST.:2003", true},
        {"inet:[::1]:2003", "inet:localhost:2003", true},
        {"inet:[::1]:2003", "inet:[0:0::1]:2003", true},
        {"inet:[::1]:2003", "inet:127.0.0.1:2003", false},
        {"inet:127.0.0.1:2003", "inet:0.0.0.0:2003", true},
        {"inet:[::1]:2003", "inet:[::]:2003", true},
        {"inet:0.0.0.0:2003", "inet:127.0.0.1:2003", true},
        {"inet:0.0.0.0:2003", "inet:127.9.9.9:2003", true},
        {"inet:0.0.0.0:2003", "inet:0.0.0.0:2003", true},
        {"inet:0.0.0.0:2003", "inet:[::1]:2003", false},
        {"inet:0.0.0.0:2003", "inet:192.0.2.77:2003", false},
        {"inet:0.0.0.0:2003", "inet:127.0.0.1:2004", false},
        {"inet:[::]:2003", "inet:[::1]:2003", true},
        {"inet:[::]:2003", "inet:[2001:db8::77]:2003", false},
        {"inet:[::]:2003", "inet:127.0.0.1:2003", has_dual_stack()},
        {"inet:[::]:2003", "inet:192.0.2.77:2003", false},
        {"inet:192.0.2.77:2003", "inet:192.0.2.77:2003", true},
        {"inet:192.0.2.77:2003", "inet:127.0.0.1:2003", false},
        {"inet:imap.example.org:2003", "inet:IMAP.example.org:2003", true},
        {"inet:imap.example.org:2003", "inet:other.example.org:2003", false},
        {"inet:127.0.0.1", "inet:127.0.0.1:24", true},
        {"inet:127.0.0.1:24", "inet:127.0.0.1", true},
        {"unix:/run/a", "inet:127.0.0.1:24", false},
        {"inet:127.0.0.1:24", "unix:/run/a", false},
        {"unix:/run/a", "unix:/run/a", true},
        {"unix:/run/a", "unix:/run/b", false},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(row.listener) + " " + row.destination, row.refused,
                                   refused(row.listener, row.destination));
    }
  }

  void anAddressOfAnInterfaceReachesAWildcard() {
    ifaddrs* list = nullptr;
    CPPUNIT_ASSERT_EQUAL(0, getifaddrs(&list));
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
      const bool inet = entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET;
      if (inet) {
        const std::string own = Address::of(entry->ifa_addr)->text();
        CPPUNIT_ASSERT_MESSAGE(own, refused("inet:0.0.0.0:2003", "inet:" + own + ":2003"));
        CPPUNIT_ASSERT_MESSAGE(own, !refused("inet:192.0.2.77:2003", "inet:" + own + ":2003"));
      }
    }
    freeifaddrs(list);
  }

  // Before the socket exists, as with --check, and after.
  void aUnixSocketIsItsFileByWhateverName() {
    const std::string folder = folder_ + "/run";
    const std::string other = folder_ + "/var";
    std::filesystem::create_directory(folder);
    std::filesystem::create_symlink(folder, other);
    std::filesystem::create_symlink("../var/next", folder + "/early");
    std::filesystem::create_symlink(folder + "/s", folder + "/next");
    for (const bool bound : {false, true}) {
      const Descriptor listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (bound) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, (folder + "/s").c_str(), sizeof address.sun_path - 1);
        CPPUNIT_ASSERT_EQUAL(
            0, bind(listening.number(), reinterpret_cast<sockaddr*>(&address), sizeof address));
        std::filesystem::create_symlink(folder + "/s", folder + "/link");
        CPPUNIT_ASSERT(refused("unix:" + folder + "/s", "unix:" + folder + "/link"));
      }
      CPPUNIT_ASSERT(refused("unix:" + folder + "/s", "unix:" + other + "/s"));
      CPPUNIT_ASSERT(refused("unix:" + folder + "/s", "unix:" + folder + "/early"));
      CPPUNIT_ASSERT(!refused("unix:" + folder + "/t", "unix:" + folder + "/early"));
      CPPUNIT_ASSERT(refused("unix:" + folder + "/s", "unix:" + folder + "/../var//s"));
      CPPUNIT_ASSERT(!refused("unix:" + folder + "/s", "unix:" + other + "/t"));
    }
  }

  std::string error_of(const std::string& text, const std::vector<std::string>& operands = {}) {
    write("tls = none\ntag-keys = none\n" + text);
    std::vector<std::string> arguments = {"--config=" + file_};
    arguments.insert(arguments.end(), operands.begin(), operands.end());
    try {
      Configuration(load_daemon_settings(arguments), registry_, log_);
      return "none";
    } catch (const ConfigError& error) {
      std::string said = error.what();
      for (std::size_t at = 0; (at = said.find(file_)) != std::string::npos;) {
        said.replace(at, file_.size(), "FILE");
      }
      return said;
    }
  }

  void theErrorNamesBothPlaces() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("FILE:3: destination: \"unix:/a\": is this daemon's own listener, "
                    "[listener.a] (FILE:5); name the store"),
        error_of("destination = unix:/a\n[listener.a]\naddress = unix:/a\n"));
    // Another listener of the same daemon is no store either.
    CPPUNIT_ASSERT_EQUAL(
        std::string("FILE:7: destination: \"inet:127.0.0.1:2003\": is this daemon's own listener, "
                    "[listener.b] (FILE:9); name the store"),
        error_of("destination = unix:/s\n[listener.a]\naddress = unix:/a\n\n"
                 "destination = unix:/s, inet:127.0.0.1:2003\n"
                 "[listener.b]\naddress = inet:0.0.0.0:2003\n"));
    CPPUNIT_ASSERT_EQUAL(std::string("none"),
                         error_of("destination = unix:/s\n[listener.a]\naddress = unix:/a\n"));
  }

  void anOperandIsADestinationToo() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("DEST: \"unix:/a\": is this daemon's own listener, --listen; name the store"),
        error_of("destination = unix:/s\n", {"--listen=unix:/a", "unix:/a"}));
    CPPUNIT_ASSERT_EQUAL(std::string("none"),
                         error_of("destination = unix:/a\n", {"--listen=unix:/a", "unix:/s"}));
  }

  void aRouteMustNotLeadToAListenerEither() {
    const std::string routes = folder_ + "/routes";
    std::ofstream(routes) << "u@x unix:/s\n# more\nv@x imap1, unix:/a\n";
    CPPUNIT_ASSERT_EQUAL(
        "FILE:4: route-file: " + routes +
            ":3: \"unix:/a\": is this daemon's own listener, [listener.a] (FILE:6); name the store",
        error_of("destination = unix:/s\nroute-file = " + routes +
                 "\n[listener.a]\naddress = unix:/a\n"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OwnListenersTest);
