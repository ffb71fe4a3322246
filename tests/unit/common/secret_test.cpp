#include "common/secret.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>
#include <type_traits>
#include <utility>

#include "common/options/option_reader.h"
#include "tests/unit/common/freed_memory.h"
#include "tests/unit/common/in_a_child.h"
#include "tests/unit/common/scratch_file.h"

using lmtpq::ConfigError;
using lmtpq::read_secret_file;
using lmtpq::Secret;

namespace {

constexpr std::string_view kShort = "hunter2";
constexpr std::string_view kLong = "correct horse battery staple, and then some more of it";

// The error of reading the file; empty: it was read.
std::string complaint(const std::string& path, const char* what, uid_t reader = geteuid()) {
  try {
    read_secret_file(path, reader, what);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

}  // namespace

class SecretTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(SecretTest);
  CPPUNIT_TEST(aSecretHasTheTextItWasMadeFrom);
  CPPUNIT_TEST(theTestsFindMemoryThatIsNotWiped);
  CPPUNIT_TEST(aDestroyedSecretIsWiped);
  CPPUNIT_TEST(aMoveLeavesNoCopy);
  CPPUNIT_TEST(assignmentWipesTheOldSecret);
  CPPUNIT_TEST(theTextIsNeverInsideTheObject);
  CPPUNIT_TEST(wipeOverwritesTheUnusedCapacityToo);
  CPPUNIT_TEST(aFileIsReadByteForByte);
  CPPUNIT_TEST(readingAFileLeavesNoCopy);
  CPPUNIT_TEST(errorsNameTheContentsOfTheFile);
  CPPUNIT_TEST(forbidCoreDumpsPreventsACoreFile);
  CPPUNIT_TEST(secretsAreComparedInFull);
  CPPUNIT_TEST_SUITE_END();

 public:
  SecretTest() : ScratchFileFixture("passwords") {}

 private:
  void aSecretHasTheTextItWasMadeFrom() {
    CPPUNIT_ASSERT(Secret().empty());
    CPPUNIT_ASSERT(Secret("").empty());
    const std::string_view binary("\0a\0", 3);
    for (const std::string_view text : {kShort, kLong, binary}) {
      const Secret secret(text);
      CPPUNIT_ASSERT(!secret.empty());
      CPPUNIT_ASSERT(secret.text() == text);
    }
    static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
    static_assert(std::is_nothrow_move_constructible_v<Secret>);  // else a vector would copy
  }

  void theTestsFindMemoryThatIsNotWiped() {
    const FreedMemory freed(kLong);
    { const std::string careless(kLong); }
    CPPUNIT_ASSERT_EQUAL(1, freed.holding_it());
  }

  void aDestroyedSecretIsWiped() {
    for (const std::string_view text : {kShort, kLong}) {
      const FreedMemory freed(text);
      { const Secret secret(text); }
      CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
    }
  }

  void aMoveLeavesNoCopy() {
    for (const std::string_view text : {kShort, kLong}) {
      const FreedMemory freed(text);
      Secret from(text);
      const char* const bytes = from.text().data();
      Secret to(std::move(from));
      CPPUNIT_ASSERT(to.text() == text);
      CPPUNIT_ASSERT(from.empty());               // NOLINT(bugprone-use-after-move)
      CPPUNIT_ASSERT(to.text().data() == bytes);  // not copied
      Secret third;
      third = std::move(to);
      CPPUNIT_ASSERT(third.text() == text);
      CPPUNIT_ASSERT(to.empty());  // NOLINT(bugprone-use-after-move)
      Secret& same = third;
      third = std::move(same);
      CPPUNIT_ASSERT(third.text() == text);
      CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
    }
  }

  void assignmentWipesTheOldSecret() {
    const FreedMemory freed(kLong);
    Secret secret(kLong);
    secret = Secret(kShort);
    CPPUNIT_ASSERT(secret.text() == kShort);
    CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
  }

  // In the object, a move, a growing vector or a return by value would leave copies.
  void theTextIsNeverInsideTheObject() {
    for (std::size_t size = 1; size < 40; ++size) {
      const Secret secret(std::string(size, 'x'));
      const char* const object = reinterpret_cast<const char*>(&secret);
      const char* const bytes = secret.text().data();
      CPPUNIT_ASSERT(bytes < object || bytes >= object + sizeof secret);
    }
  }

  void wipeOverwritesTheUnusedCapacityToo() {
    for (const std::string_view given : {kShort, kLong}) {
      std::string text(given);
      text.resize(2);  // the rest of it is still in memory
      const char* const bytes = text.data();
      lmtpq::wipe(text);
      CPPUNIT_ASSERT(text.empty());
      CPPUNIT_ASSERT(text.data() == bytes);
      CPPUNIT_ASSERT(std::string_view(bytes, given.size()) == std::string(given.size(), '\0'));
    }
    std::string empty;
    lmtpq::wipe(empty);
    CPPUNIT_ASSERT(empty.empty());
  }

  void aFileIsReadByteForByte() {
    const std::string most(64 * 1024, 'x');
    for (const std::string& text : {std::string(), std::string("a\r\n\0b\n", 6), most}) {
      write(text);
      CPPUNIT_ASSERT(read_secret_file(file_, geteuid(), "the keys").text() == text);
    }
    write(most + 'x');
    CPPUNIT_ASSERT_EQUAL(file_ + ": larger than 64 KiB", complaint(file_, "the keys"));
  }

  void readingAFileLeavesNoCopy() {
    write(kLong);
    const FreedMemory freed(kLong);
    { CPPUNIT_ASSERT(read_secret_file(file_, geteuid(), "the keys").text() == kLong); }
    CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
  }

  // KeyFileTest tests the checks themselves.
  void errorsNameTheContentsOfTheFile() {
    write(kLong);
    chmod(file_.c_str(), 0644);
    CPPUNIT_ASSERT_EQUAL(file_ + ": others may read or write the passwords; chmod 600 " + file_,
                         complaint(file_, "the passwords"));
    chmod(file_.c_str(), 0660);
    CPPUNIT_ASSERT_EQUAL(file_ + ": its group may write the key; chmod 640 " + file_,
                         complaint(file_, "the key"));
    CPPUNIT_ASSERT_EQUAL(folder_ + ": not a regular file", complaint(folder_, "the key"));
  }

  void forbidCoreDumpsPreventsACoreFile() {
    CPPUNIT_ASSERT(lmtpq::in_a_child([] {
      lmtpq::forbid_core_dumps();
      rlimit limit{1, 1};
      getrlimit(RLIMIT_CORE, &limit);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
      const bool dumpable = false;
#else
      const bool dumpable = prctl(PR_GET_DUMPABLE) != 0;
#endif
      return !dumpable && limit.rlim_cur == 0 && limit.rlim_max == 0;
    }));
  }

  void secretsAreComparedInFull() {
    const std::string secret = "0123456789abcdef";
    using lmtpq::same_secret;
    CPPUNIT_ASSERT(same_secret("", ""));
    CPPUNIT_ASSERT(same_secret(secret, std::string(secret)));
    CPPUNIT_ASSERT(!same_secret(secret, secret.substr(1)));
    CPPUNIT_ASSERT(!same_secret(secret, ""));
    CPPUNIT_ASSERT(!same_secret({"a\0b", 3}, {"a\0c", 3}));
    for (std::size_t at = 0; at < secret.size(); ++at) {
      std::string other = secret;
      other[at] = '!';
      CPPUNIT_ASSERT(!same_secret(secret, other));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecretTest);
