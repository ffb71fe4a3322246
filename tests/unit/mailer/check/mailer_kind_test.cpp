#include "mailer/check/mailer_kind.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;

namespace {

CfEntry mailer(const std::string& fields) { return parse_entry({1, "Mx, " + fields}); }

std::string dialled(const std::string& arguments) {
  return dialled_by(mailer("P=[IPC], F=z, A=" + arguments)).value_or("nothing");
}

}  // namespace

class MailerKindTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MailerKindTest);
  CPPUNIT_TEST(anAddressOfSendmailIsReadAsADest);
  CPPUNIT_TEST(aHostThatOnlyTheMailKnowsIsNoAddress);
  CPPUNIT_TEST(aProgramIsKnownByItsNameOrItsArguments);
  CPPUNIT_TEST(aDaemonIsKnownByItsListener);
  CPPUNIT_TEST_SUITE_END();

  void anAddressOfSendmailIsReadAsADest() {
    CPPUNIT_ASSERT_EQUAL(std::string("unix:/run/lmtpq/lmtp"), dialled("FILE /run/lmtpq/lmtp"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:h.test:24"), dialled("TCP h.test 24"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:h.test:24"), dialled("TCP [h.test] 24"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:[192.0.2.1]:24"), dialled("IPC [192.0.2.1] 24"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:[2001:db8::1]"), dialled("TCP [IPv6:2001:db8::1]"));
  }

  void aHostThatOnlyTheMailKnowsIsNoAddress() {
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), dialled("TCP $h"));
    CPPUNIT_ASSERT_EQUAL(std::string("nothing"), dialled("FILE"));
    for (const char* const program : {"[IPC]", "[TCP]", "[LPC]"}) {
      CPPUNIT_ASSERT_EQUAL(
          std::string("unix:/x"),
          dialled_by(mailer(std::string("P=") + program + ", F=z, A=FILE /x")).value_or("nothing"));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("inet:a]b"), dialled("TCP a]b"));
    CPPUNIT_ASSERT_EQUAL(std::string("inet:[a]b"), dialled("TCP [a]b"));
    CPPUNIT_ASSERT(!dialled_by(mailer("P=/x/lmtpq, A=lmtpq relay unix:/run/x")));
  }

  void aProgramIsKnownByItsNameOrItsArguments() {
    CPPUNIT_ASSERT(kind_of(mailer("P=/x/lmtpq, A=a relay"), {}) == MailerKind::kProgram);
    CPPUNIT_ASSERT(kind_of(mailer("P=/x/a, A=lmtpq relay"), {}) == MailerKind::kProgram);
    CPPUNIT_ASSERT(kind_of(mailer("P=/x/lmtpqx, A=lmtpqx relay"), {}) == MailerKind::kOther);
    CPPUNIT_ASSERT(kind_of(mailer("P=[IPC], F=mX, A=TCP $h"), {}) == MailerKind::kNextHost);
    CPPUNIT_ASSERT(kind_of(mailer(""), {}) == MailerKind::kOther);
  }

  void aDaemonIsKnownByItsListener() {
    const CfEntry one = mailer("P=[IPC], F=zX, A=FILE /nowhere/lmtp");
    CPPUNIT_ASSERT(kind_of(one, {{"unix:/nowhere/lmtp"}}) == MailerKind::kDaemon);
    CPPUNIT_ASSERT(kind_of(one, {{"unix:/nowhere/other"}}) == MailerKind::kOther);
    CPPUNIT_ASSERT(kind_of(mailer("P=[IPC], F=zX, A=TCP -x 24"), {}) == MailerKind::kOther);
    CPPUNIT_ASSERT(kind_of(mailer("P=[IPC], F=zX, A=TCP $h"), {}) == MailerKind::kOther);
  }
};
CPPUNIT_TEST_SUITE_REGISTRATION(MailerKindTest);
