#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "common/options/option_reader.h"
#include "common/tag/key_file.h"
#include "common/tag/keyring.h"
#include "tests/unit/common/scratch_file.h"

using lmtpq::ConfigError;
using lmtpq::Keyring;
using lmtpq::read_key_file;

namespace {

const std::string kLine = "a MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";

// The error of reading the file; empty: it was read.
std::string complaint(const std::string& path, uid_t reader = geteuid()) {
  try {
    return read_key_file(path, reader).empty() ? "read, but empty" : "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

struct Account {
  std::string name;
  uid_t user = 0;
  gid_t group = 0;
};

std::vector<Account> accounts() {
  std::vector<Account> all;
  std::ifstream file("/etc/passwd");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name, password, user, group;
    std::getline(std::getline(std::getline(fields, name, ':'), password, ':'), user, ':');
    std::getline(fields, group, ':');
    if (!group.empty()) {
      all.push_back(
          {name, static_cast<uid_t>(std::stoul(user)), static_cast<gid_t>(std::stoul(group))});
    }
  }
  return all;
}

// The names of the accounts with this primary group, without the owner (this process) and the
// reader.
std::set<std::string> others(gid_t group, uid_t reader) {
  std::set<std::string> names;
  for (const Account& account : accounts()) {
    if (account.group == group && account.user != geteuid() && account.user != reader) {
      names.insert(account.name);
    }
  }
  return names;
}

// The groups to which this process may give a file.
std::set<gid_t> groups_at_hand() {
  std::set<gid_t> groups = {getegid()};
  gid_t own[64];
  const int count = getgroups(64, own);
  groups.insert(own, own + std::max(count, 0));
  if (geteuid() == 0) {
    groups.insert(54321);  // nobody's
    for (const Account& account : accounts()) {
      groups.insert(account.group);
    }
  }
  return groups;
}

}  // namespace

class KeyFileTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(KeyFileTest);
  CPPUNIT_TEST(aFileThatOnlyTheReaderCanReadIsAccepted);
  CPPUNIT_TEST(aFileThatOthersMayReadOrWriteIsRefusedWithARemedy);
  CPPUNIT_TEST(aGroupMayReadUnlessTwoOtherAccountsHaveIt);
  CPPUNIT_TEST(aFileOfAnotherUserIsRefused);
  CPPUNIT_TEST(onlyARegularFileIsRead);
  CPPUNIT_TEST(aFileThatCannotBeOpenedIsReportedWithTheReason);
  CPPUNIT_TEST(aFileHasAKeyAnd64KiBAtMost);
  CPPUNIT_TEST(errorsInTheFileHavePathAndLine);
  CPPUNIT_TEST_SUITE_END();

 public:
  KeyFileTest() : ScratchFileFixture("tag.keys") {}
  void setUp() override {
    ScratchFileFixture::setUp();
    write(kLine);
  }

