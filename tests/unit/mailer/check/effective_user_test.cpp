#include "mailer/check/effective_user.h"

#include <cppunit/extensions/HelperMacros.h>
#include <grp.h>

#include <algorithm>
#include <optional>

#include "tests/unit/common/in_a_child.h"

using lmtpq::mailer::AsEffectiveUser;

namespace {

constexpr uid_t kUser = 65534;
constexpr gid_t kGroup = 65533;

struct Rights {
  uid_t real = getuid();
  uid_t user = geteuid();
  gid_t group = getegid();
  std::vector<gid_t> groups = [] {
    std::vector<gid_t> all(64);
    all.resize(
        static_cast<std::size_t>(std::max(getgroups(static_cast<int>(all.size()), all.data()), 0)));
    return all;
  }();
  bool operator==(const Rights&) const = default;
};

}  // namespace

class EffectiveUserTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(EffectiveUserTest);
  CPPUNIT_TEST(rootHasTheRightsOfTheUserForItsLifetime);
  CPPUNIT_TEST(whoIsNotWhollyRootKeepsItsRights);
  CPPUNIT_TEST_SUITE_END();

  void rootHasTheRightsOfTheUserForItsLifetime() {
    if (geteuid() != 0) {
      return;
    }
    CPPUNIT_ASSERT(lmtpq::in_a_child([] {
      const gid_t groups[] = {1, 2, 3};
      if (setgroups(3, groups) != 0 || setegid(4) != 0) {
        return false;
      }
      const Rights before;
      std::optional<AsEffectiveUser> user(std::in_place, kUser, kGroup);
      const bool changed = Rights{0, kUser, kGroup, {}} == Rights();
      user.reset();
      return changed && before == Rights();
    }));
  }

  void whoIsNotWhollyRootKeepsItsRights() {
    CPPUNIT_ASSERT(lmtpq::in_a_child([] {
      if (geteuid() == 0 && seteuid(kUser - 1) != 0) {
        return false;
      }
      const Rights before;
      const AsEffectiveUser user(kUser, kGroup);
      return before == Rights();
    }));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(EffectiveUserTest);
