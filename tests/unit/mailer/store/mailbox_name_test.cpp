#include "mailer/store/mailbox_name.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq;
using namespace lmtpq::mailer;

class MailboxNameTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MailboxNameTest);
  CPPUNIT_TEST(addressesOfOneMailboxHaveOneName);
  CPPUNIT_TEST_SUITE_END();

  void addressesOfOneMailboxHaveOneName() {
    const struct {
      const char* address;
      const char* delimiters;
      const char* name;
    } rows[] = {
        {"user@x.test", "+", "user@x.test"},
        {"user", "+", "user"},
        {"User@X.Test", "+", "user@x.test"},
        {"user+detail@x.test", "+", "user@x.test"},
        {"user+", "+", "user"},
        {"user+a+b", "+", "user"},
        {"User+Detail", "+", "user"},
        {"+folder@x.test", "+", "+folder@x.test"},
        {"+folder+detail", "+", "+folder"},
        {"user@x+y", "+", nullptr},
        {"user+detail", "", "user+detail"},
        {"user-detail", "+", "user-detail"},
        {"user-detail@x", "-", "user@x"},
        {"user-a+b", "+-", "user"},
        {"\"user\"@x", "+", "user@x"},
        {"\"us\\er+detail\"@x", "+", "user@x"},
        {"\"first last+detail\"@x", "+", "first last@x"},
    };
    for (const auto& row : rows) {
      const auto address = Mailbox::parse(row.address);
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.address, row.name != nullptr, address.has_value());
      if (address) {
        CPPUNIT_ASSERT_EQUAL(std::string(row.name), mailbox_name(*address, row.delimiters));
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MailboxNameTest);