 private:
  std::string complaint_at(mode_t mode) {
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), mode));
    return complaint(file_);
  }

  void aFileThatOnlyTheReaderCanReadIsAccepted() {
    for (const mode_t mode : {0600U, 0400U, 0700U}) {
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint_at(mode));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("a"), read_key_file(file_).signer().id());
  }

  void aFileThatOthersMayReadOrWriteIsRefusedWithARemedy() {
    const struct {
      mode_t mode;
      const char* remedy;
    } rows[] = {{0644, "; chmod 600 "}, {0604, "; chmod 600 "}, {0602, "; chmod 600 "},
                {0606, "; chmod 600 "}, {0666, "; chmod 600 "}, {0601, "; chmod 600 "},
                {0444, "; chmod 600 "}, {0660, "; chmod 640 "}, {0620, "; chmod 640 "}};
    for (const auto& row : rows) {
      const std::string said = complaint_at(row.mode);
      CPPUNIT_ASSERT_MESSAGE(said, said.starts_with(file_ + ": "));
      CPPUNIT_ASSERT_MESSAGE(said, said.ends_with(row.remedy + file_));
    }
    // The remedies work.
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint_at(0600));
    if (geteuid() == 0) {
      CPPUNIT_ASSERT_EQUAL(0, chown(file_.c_str(), 0, 54321));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint_at(0640));
    }
  }

  void aGroupMayReadUnlessTwoOtherAccountsHaveIt() {
    std::set<uid_t> readers = {geteuid()};
    for (const Account& account : accounts()) {
      readers.insert(account.user);
    }
    std::set<bool> seen;
    for (const gid_t group : groups_at_hand()) {
      CPPUNIT_ASSERT_EQUAL(0, chown(file_.c_str(), static_cast<uid_t>(-1), group));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint_at(0600));
      for (const mode_t mode : {0640U, 0440U}) {
        CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), mode));
        seen.insert(judged_as_it_should_be(group, geteuid()));
      }
      for (const uid_t reader : geteuid() == 0 ? readers : std::set<uid_t>()) {
        judged_as_it_should_be(group, reader);
      }
    }
    // Root can try all groups, so both kinds must have been among them.
    CPPUNIT_ASSERT_EQUAL(geteuid() == 0 ? std::size_t{2} : seen.size(), seen.size());
  }

  // Whether the group is acceptable.
  bool judged_as_it_should_be(gid_t group, uid_t reader) {
    const std::set<std::string> names = others(group, reader);
    const std::string said = complaint(file_, reader);
    const std::string place = std::to_string(group) + ' ' + std::to_string(reader) + ": " + said;
    CPPUNIT_ASSERT_EQUAL_MESSAGE(place, names.size() < 2, said.empty());
    const auto is_named = [&](const std::string& name) {
      return said.find(" is also the primary group of " + name + "; chmod 600") !=
             std::string::npos;
    };
    CPPUNIT_ASSERT_MESSAGE(place,
                           said.empty() || std::any_of(names.begin(), names.end(), is_named));
    return said.empty();
  }

  void aFileOfAnotherUserIsRefused() {
    if (geteuid() == 0) {
      CPPUNIT_ASSERT_EQUAL(0, chown(file_.c_str(), 54321, 0));
      CPPUNIT_ASSERT_EQUAL(
          file_ + ": owned by neither root nor the user that reads it; chown root " + file_,
          complaint_at(0600));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(file_, 54321));  // as whom we shall run
      CPPUNIT_ASSERT_EQUAL(0, chown(file_.c_str(), 0, 0));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(file_));
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(file_, 54321));
    } else {
      // Only root can give files away, and a private file of another user cannot be opened.
      CPPUNIT_ASSERT(complaint("/etc/shadow").starts_with("/etc/shadow: Permission denied as "));
    }
  }

  void onlyARegularFileIsRead() {
    CPPUNIT_ASSERT_EQUAL(folder_ + ": not a regular file", complaint(folder_));
    CPPUNIT_ASSERT_EQUAL(std::string("/dev/null: not a regular file"), complaint("/dev/null"));
    unlink(file_.c_str());
    CPPUNIT_ASSERT_EQUAL(0, mkfifo(file_.c_str(), 0600));  // nobody writes: a reader would wait
    CPPUNIT_ASSERT_EQUAL(file_ + ": not a regular file", complaint(file_));
  }

  void aFileThatCannotBeOpenedIsReportedWithTheReason() {
    CPPUNIT_ASSERT_EQUAL(folder_ +
                             "/none: No such file or directory; create it (mode 600), or correct "
                             "the name",
                         complaint(folder_ + "/none"));
    CPPUNIT_ASSERT_EQUAL(file_ + "/x: Not a directory", complaint(file_ + "/x"));
    CPPUNIT_ASSERT(!complaint("").empty());
    // Root may read anything, so the check runs as a user without rights.
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0));
    CPPUNIT_ASSERT_EQUAL(0, chmod(folder_.c_str(), 0755));
    const bool root = geteuid() == 0;
    CPPUNIT_ASSERT(!root || seteuid(65534) == 0);
    const std::string said = complaint(file_);
    CPPUNIT_ASSERT(!root || seteuid(0) == 0);
    CPPUNIT_ASSERT_MESSAGE(said, said.starts_with(file_ + ": Permission denied as user "));
    CPPUNIT_ASSERT_MESSAGE(said, said.ends_with("chgrp, chmod 640, or chmod 755 its folder"));
  }

  void aFileHasAKeyAnd64KiBAtMost() {
    for (const std::string& text : {std::string(), std::string("\n# none\n")}) {
      write(text);
      CPPUNIT_ASSERT_EQUAL(file_ + ": contains no key; make one with lmtpq keygen",
                           complaint(file_));
    }
    std::string text = kLine + '#' + std::string(64 * 1024, 'c');
    text.resize(64 * 1024);
    write(text);
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(file_));
    write(text + 'c');
    CPPUNIT_ASSERT_EQUAL(file_ + ": larger than 64 KiB", complaint(file_));
  }

  void errorsInTheFileHavePathAndLine() {
    write(kLine + "\nb\n");
    CPPUNIT_ASSERT_EQUAL(file_ + ":3: expected `id base64`, as lmtpq keygen prints it",
                         complaint(file_));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KeyFileTest);
