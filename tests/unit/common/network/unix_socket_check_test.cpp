// What check_socket_place() and check_socket_access() find, and UnixSocket too.

#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "common/config_error.h"
#include "common/network/unix_socket.h"
#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;

class UnixSocketCheckTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(UnixSocketCheckTest);
  CPPUNIT_TEST(aPathHasItsLongestLength);
  CPPUNIT_TEST(noOtherFileIsReplaced);
  CPPUNIT_TEST(whereItCannotBeMadeTheRemedyIsNamed);
  CPPUNIT_TEST(aCheckFindsWhatTheSocketWouldFind);
  CPPUNIT_TEST(aClientNeedsAServerOrARight);
  CPPUNIT_TEST_SUITE_END();

 public:
  UnixSocketCheckTest() : ScratchFileFixture("socket") {}

 private:
  static bool exists(const std::string& path) {
    struct stat facts {};
    return lstat(path.c_str(), &facts) == 0;
  }
  std::string lock_file() const { return file_ + ".lock"; }
  std::string refusal() const {
    return error_of([&] { const UnixSocket socket(file_, {}); });
  }
  // A file on which nobody listens.
  void leave_a_dead_socket() const {
    const Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file_.copy(address.sun_path, sizeof address.sun_path - 1);
    CPPUNIT_ASSERT_EQUAL(
        0, bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  }
  template <typename Action>
  static std::string error_of(Action action) {
    try {
      action();
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }

  void aPathHasItsLongestLength() {
    constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
    file_ = folder_ + '/' + std::string(kLongest - folder_.size() - 1, 's');
    CPPUNIT_ASSERT_EQUAL(std::string(), refusal());
    CPPUNIT_ASSERT_EQUAL(std::string(), error_of([&] { check_socket_place(file_); }));
    file_ += 's';
    CPPUNIT_ASSERT_EQUAL(std::string("the path is too long for a socket"), refusal());
    CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": the path is too long for a socket",
                         error_of([&] { check_socket_place(file_); }));
    CPPUNIT_ASSERT(!exists(file_) && !exists(lock_file()));
  }

  void noOtherFileIsReplaced() {
    write("precious");
    const std::string words = "a file of this name exists and is not a socket; remove it";
    CPPUNIT_ASSERT_EQUAL(words, refusal());
    CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": " + words,
                         error_of([&] { check_socket_place(file_); }));
    CPPUNIT_ASSERT(exists(file_) && !exists(lock_file()));
  }

  void whereItCannotBeMadeTheRemedyIsNamed() {
    file_ = folder_ + "/none/socket";
    const std::string error = "No such file or directory; mkdir -p -m 755 " + folder_ + "/none, ";
    const std::string why = refusal();
    CPPUNIT_ASSERT_MESSAGE(why, why.find(error) != std::string::npos);
    const std::string found = error_of([&] { check_socket_place(file_); });
    CPPUNIT_ASSERT_MESSAGE(found, found.starts_with('"' + file_ + "\": bind: " + error));
  }

  // It makes nothing, and a socket that is in use passes.
  void aCheckFindsWhatTheSocketWouldFind() {
    check_socket_place(file_);
    CPPUNIT_ASSERT(std::filesystem::is_empty(folder_));
    {
      const UnixSocket socket(file_, {});
      check_socket_place(file_);
    }
    CPPUNIT_ASSERT_EQUAL(0, mkdir(lock_file().c_str(), 0700));
    const std::string found = error_of([&] { check_socket_place(file_); });
    CPPUNIT_ASSERT_MESSAGE(found, found.find(".lock\": Is a directory") != std::string::npos);
  }

  void aClientNeedsAServerOrARight() {
    CPPUNIT_ASSERT_EQUAL(std::string(), error_of([&] { check_socket_access(file_); }));
    leave_a_dead_socket();
    CPPUNIT_ASSERT_EQUAL(std::string(), error_of([&] { check_socket_access(file_); }));
    const std::string below = folder_ + "/none/socket";
    const std::string found = error_of([&] { check_socket_access(below); });
    CPPUNIT_ASSERT_MESSAGE(
        found, found.starts_with('"' + below + "\": No such file or directory as user "));
    CPPUNIT_ASSERT_MESSAGE(found, found.ends_with("; start its server, or correct the path"));
    if (geteuid() == 0) {
      CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0600));
      CPPUNIT_ASSERT_EQUAL(0, chmod(folder_.c_str(), 0755));
      CPPUNIT_ASSERT_EQUAL(0, seteuid(65534));
      const std::string closed = error_of([&] { check_socket_access(file_); });
      CPPUNIT_ASSERT_EQUAL(0, seteuid(0));
      CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": Permission denied as user nobody; add this user to " +
                               "the group of the socket's folder",
                           closed);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(UnixSocketCheckTest);
