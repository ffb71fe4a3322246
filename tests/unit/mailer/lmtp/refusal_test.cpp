#include "mailer/lmtp/refusal.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;

namespace {

Reply reply(const std::string& line) {
  ReplyParser parser;
  const std::string bytes = line + "\r\n";
  std::string_view rest = bytes;
  CPPUNIT_ASSERT(parser.parse(rest) == ReplyParser::Result::kReply);
  return parser.take();
}

}  // namespace

class RefusalTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(RefusalTest);
  CPPUNIT_TEST(someRefusalsAreAboutTheSession);
  CPPUNIT_TEST(othersAreAboutTheMessage);
  CPPUNIT_TEST(someCodesAskForALogin);
  CPPUNIT_TEST_SUITE_END();

  void someRefusalsAreAboutTheSession() {  // trap: session-refused-at-mail
    for (const char* line : {"421 bye",
                             "421 4.7.0 Too many errors",
                             "500 what?",
                             "500 5.5.1 Unknown",
                             "502 no",
                             "503 5.5.1 LHLO first",
                             "503 5.0.0 Polite people say LHLO",
                             "504 5.5.4 no such parameter",
                             "501 syntax",
                             "501 5.5.4 Unrecognized parameters",
                             "430 Authentication required",
                             "530 5.7.0 Authentication required",
                             "530 5.7.1 Login",
                             "534 5.7.9 x",
                             "535 5.7.8 x",
                             "538 5.7.11 x",
                             "452 4.5.3 Too many messages",
                             "451 4.5.0 Protocol",
                             "450 4.3.2 closing",
                             "451 4.4.2 Timeout",
                             "452 Too many messages in this session",
                             "451 too many mails, try a new Connection",
                             "450 SESSION limit"}) {
      CPPUNIT_ASSERT_MESSAGE(line, refuses_session(reply(line)));
    }
  }

  void othersAreAboutTheMessage() {
    for (const char* line : {"250 ok",
                             "550 5.7.1 Sender refused",
                             "550 no",
                             "552 5.3.4 Too large",
                             "552 5.2.3 big",
                             "553 5.1.7 bad sender",
                             "554 5.7.1 no",
                             "555 5.5.4 parameters",
                             "501 5.1.7 bad sender",
                             "501 5.7.1 no",
                             "452 4.3.1 Disk full",
                             "451 4.3.1 Disk full",
                             "452 Insufficient system storage",
                             "452 4.2.2 Over quota",
                             "451 4.7.1 Greylisted",
                             "451 4.3.0 Error",
                             "450 4.1.8 Sender's domain",
                             "450 later",
                             "451 4.2.0 session",
                             "550 too many messages in this session"}) {
      CPPUNIT_ASSERT_MESSAGE(line, !refuses_session(reply(line)));
    }
  }

  void someCodesAskForALogin() {
    for (int code = 400; code < 600; ++code) {
      CPPUNIT_ASSERT_EQUAL(code == 430 || code == 530 || code == 534 || code == 535 || code == 538,
                           asks_for_login(code));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RefusalTest);
