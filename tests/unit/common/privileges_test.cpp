#include "common/privileges.h"

#include <cppunit/extensions/HelperMacros.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>

#include "common/options/option_reader.h"
#include "tests/unit/common/in_a_child.h"

using lmtpq::ConfigError;
using lmtpq::drop_privileges;
using lmtpq::in_a_child;

namespace {

std::string complaint(const std::string& user) {
  try {
    drop_privileges(user);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

// All three ids have changed, and cannot be changed back.
bool wholly(const passwd& user) {
  uid_t uids[3];
  gid_t gids[3];
  if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
      getresgid(&gids[0], &gids[1], &gids[2]) != 0) {
    return false;
  }
  for (int i = 0; i < 3; ++i) {
    if (uids[i] != user.pw_uid || gids[i] != user.pw_gid) {
      return false;
    }
  }
  gid_t groups[64];
  const int count = getgroups(64, groups);
  for (int i = 0; i < count; ++i) {
    if (groups[i] == 0) {
      return false;
    }
  }
  return count >= 0 && seteuid(0) != 0 && setuid(0) != 0 && setgid(0) != 0;
}

}  // namespace

class PrivilegesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(PrivilegesTest);
  CPPUNIT_TEST(aUserThatDoesNotExistIsAnError);
  CPPUNIT_TEST(changingToTheSameUserDoesNothing);
  CPPUNIT_TEST(rootCanChangeAllIdsAndOtherUsersCannot);
  CPPUNIT_TEST(theEffectiveUserSetBySendmailBecomesTheRealOne);
  CPPUNIT_TEST(theUserThatIsNamedBecomesTheRealOneToo);
  CPPUNIT_TEST(anotherUserThanRootKeepsItsIds);
  CPPUNIT_TEST(asRootRestoresRootsRightsForItsLifetime);
  CPPUNIT_TEST(aUserWithoutANameIsItsNumber);
  CPPUNIT_TEST_SUITE_END();

  void aUserThatDoesNotExistIsAnError() {
    CPPUNIT_ASSERT_EQUAL(std::string("\"no-such-user\": no such user on this system; create it, "
                                     "or correct the name"),
                         complaint("no-such-user"));
  }

  void changingToTheSameUserDoesNothing() {
    const uid_t user = geteuid();
    const passwd* const entry = getpwuid(user);
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(""));
    if (entry != nullptr) {
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(entry->pw_name));
    }
    CPPUNIT_ASSERT_EQUAL(user, geteuid());
    CPPUNIT_ASSERT_EQUAL(user, getuid());
  }

  void rootCanChangeAllIdsAndOtherUsersCannot() {
    const char* const name = geteuid() == 0 ? "nobody" : "root";
    const passwd user = *getpwnam(name);
    if (geteuid() == 0) {
      CPPUNIT_ASSERT(in_a_child([&] {
        const gid_t groups[] = {0, 1, 2};
        return setgroups(3, groups) == 0 && complaint(name).empty() && wholly(user);
      }));
    } else {
      CPPUNIT_ASSERT_EQUAL(std::string("\"root\": only root can become another user; start as "
                                       "root, or as this user"),
                           complaint(name));
    }
  }

  // F=S with U=: setreuid(-1, uid), setregid or setegid, and the groups stay root's (deliver.c).
  void theEffectiveUserSetBySendmailBecomesTheRealOne() {
    const passwd user = *getpwnam("nobody");
    const bool root = geteuid() == 0;
    CPPUNIT_ASSERT(in_a_child([&] {
      if (!root) {
        const uid_t before = getuid();
        drop_privileges("");
        return getuid() == before && geteuid() == before;
      }
      const gid_t groups[] = {0, 1, 2};
      if (setgroups(3, groups) != 0 || setegid(user.pw_gid) != 0 ||
          setreuid(static_cast<uid_t>(-1), user.pw_uid) != 0) {
        return false;
      }
      drop_privileges("");
      return wholly(user);
    }));
  }

  // Also where it is the effective one already.
  void theUserThatIsNamedBecomesTheRealOneToo() {
    if (geteuid() != 0) {
      return;
    }
    const passwd nobody = *getpwnam("nobody");
    const passwd daemon = *getpwnam("daemon");
    for (const passwd& user : {nobody, daemon}) {
      CPPUNIT_ASSERT(in_a_child([&] {
        return setreuid(static_cast<uid_t>(-1), nobody.pw_uid) == 0 &&
               complaint(user.pw_uid == nobody.pw_uid ? "nobody" : "daemon").empty() &&
               wholly(user);
      }));
    }
  }

  void anotherUserThanRootKeepsItsIds() {
    const passwd nobody = *getpwnam("nobody");
    CPPUNIT_ASSERT(in_a_child([&] {
      if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(nobody.pw_gid) != 0 ||
                             setuid(nobody.pw_uid) != 0)) {
        return false;
      }
      const uid_t before = getuid();
      const passwd* const entry = getpwuid(before);
      const bool own_name = entry == nullptr || complaint(entry->pw_name).empty();
      return complaint("").empty() && own_name && getuid() == before &&
             complaint("root") ==
                 "\"root\": only root can become another user; start as root, or "
                 "as this user";
    }));
  }

  void aUserWithoutANameIsItsNumber() {
    CPPUNIT_ASSERT_EQUAL(std::string("root"), lmtpq::user_name(0));
    CPPUNIT_ASSERT_EQUAL(std::string("4123456789"), lmtpq::user_name(4'123'456'789));
    CPPUNIT_ASSERT_EQUAL("Permission denied as user " + lmtpq::user_name(geteuid()),
                         lmtpq::error_as_user(EACCES));
  }

  void asRootRestoresRootsRightsForItsLifetime() {
    const passwd user = *getpwnam("nobody");
    CPPUNIT_ASSERT_EQUAL(user.pw_uid, lmtpq::future_user("nobody"));
    CPPUNIT_ASSERT_EQUAL(geteuid(), lmtpq::future_user(""));
    CPPUNIT_ASSERT_THROW(lmtpq::future_user("no-such-user"), ConfigError);
    const bool root = geteuid() == 0;
    CPPUNIT_ASSERT(in_a_child([&] {
      if (root && setreuid(static_cast<uid_t>(-1), user.pw_uid) != 0) {
        return false;
      }
      const uid_t before = geteuid();
      bool borrowed = false;
      {
        const lmtpq::AsRoot rights;
        borrowed = geteuid() == (root ? 0 : before);
      }
      return borrowed && geteuid() == before;
    }));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PrivilegesTest);
