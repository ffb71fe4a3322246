#include "mailer/keys/key_file_writer.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "common/config_error.h"
#include "tests/unit/common/scratch_file.h"
#include "tests/unit/common/small_disk.h"

using lmtpq::ConfigError;
using lmtpq::mailer::KeyFileWriter;

namespace {

// What fsync(2) gets, and its errno instead of a success: of files, and of folders.
std::string g_synced;
int g_file_error = 0;
int g_folder_error = 0;

}  // namespace

// In the place of fsync(2) in this program. No test can crash the system.
extern "C" int fsync(int number) {
  struct stat facts {};
  const bool folder = fstat(number, &facts) == 0 && S_ISDIR(facts.st_mode);
  g_synced += folder ? "folder " : "file ";
  errno = folder ? g_folder_error : g_file_error;
  return errno == 0 ? static_cast<int>(syscall(SYS_fsync, number)) : -1;
}

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

class KeyFileWriterTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(KeyFileWriterTest);
  CPPUNIT_TEST(aFileIsMadeWithItsMode);
  CPPUNIT_TEST(whatExistsIsNeverReplacedByANewFile);
  CPPUNIT_TEST(aReplacedFileKeepsItsMode);
  CPPUNIT_TEST(oneProcessAtATimeChangesAFile);
  CPPUNIT_TEST(aFullDiskChangesNothing);
  CPPUNIT_TEST(whatAKilledProcessLeftIsNoObstacle);
  CPPUNIT_TEST(aLinkAndAFileWithTwoNamesAreRefused);
  CPPUNIT_TEST(errorsNameTheFile);
  CPPUNIT_TEST(fileAndNameAreOnTheDisk);
  CPPUNIT_TEST(aDiskThatFailsChangesNothing);
  CPPUNIT_TEST_SUITE_END();

 public:
  KeyFileWriterTest() : ScratchFileFixture("tag.keys") {}
  void tearDown() override {
    g_file_error = g_folder_error = 0;
    ScratchFileFixture::tearDown();
  }

 private:
  bool create(std::string_view text) const {
    return KeyFileWriter(file_).create(text, geteuid(), getegid(), 0640);
  }

  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  mode_t mode() const {
    struct stat facts {};
    CPPUNIT_ASSERT_EQUAL(0, stat(file_.c_str(), &facts));
    return facts.st_mode & 07777;
  }

  void aFileIsMadeWithItsMode() {
    CPPUNIT_ASSERT(create("a"));
    CPPUNIT_ASSERT_EQUAL(std::string("a"), text_of(file_));
    CPPUNIT_ASSERT_EQUAL(mode_t{0640}, mode());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files());
  }

  void whatExistsIsNeverReplacedByANewFile() {
    write("old");
    CPPUNIT_ASSERT(!create("new"));
    CPPUNIT_ASSERT_EQUAL(std::string("old"), text_of(file_));
    std::filesystem::remove(file_);
    std::filesystem::create_symlink(folder_ + "/elsewhere", file_);
    CPPUNIT_ASSERT(!create("new"));
    CPPUNIT_ASSERT(!std::filesystem::exists(folder_ + "/elsewhere"));
  }

  void aReplacedFileKeepsItsMode() {
    write("old");
    chmod(file_.c_str(), 0400);
    KeyFileWriter writer(file_);
    CPPUNIT_ASSERT_EQUAL(std::string_view("old"), writer.read().text());
    writer.replace("new");
    CPPUNIT_ASSERT_EQUAL(std::string("new"), text_of(file_));
    CPPUNIT_ASSERT_EQUAL(mode_t{0400}, mode());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files());
  }

  void oneProcessAtATimeChangesAFile() {
    std::optional<KeyFileWriter> first(std::in_place, file_);
    CPPUNIT_ASSERT_EQUAL(file_ + ": another process changes a key file in " + folder_ +
                             "; run this again when it has ended",
                         error_of([&] { KeyFileWriter second(file_); }));
    first.reset();
    CPPUNIT_ASSERT(create("a"));
  }

  void aFullDiskChangesNothing() {
    write("old");
    KeyFileWriter writer(file_);
    writer.read();
    std::string replaced;
    std::string created;
    {
      const lmtpq::SmallDisk full(0);
      replaced = error_of([&] { writer.replace("new"); });
      std::filesystem::rename(file_, file_ + ".old");
      created = error_of([&] { writer.create("new", geteuid(), getegid(), 0600); });
    }
    for (const std::string& error : {replaced, created}) {
      CPPUNIT_ASSERT_EQUAL(file_ + ": nothing was changed: File too large", error);
    }
    CPPUNIT_ASSERT_EQUAL(std::string("old"), text_of(file_ + ".old"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files());
  }

  void whatAKilledProcessLeftIsNoObstacle() {
    std::ofstream(file_ + ".new") << "half of a";
    CPPUNIT_ASSERT(create("a"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files());
    std::filesystem::create_symlink(folder_ + "/elsewhere", file_ + ".new");
    KeyFileWriter writer(file_);
    std::filesystem::permissions(file_, std::filesystem::perms{0600});
    writer.read();
    writer.replace("b");
    CPPUNIT_ASSERT_EQUAL(std::string("b"), text_of(file_));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files());
  }

  void aLinkAndAFileWithTwoNamesAreRefused() {
    write("old");
    std::filesystem::create_symlink(file_, folder_ + "/link");
    CPPUNIT_ASSERT_EQUAL(folder_ +
                             "/link: Too many levels of symbolic links; it is a symbolic "
                             "link: name the file itself",
                         error_of([&] { KeyFileWriter(folder_ + "/link").read(); }));
    std::filesystem::create_hard_link(file_, folder_ + "/second");
    CPPUNIT_ASSERT_EQUAL(file_ + ": has another name too, which would keep the old keys; remove it",
                         error_of([&] { KeyFileWriter(file_).read(); }));
  }

  void fileAndNameAreOnTheDisk() {
    g_synced.clear();
    CPPUNIT_ASSERT(create("old"));
    CPPUNIT_ASSERT_EQUAL(std::string("file folder "), std::exchange(g_synced, ""));
    std::filesystem::permissions(file_, std::filesystem::perms{0600});
    KeyFileWriter writer(file_);
    writer.read();
    writer.replace("new");
    CPPUNIT_ASSERT_EQUAL(std::string("file folder "), std::exchange(g_synced, ""));
    g_folder_error = EINVAL;  // of a file system that cannot do it
    writer.replace("newer");
    CPPUNIT_ASSERT_EQUAL(std::string("newer"), text_of(file_));
    g_folder_error = EIO;
    CPPUNIT_ASSERT_EQUAL(folder_ + ": Input/output error",
                         error_of([&] { writer.replace("newest"); }));
  }

  void aDiskThatFailsChangesNothing() {
    g_file_error = EIO;
    CPPUNIT_ASSERT_EQUAL(file_ + ": nothing was changed: Input/output error",
                         error_of([&] { create("a"); }));
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, files());
    write("old");
    KeyFileWriter writer(file_);
    writer.read();
    CPPUNIT_ASSERT_EQUAL(file_ + ": nothing was changed: Input/output error",
                         error_of([&] { writer.replace("new"); }));
    CPPUNIT_ASSERT_EQUAL(std::string("old"), text_of(file_));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files());
  }

  void errorsNameTheFile() {
    CPPUNIT_ASSERT_EQUAL(
        file_ + ": No such file or directory; make it: lmtpq keygen --install " + file_,
        error_of([&] { KeyFileWriter(file_).read(); }));
    write("old");
    chmod(file_.c_str(), 0604);
    CPPUNIT_ASSERT_EQUAL(file_ + ": others may read or write the keys; chmod 600 " + file_,
                         error_of([&] { KeyFileWriter(file_).read(); }));
    const std::string error = error_of([&] { KeyFileWriter(folder_ + "/none/keys"); });
    CPPUNIT_ASSERT_MESSAGE(error, error.starts_with(folder_ + "/none/keys: No such file"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KeyFileWriterTest);
