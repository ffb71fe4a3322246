#include "mailer/secure/openssl_error.h"

#include <cppunit/extensions/HelperMacros.h>
#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/ssl.h>

#include <cerrno>

using namespace lmtpq::mailer;

class OpensslErrorTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OpensslErrorTest);
  CPPUNIT_TEST(theFirstErrorIsTheReasonUnlessOneIsOfTls);
  CPPUNIT_TEST(anErrorWithoutTextHasItsNumber);
  CPPUNIT_TEST_SUITE_END();

  static void check(const std::string& expected) {
    CPPUNIT_ASSERT_EQUAL(expected, openssl_error());
  }

  void theFirstErrorIsTheReasonUnlessOneIsOfTls() {
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);
    ERR_clear_error();
    check("unknown error");
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    ERR_raise(ERR_LIB_PEM, PEM_R_BAD_DECRYPT);
    check("no start line");
    check("unknown error");  // the others were of the same failure
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
    check("no shared cipher");
    ERR_clear_error();
    ERR_raise(ERR_LIB_SYS, ENOENT);
    check("No such file or directory");
  }

  void anErrorWithoutTextHasItsNumber() {
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 99);
    check("OpenSSL error " + std::to_string(ERR_PACK(ERR_LIB_USER, 0, 99)));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OpensslErrorTest);
