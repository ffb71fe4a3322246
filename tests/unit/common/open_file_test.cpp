#include "common/open_file.h"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include "common/config_error.h"
#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;

class OpenFileTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(OpenFileTest);
  CPPUNIT_TEST(aNewLogIsForItsOwnerAndGroup);
  CPPUNIT_TEST(aLinkOfOursIsFollowed);
  CPPUNIT_TEST(aLinkOfAnotherUserIsRefused);
  CPPUNIT_TEST(noLinkOfAnotherUserIsFollowedOnTheWay);
  CPPUNIT_TEST(linksOfOursAreFollowedOnTheWay);
  CPPUNIT_TEST(asManyLinksAsTheKernelFollowsAreFollowedOnTheWay);
  CPPUNIT_TEST(aPlaceIsFixedWhereOnlyRootAndWeCanWrite);
  CPPUNIT_TEST(aLinkToAnOpenDescriptorIsFollowed);
  CPPUNIT_TEST(aLinkThatLeadsToItselfIsRefused);
  CPPUNIT_TEST(aFileWithTwoNamesIsRefused);
  CPPUNIT_TEST(aCheckOfALogFindsWhatItsOpenWouldFind);
  CPPUNIT_TEST(aCheckOfALockFindsWhatItsOpenWouldFind);
  CPPUNIT_TEST(aLockedFileIsBusyUntilItIsFree);
  CPPUNIT_TEST(aLockOnAFileThatIsGoneIsNoLock);
  CPPUNIT_TEST(onlyAFileWithOneNameIsLocked);
  CPPUNIT_TEST(theFileOfAnotherProcessIsNotRemoved);
  CPPUNIT_TEST(twoThatLockAndRemoveItDoNotDisturbEachOther);
  CPPUNIT_TEST(theRemedyFitsTheError);
  CPPUNIT_TEST(aCheckThatFailsSaysWhatToDo);
  CPPUNIT_TEST(aLockWithoutItsFolderIsAnError);
  CPPUNIT_TEST(aFolderOfAPathEndsBeforeTheLastSlash);
  CPPUNIT_TEST(onlyARegularFileIsOne);
  CPPUNIT_TEST_SUITE_END();

 public:
  OpenFileTest() : ScratchFileFixture("log") {}

 private:
  // 0, or errno.
  static int error_of(const std::string& path) {
    const Descriptor opened = open_to_append(path);
    return opened.valid() ? 0 : errno;
  }
  static std::string refusal(const std::string& path) {
    try {
      const LockFile lock(path, 0600, "busy");
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }
  ino_t inode(const std::string& path) const {
    struct stat facts {};
    return lstat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
  }

  void aNewLogIsForItsOwnerAndGroup() {
    const mode_t before = umask(0);
    CPPUNIT_ASSERT_EQUAL(0, error_of(file_));
    umask(before);
    struct stat facts {};
    CPPUNIT_ASSERT_EQUAL(0, lstat(file_.c_str(), &facts));
    CPPUNIT_ASSERT_EQUAL(mode_t{0640}, facts.st_mode & 0777);
  }

  void aLinkOfOursIsFollowed() {
    CPPUNIT_ASSERT_EQUAL(0, symlink("next", file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, symlink((folder_ + "/target").c_str(), (folder_ + "/next").c_str()));
    const Descriptor opened = open_to_append(file_);
    struct stat facts {};
    CPPUNIT_ASSERT_EQUAL(0, fstat(opened.number(), &facts));
    CPPUNIT_ASSERT_EQUAL(inode(folder_ + "/target"), facts.st_ino);
  }

  // trap: log-through-a-link
  void aLinkOfAnotherUserIsRefused() {
    const bool root = geteuid() == 0;
    CPPUNIT_ASSERT_EQUAL(0, symlink((folder_ + "/target").c_str(), file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, lchown(file_.c_str(), root ? 65534 : geteuid(), getegid()));
    CPPUNIT_ASSERT_EQUAL(root ? ELOOP : 0, error_of(file_));
    CPPUNIT_ASSERT_EQUAL(root, inode(folder_ + "/target") == 0);
  }

  // Its target is a folder in which this process may write, and that user may not.
  // trap: link-on-the-way
  void noLinkOfAnotherUserIsFollowedOnTheWay() {
    const bool root = geteuid() == 0;
    CPPUNIT_ASSERT_EQUAL(0, mkdir((folder_ + "/ours").c_str(), 0700));
    CPPUNIT_ASSERT_EQUAL(0, symlink("ours", (folder_ + "/sub").c_str()));
    CPPUNIT_ASSERT_EQUAL(0, symlink("sub", (folder_ + "/over").c_str()));
    CPPUNIT_ASSERT_EQUAL(0,
                         lchown((folder_ + "/sub").c_str(), root ? 65534 : geteuid(), getegid()));
    for (const char* const way : {"/sub/", "/./sub/../sub//", "/over/"}) {
      const std::string path = folder_ + way + "file";
      CPPUNIT_ASSERT_EQUAL(root ? ELOOP : 0, error_of(path));
      const std::string words = "\": Too many levels of symbolic links; the path leads over a ";
      CPPUNIT_ASSERT_EQUAL(root, refusal(path + ".lock").starts_with('"' + path + ".lock" + words));
      CPPUNIT_ASSERT_EQUAL(!root, remove_file(path));
    }
    CPPUNIT_ASSERT(!root || std::filesystem::is_empty(folder_ + "/ours"));
  }

  void linksOfOursAreFollowedOnTheWay() {
    CPPUNIT_ASSERT_EQUAL(0, mkdir((folder_ + "/ours").c_str(), 0700));
    CPPUNIT_ASSERT_EQUAL(0, symlink("ours", (folder_ + "/relative").c_str()));
    CPPUNIT_ASSERT_EQUAL(0, symlink((folder_ + "/relative").c_str(), (folder_ + "/whole").c_str()));
    CPPUNIT_ASSERT_EQUAL(0, error_of(folder_ + "/whole/../ours/./file"));
    CPPUNIT_ASSERT_EQUAL(0, error_of(folder_ + "//whole//second"));
    CPPUNIT_ASSERT(inode(folder_ + "/ours/file") != 0 && inode(folder_ + "/ours/second") != 0);
    const Descriptor folder(open(folder_.c_str(), O_PATH | O_CLOEXEC));
    CPPUNIT_ASSERT_EQUAL(
        0, error_of("/proc/self/fd/" + std::to_string(folder.number()) + "/ours/third"));
    CPPUNIT_ASSERT(inode(folder_ + "/ours/third") != 0);
    CPPUNIT_ASSERT_EQUAL(ENOTDIR, error_of(folder_ + "/ours/file/below"));
    CPPUNIT_ASSERT_EQUAL(ENOENT, error_of(folder_ + "/none/below"));
    CPPUNIT_ASSERT_EQUAL(0, symlink("circle", (folder_ + "/circle").c_str()));
    CPPUNIT_ASSERT_EQUAL(ELOOP, error_of(folder_ + "/circle/below"));
  }

  void asManyLinksAsTheKernelFollowsAreFollowedOnTheWay() {
    CPPUNIT_ASSERT_EQUAL(0, mkdir((folder_ + "/link0").c_str(), 0700));
    for (int i = 1; i <= 41; ++i) {
      const std::string link = folder_ + "/link" + std::to_string(i);
      CPPUNIT_ASSERT_EQUAL(0, symlink(("link" + std::to_string(i - 1)).c_str(), link.c_str()));
    }
    CPPUNIT_ASSERT_EQUAL(0, error_of(folder_ + "/link40/file"));
    CPPUNIT_ASSERT(inode(folder_ + "/link0/file") != 0);
    CPPUNIT_ASSERT_EQUAL(ELOOP, error_of(folder_ + "/link41/file"));
  }

  void aPlaceIsFixedWhereOnlyRootAndWeCanWrite() {
    CPPUNIT_ASSERT(place_of("/run/x").fixed);
    CPPUNIT_ASSERT(!place_of(folder_ + "/x").fixed);  // in /tmp
    const FilePlace place = place_of(file_);
    CPPUNIT_ASSERT_EQUAL(std::string("log"), place.name);
    std::ofstream(place.path()) << "text";
    CPPUNIT_ASSERT(inode(file_) != 0);
  }

  // As /dev/stderr is one.
  void aLinkToAnOpenDescriptorIsFollowed() {
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, pipe(ends));
    const Descriptor reader(ends[0]);
    const Descriptor writer(ends[1]);
    const std::string number = std::to_string(writer.number());
    CPPUNIT_ASSERT_EQUAL(0, symlink(("/proc/self/fd/" + number).c_str(), file_.c_str()));
    const Descriptor opened = open_to_append(file_);
    CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(opened.number(), "x", 1));
    char got = 0;
    CPPUNIT_ASSERT_EQUAL(ssize_t{1}, read(reader.number(), &got, 1));
  }

  void aLinkThatLeadsToItselfIsRefused() {
    CPPUNIT_ASSERT_EQUAL(0, symlink("log", file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(ELOOP, error_of(file_));
  }

  // trap: log-through-a-link
  void aFileWithTwoNamesIsRefused() {
    write("precious");
    CPPUNIT_ASSERT_EQUAL(0, link(file_.c_str(), (folder_ + "/other").c_str()));
    CPPUNIT_ASSERT_EQUAL(EMLINK, error_of(file_));
    CPPUNIT_ASSERT_EQUAL(0, unlink((folder_ + "/other").c_str()));
    CPPUNIT_ASSERT_EQUAL(0, error_of(file_));
  }

  template <typename Check>
  static bool passes(Check check, const std::string& path) {
    try {
      check(path);
      return true;
    } catch (const ConfigError&) {
      return false;
    }
  }

  // One of each kind of file, by its name.
  std::vector<std::string> make_files() const {
    std::filesystem::create_directory(folder_ + "/folder");
    for (const char* name : {"plain", "several"}) {
      std::ofstream(folder_ + '/' + name);
    }
    std::filesystem::create_hard_link(folder_ + "/several", folder_ + "/names");
    std::filesystem::create_symlink("plain", folder_ + "/link");
    std::filesystem::create_symlink("names", folder_ + "/link-to-several");
    std::filesystem::create_symlink("new", folder_ + "/link-to-new");
    std::filesystem::create_symlink("no/new", folder_ + "/link-to-nowhere");
    std::filesystem::create_symlink("loop", folder_ + "/loop");
    std::filesystem::create_symlink("plain", folder_ + "/foreign");
    CPPUNIT_ASSERT_EQUAL(
        0, lchown((folder_ + "/foreign").c_str(), geteuid() == 0 ? 65534 : geteuid(), getegid()));
    const Descriptor bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ + "/socket").copy(address.sun_path, sizeof address.sun_path - 1);
    CPPUNIT_ASSERT_EQUAL(
        0, bind(bound.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    return {"folder", "plain",   "several", "link", "link-to-several", "link-to-nowhere", "loop",
            "socket", "foreign", "folder/", "new",  "no/new"};
  }

  // The check comes first, as it must make nothing.
  void aCheckOfALogFindsWhatItsOpenWouldFind() {
    for (const std::string& name : make_files()) {
      const bool passed = passes(require_writable, folder_ + '/' + name);
      CPPUNIT_ASSERT_MESSAGE(name, name != "new" || inode(folder_ + "/new") == 0);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(name, error_of(folder_ + '/' + name) == 0, passed);
    }
    CPPUNIT_ASSERT(passes(require_writable, folder_ + "/link-to-new"));
    CPPUNIT_ASSERT(passes(require_writable, "syslog"));
  }

  void aCheckOfALockFindsWhatItsOpenWouldFind() {
    for (const std::string& name : make_files()) {
      const bool passed = passes(check_lock_place, folder_ + '/' + name);
      CPPUNIT_ASSERT_MESSAGE(name, name != "new" || inode(folder_ + "/new") == 0);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(name, refusal(folder_ + '/' + name).empty(), passed);
    }
    const LockFile lock(folder_ + "/plain", 0600, "busy");
    CPPUNIT_ASSERT(passes(check_lock_place, folder_ + "/plain"));
  }

  void aLockedFileIsBusyUntilItIsFree() {
    std::optional<LockFile> lock(std::in_place, file_, 0600, "busy");
    CPPUNIT_ASSERT(lock->is_new());
    CPPUNIT_ASSERT_EQUAL(std::string("busy"), refusal(file_));
    lock.reset();  // as a process that was killed: the file stays
    CPPUNIT_ASSERT(inode(file_) != 0);
    lock.emplace(file_, 0600, "busy");
    CPPUNIT_ASSERT(!lock->is_new());
    CPPUNIT_ASSERT(lock->remove());
    CPPUNIT_ASSERT_EQUAL(ino_t{0}, inode(file_));
  }

  void aLockOnAFileThatIsGoneIsNoLock() {
    const LockFile first(file_, 0600, "busy");
    CPPUNIT_ASSERT(first.in_place());
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT(!first.in_place());
    const LockFile second(file_, 0600, "busy");
    CPPUNIT_ASSERT(!first.in_place() && second.in_place());
  }

  void onlyAFileWithOneNameIsLocked() {
    const std::string target = folder_ + "/target";
    std::ofstream(target) << "precious";
    CPPUNIT_ASSERT_EQUAL(0, symlink(target.c_str(), file_.c_str()));
    CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": Too many levels of symbolic links; it is a symbolic " +
                             "link, which is not followed; remove it",
                         refusal(file_));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, link(target.c_str(), file_.c_str()));
    const std::string words = "; only a file with one name can be locked; remove it";
    CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": Too many links" + words, refusal(file_));
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));
    CPPUNIT_ASSERT_EQUAL('"' + file_ + "\": Invalid argument" + words, refusal(file_));
  }

  void theFileOfAnotherProcessIsNotRemoved() {
    const LockFile first(file_, 0600, "busy");
    CPPUNIT_ASSERT_EQUAL(0, unlink(file_.c_str()));
    const LockFile second(file_, 0600, "busy");
    CPPUNIT_ASSERT(first.remove());
    CPPUNIT_ASSERT(second.in_place());
  }

  // The file may vanish between any two calls of the other one.
  void twoThatLockAndRemoveItDoNotDisturbEachOther() {
    std::atomic<int> wrong = 0;
    const auto lock_often = [&] {
      for (int i = 0; i < 3000; ++i) {
        try {
          const LockFile lock(file_, 0600, "busy");
          wrong += lock.remove() ? 0 : 1;
        } catch (const ConfigError& error) {
          const std::string text = error.what();
          wrong += text == "busy" || text.find("removed again and again") != text.npos ? 0 : 1;
        }
      }
    };
    std::thread other(lock_often);
    lock_often();
    other.join();
    CPPUNIT_ASSERT_EQUAL(0, wrong.load());
  }

  void theRemedyFitsTheError() {
    const std::string rights = "; let the program's user write in /a, or start the program as root";
    const std::string missing =
        "; mkdir -p -m 755 /a, owned by the program's user (see tmpfiles.d)";
    const std::pair<int, std::string> rows[] = {
        {EMFILE, "; raise LimitNOFILE= of the unit (ulimit -n)"},
        {ENFILE, "; raise fs.file-max (sysctl)"},
        {ELOOP, "; the path leads over a symbolic link of another user, name the folder itself"},
        {EACCES, rights},
        {EPERM, rights},
        {EROFS, rights},
        {ENOENT, missing},
        {ENOTDIR, missing},
        {EISDIR, ""}};
    for (const auto& [error, remedy] : rows) {
      errno = error;
      CPPUNIT_ASSERT_EQUAL(remedy, remedy_at("/a/b"));
    }
  }

  template <typename Check>
  static std::string error_of(Check check, const std::string& path) {
    try {
      check(path);
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }

  // As a user who has no rights, if root runs it.
  void aCheckThatFailsSaysWhatToDo() {
    const std::string no_file = "; name a file with one name, and no link of another user";
    CPPUNIT_ASSERT(error_of(require_writable, folder_).ends_with(no_file));
    make_files();
    for (const char* const name : {"/several", "/loop", "/folder"}) {
      const std::string error = error_of(require_writable, folder_ + name);
      CPPUNIT_ASSERT_MESSAGE(error, error.ends_with(no_file));
    }
    const std::string missing = error_of(require_writable, folder_ + "/no/file");
    CPPUNIT_ASSERT_MESSAGE(missing,
                           missing.ends_with("; let this user write it, or name another file"));
    const std::string no_lock = error_of(check_lock_place, folder_ + "/several");
    CPPUNIT_ASSERT_MESSAGE(
        no_lock, no_lock.ends_with("; stop the program of the other user, or remove the file"));
    if (geteuid() != 0) {
      return;
    }
    CPPUNIT_ASSERT_EQUAL(0, chmod(folder_.c_str(), 0755));
    CPPUNIT_ASSERT_EQUAL(0, chmod((folder_ + "/plain").c_str(), 0644));
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0644));
    CPPUNIT_ASSERT_EQUAL(std::string(), error_of(require_writable, file_));
    CPPUNIT_ASSERT_EQUAL(0, seteuid(65534));
    const std::string closed = error_of(require_writable, folder_ + "/plain");
    const std::string made = error_of(require_writable, folder_ + "/made");
    const std::string pipe = error_of(require_writable, file_);
    const std::string lock = error_of(check_lock_place, folder_ + "/made");
    const std::string theirs = error_of(check_lock_place, folder_ + "/plain");
    CPPUNIT_ASSERT_EQUAL(0, seteuid(0));
    CPPUNIT_ASSERT_EQUAL('"' + folder_ + "/plain\": Permission denied as user nobody; let this " +
                             "user write it, or name another file",
                         closed);
    CPPUNIT_ASSERT_MESSAGE(made, made.starts_with('"' + folder_ + "/made\": "));
    CPPUNIT_ASSERT_MESSAGE(pipe, pipe.starts_with('"' + file_ + "\": Permission denied as "));
    CPPUNIT_ASSERT_MESSAGE(lock, lock.ends_with("; let this user write in the folder, or name "
                                                "another file"));
    CPPUNIT_ASSERT_MESSAGE(theirs, theirs.ends_with("; stop the program of the other user, or "
                                                    "remove the file"));
  }

  void aLockWithoutItsFolderIsAnError() {
    const std::string path = folder_ + "/none/lock";
    CPPUNIT_ASSERT_EQUAL('"' + path + "\": No such file or directory; mkdir -p -m 755 " + folder_ +
                             "/none, owned by the program's user (see tmpfiles.d)",
                         refusal(path));
    CPPUNIT_ASSERT(!error_of(check_lock_place, path).empty());
    CPPUNIT_ASSERT_EQUAL('"' + folder_ + "\": Is a directory; only a file with one name can be " +
                             "locked; remove it",
                         refusal(folder_));
  }

  void aFolderOfAPathEndsBeforeTheLastSlash() {
    CPPUNIT_ASSERT_EQUAL(std::string("/a/b"), folder_of("/a/b/c"));
    CPPUNIT_ASSERT_EQUAL(std::string("/a/b"), folder_of("/a/b/"));
    CPPUNIT_ASSERT_EQUAL(std::string("/"), folder_of("/a"));
    CPPUNIT_ASSERT_EQUAL(std::string("a"), folder_of("a/b"));
    CPPUNIT_ASSERT_EQUAL(std::string("."), folder_of("a"));
  }

  void onlyARegularFileIsOne() {
    write("x");
    CPPUNIT_ASSERT(!is_other_than_file(file_) && !is_other_than_file(folder_ + "/none"));
    CPPUNIT_ASSERT(is_other_than_file(folder_) && is_other_than_file("/dev/null"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OpenFileTest);
