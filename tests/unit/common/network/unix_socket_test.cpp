#include "common/network/unix_socket.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "common/config_error.h"
#include "common/shortage.h"
#include "tests/unit/common/process_limits.h"
#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;

namespace {

std::function<void()> g_before_bind;  // each is called once
std::function<void()> g_after_bind;

}  // namespace

// In the place of bind(2) in this program, to act at the worst moment.
extern "C" int bind(int socket, const sockaddr* address, socklen_t size) {
  if (const auto act = std::exchange(g_before_bind, nullptr)) {
    act();
  }
  const auto bound = static_cast<int>(syscall(SYS_bind, socket, address, size));
  if (const auto act = std::exchange(g_after_bind, nullptr)) {
    act();
  }
  return bound;
}

class UnixSocketTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(UnixSocketTest);
  CPPUNIT_TEST(theModeIsThatWhichWasAskedFor);
  CPPUNIT_TEST(bothFilesGoWithTheSocket);
  CPPUNIT_TEST(aSecondOneIsRefusedByTheLock);
  CPPUNIT_TEST(aProgramWithoutALockIsNotReplaced);
  CPPUNIT_TEST(onlyARefusedConnectionProvesThatNobodyListens);
  CPPUNIT_TEST(theFileOfAnotherIsNotRemoved);
  CPPUNIT_TEST(whatWasRemovedOrReplacedIsOpenedAgain);
  CPPUNIT_TEST(aSocketOfAnotherProgramIsNotTakenBack);
  CPPUNIT_TEST(theLibrarysDescriptorGetsTheNewSocket);
  CPPUNIT_TEST(noOtherFileGetsItsModeOrOwner);
  CPPUNIT_TEST(noLinkOfAnotherUserLeadsToItsFolder);
  CPPUNIT_TEST(aFolderThatIsExchangedForALinkLeadsNowhere);
  CPPUNIT_TEST(withoutADescriptorNothingIsLeft);
  CPPUNIT_TEST(whatWasTakenOverStaysUntilItIsOurs);
  CPPUNIT_TEST_SUITE_END();

 public:
  UnixSocketTest() : ScratchFileFixture("socket") {}

 private:
  static mode_t mode_of(const std::string& path) {
    struct stat facts {};
    CPPUNIT_ASSERT_EQUAL(0, lstat(path.c_str(), &facts));
    return facts.st_mode & 07777;
  }
  static bool exists(const std::string& path) {
    struct stat facts {};
    return lstat(path.c_str(), &facts) == 0;
  }
  std::string lock_file() const { return file_ + ".lock"; }
  std::string refusal() const {
    try {
      const UnixSocket socket(file_, {});
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    } catch (const Shortage& shortage) {
      return shortage.what();
    }
  }
  // Of another program: bound, and listening unless `backlog` is negative.
  Descriptor foreign(int backlog, int type = SOCK_STREAM) const {
    Descriptor made(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file_.copy(address.sun_path, sizeof address.sun_path - 1);
    CPPUNIT_ASSERT_EQUAL(
        0, bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    if (backlog >= 0) {
      CPPUNIT_ASSERT_EQUAL(0, listen(made.number(), backlog));
    }
    return made;
  }
  std::string logged() const {
    std::ifstream in(folder_ + "/log");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static bool takes_a_client(int number) {
    return Descriptor(accept4(number, nullptr, nullptr, SOCK_CLOEXEC)).valid();
  }

  void theModeIsThatWhichWasAskedFor() {
    for (const mode_t mode : {mode_t{0600}, mode_t{0660}, mode_t{0666}}) {
      const mode_t before = umask(027);
      const UnixSocket socket(file_, {.mode = mode});
      CPPUNIT_ASSERT_EQUAL(mode_t{027}, umask(before));
      CPPUNIT_ASSERT_EQUAL(mode, mode_of(file_));
      CPPUNIT_ASSERT_EQUAL(mode_t{0600}, mode_of(lock_file()));
      CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    }
  }

  void bothFilesGoWithTheSocket() {
    std::optional<UnixSocket> socket(std::in_place, file_, UnixSocket::Access());
    CPPUNIT_ASSERT(exists(file_) && exists(lock_file()));
    socket.reset();
    CPPUNIT_ASSERT(!exists(file_) && !exists(lock_file()));
  }

  // Also in the moment before it listens, and where its file is gone.
  void aSecondOneIsRefusedByTheLock() {
    const UnixSocket socket(file_, {});
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(std::string("another program listens there; stop it first"), refusal());
    CPPUNIT_ASSERT(!exists(file_) && exists(lock_file()));
  }

  void aProgramWithoutALockIsNotReplaced() {
    const Descriptor other = foreign(1);
    CPPUNIT_ASSERT_EQUAL(std::string("another program listens there; stop it first"), refusal());
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    CPPUNIT_ASSERT(!exists(lock_file()));
  }

  void onlyARefusedConnectionProvesThatNobodyListens() {
    {
      const Descriptor full = foreign(0);  // room for one client
      const Descriptor waiting(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      while (knock_at(file_) == 0) {
      }
      CPPUNIT_ASSERT_EQUAL(EAGAIN, knock_at(file_));
      CPPUNIT_ASSERT_EQUAL(std::string("another program listens there; stop it first"), refusal());
    }
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    {
      const Descriptor datagrams = foreign(-1, SOCK_DGRAM);
      const std::string why = refusal();
      CPPUNIT_ASSERT_MESSAGE(why, why.starts_with("another program may listen there (connect: "));
      CPPUNIT_ASSERT(exists(file_));
    }
    CPPUNIT_ASSERT_EQUAL(ECONNREFUSED, knock_at(file_));
    CPPUNIT_ASSERT_EQUAL(std::string(), refusal());
  }

  void theFileOfAnotherIsNotRemoved() {
    std::optional<UnixSocket> socket(std::in_place, file_, UnixSocket::Access());
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    const Descriptor other = foreign(1);
    socket.reset();
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
  }

  void whatWasRemovedOrReplacedIsOpenedAgain() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    UnixSocket socket(file_, {.mode = 0660});
    const int number = socket.number();
    CPPUNIT_ASSERT(!socket.restore("unix:x", log));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, unlink(lock_file().c_str()));
    CPPUNIT_ASSERT(socket.restore("unix:x", log));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    { const Descriptor dead = foreign(1); }
    CPPUNIT_ASSERT(socket.restore("unix:x", log));
    CPPUNIT_ASSERT_EQUAL(number, socket.number());
    CPPUNIT_ASSERT_EQUAL(mode_t{0660}, mode_of(file_));
    CPPUNIT_ASSERT(exists(lock_file()));
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    CPPUNIT_ASSERT(takes_a_client(number));
    log.flush();
    const std::string lines = logged();
    for (const char* const change : {"removed", "replaced"}) {
      const std::string words =
          std::string("level=warning event=socket-lost socket=unix:x change=") + change +
          " effect=\"opened again\"\n";
      CPPUNIT_ASSERT_MESSAGE(lines, lines.find(words) != std::string::npos);
    }
  }

  void aSocketOfAnotherProgramIsNotTakenBack() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    UnixSocket socket(file_, {});
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, unlink(lock_file().c_str()));
    const UnixSocket other(file_, {});
    CPPUNIT_ASSERT(!socket.restore("unix:x", log));
    CPPUNIT_ASSERT(!socket.restore("unix:x", log));
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    CPPUNIT_ASSERT(takes_a_client(other.number()));
    CPPUNIT_ASSERT(!takes_a_client(socket.number()));
    log.flush();
    const std::string lines = logged();
    CPPUNIT_ASSERT_MESSAGE(
        lines, lines.ends_with("level=error event=socket-lost socket=unix:x change=replaced "
                               "error=\"another program listens there; stop it first\" "
                               "effect=\"clients cannot connect\"\n"));
    CPPUNIT_ASSERT_EQUAL(lines.find("socket-lost"), lines.rfind("socket-lost"));  // once
  }

  void theLibrarysDescriptorGetsTheNewSocket() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    UnixSocket socket(file_, {});
    const Descriptor copy(fcntl(socket.number(), F_DUPFD_CLOEXEC, 100));
    socket.lend(copy.number());
    CPPUNIT_ASSERT_EQUAL(copy.number(), socket.number());
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT(socket.restore("unix:x", log));
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    CPPUNIT_ASSERT(takes_a_client(copy.number()));
  }

  // Another process that may write in the folder acts between bind(2) and what follows.
  // trap: socket-swapped-for-a-link
  void noOtherFileGetsItsModeOrOwner() {
    const std::string victim = folder_ + "/victim";
    const std::string victims_socket = folder_ + "/other";
    std::ofstream(victim) << "precious";
    CPPUNIT_ASSERT_EQUAL(0, chmod(victim.c_str(), 0400));
    const UnixSocket other(victims_socket, {.mode = 0600});
    const std::vector<std::function<int()>> swaps = {
        [&] { return symlink(victim.c_str(), file_.c_str()); },
        [&] { return link(victim.c_str(), file_.c_str()); },
        [&] { return symlink(victims_socket.c_str(), file_.c_str()); },
        [&] { return link(victims_socket.c_str(), file_.c_str()); },
    };
    const gid_t group = geteuid() == 0 ? 65534 : getegid();
    for (const auto& swap : swaps) {
      g_after_bind = [&] {
        CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
        CPPUNIT_ASSERT_EQUAL(0, swap());
      };
      try {
        const UnixSocket socket(file_, {.mode = 0666, .gid = group});
        CPPUNIT_FAIL("it is in use");
      } catch (const ConfigError& error) {
        CPPUNIT_ASSERT_EQUAL(std::string("another process replaced the socket at once; stop it"),
                             std::string(error.what()));
      }
      CPPUNIT_ASSERT(!g_after_bind);
      CPPUNIT_ASSERT(exists(file_));  // it is not ours
      CPPUNIT_ASSERT_EQUAL(mode_t{0400}, mode_of(victim));
      CPPUNIT_ASSERT_EQUAL(mode_t{0600}, mode_of(victims_socket));
      for (const std::string& path : {victim, victims_socket}) {
        struct stat facts {};
        CPPUNIT_ASSERT_EQUAL(0, lstat(path.c_str(), &facts));
        CPPUNIT_ASSERT_EQUAL(getegid(), facts.st_gid);
      }
      CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    }
  }

  bool empty(const std::string& folder) const {
    return std::filesystem::is_empty(folder_ + '/' + folder);
  }

  // trap: link-on-the-way
  void noLinkOfAnotherUserLeadsToItsFolder() {
    if (geteuid() != 0) {
      return;
    }
    CPPUNIT_ASSERT_EQUAL(0, mkdir((folder_ + "/ours").c_str(), 0700));
    CPPUNIT_ASSERT_EQUAL(0, symlink("ours", (folder_ + "/sub").c_str()));
    CPPUNIT_ASSERT_EQUAL(0, lchown((folder_ + "/sub").c_str(), 65534, 65534));
    file_ = folder_ + "/sub/socket";
    const std::string why = refusal();
    CPPUNIT_ASSERT_MESSAGE(why, why.find("symbolic link of another user") != std::string::npos);
    CPPUNIT_ASSERT_THROW(check_socket_place(file_), ConfigError);
    CPPUNIT_ASSERT(empty("ours"));
  }

  // trap: link-on-the-way
  void aFolderThatIsExchangedForALinkLeadsNowhere() {
    CPPUNIT_ASSERT_EQUAL(0, mkdir((folder_ + "/ours").c_str(), 0700));
    CPPUNIT_ASSERT_EQUAL(0, mkdir((folder_ + "/sub").c_str(), 0700));
    file_ = folder_ + "/sub/socket";
    g_before_bind = [this] {
      CPPUNIT_ASSERT_EQUAL(0, rename((folder_ + "/sub").c_str(), (folder_ + "/moved").c_str()));
      CPPUNIT_ASSERT_EQUAL(0, symlink("ours", (folder_ + "/sub").c_str()));
    };
    const UnixSocket socket(file_, {});
    CPPUNIT_ASSERT(!g_before_bind && empty("ours") && exists(folder_ + "/moved/socket"));
  }

  void withoutADescriptorNothingIsLeft() {
    const Descriptor first_free(open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::string why = "none";
    int free = 0;
    for (; !why.empty(); ++free) {
      {
        const DescriptorLimit few(static_cast<rlim_t>(first_free.number() + 1 + free));
        why = refusal();
      }
      CPPUNIT_ASSERT_MESSAGE(
          why, why.empty() || why.find("Too many open files; raise LimitNOFILE= of the unit") !=
                                  std::string::npos);
      CPPUNIT_ASSERT_MESSAGE(why, !exists(file_) && !exists(lock_file()));
    }
    CPPUNIT_ASSERT(free > 3);
  }

  // As in the upgrade of the daemon: for a moment two processes have it.
  void whatWasTakenOverStaysUntilItIsOurs() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    const auto copies = [](const UnixSocket& of) {
      const auto copy = [](int number) { return Descriptor(fcntl(number, F_DUPFD_CLOEXEC, 3)); };
      const UnixSocket::Numbers numbers = of.numbers();
      return UnixSocket::Descriptors{copy(numbers.socket), copy(numbers.lock), copy(numbers.file)};
    };
    std::optional<UnixSocket> first(std::in_place, file_, UnixSocket::Access());
    std::optional<UnixSocket> second(std::in_place, file_, UnixSocket::Access(), copies(*first));
    second.reset();
    CPPUNIT_ASSERT(exists(file_) && exists(lock_file()));
    second.emplace(file_, UnixSocket::Access(), copies(*first));
    first->share(true);
    first.reset();
    CPPUNIT_ASSERT(exists(file_) && exists(lock_file()));
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT(!second->restore("unix:x", log));
    second->share(false);
    CPPUNIT_ASSERT(second->restore("unix:x", log));
    CPPUNIT_ASSERT_EQUAL(0, knock_at(file_));
    second.reset();
    CPPUNIT_ASSERT(!exists(file_) && !exists(lock_file()));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(UnixSocketTest);
