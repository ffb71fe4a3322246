#include "mailer/check/queued_tag.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::mailer::QueuedTag;

namespace {

bool has_tag(std::string_view text, std::size_t piece = 1000) {
  QueuedTag tag;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    tag.feed(text.substr(0, piece));
  }
  return tag.found();
}

constexpr std::string_view kBefore =
    "V8\nT1795262400\nK0\nN0\nP30283\nMdeferred\nFbs8\n$_localhost [127.0.0.1]\n$resmtp\n"
    "S<a@mail.test>\nMDeferred\nC:<bob@x>\nrRFC822; bob@x\nRPFD:<bob@x>\n"
    "H?P?Return-Path: <a>\nH??Received: from h\n\tby m id 1; date\n";

}  // namespace

class QueuedTagTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(QueuedTagTest);
  CPPUNIT_TEST(aFieldOfTheHeaderIsATagInAnyCase);
  CPPUNIT_TEST(otherLinesAndFieldsAreNone);
  CPPUNIT_TEST(aLongLineIsNone);
  CPPUNIT_TEST_SUITE_END();

  void aFieldOfTheHeaderIsATagInAnyCase() {
    for (const char* const line :
         {"H??X-LMTPQ-Tag: v=1;\n\tb=x\n", "H?D?x-lmtpq-tag: v\n", "HX-LMTPQ-Tag: v\n",
          "H??X-LMTPQ-TAG : v\n", "H??X-LMTPQ-Tag:\n"}) {
      const std::string text = std::string(kBefore) + line + ".\n";
      for (const std::size_t piece : {std::size_t(1000), std::size_t(1), std::size_t(7)}) {
        CPPUNIT_ASSERT_MESSAGE(line, has_tag(text, piece));
      }
    }
  }

  void otherLinesAndFieldsAreNone() {
    CPPUNIT_ASSERT(!has_tag(std::string(kBefore) + ".\n"));
    for (const char* const line :
         {"H??Subject: X-LMTPQ-Tag: v\n", "H??Subject: a\n\tX-LMTPQ-Tag: v\n",
          "H??X-LMTPQ-Tagged: v\n", "H??X-LMTPQ-Tag\n", "X-LMTPQ-Tag: v\n", "RX-LMTPQ-Tag: v\n",
          "H?X-LMTPQ-Tag: v\n", "H\n", "\n"}) {
      CPPUNIT_ASSERT_MESSAGE(line, !has_tag(std::string(kBefore) + line + ".\n"));
    }
  }

  void aLongLineIsNone() {
    CPPUNIT_ASSERT(!has_tag("H??A: " + std::string(100'000, 'x') + "H??X-LMTPQ-Tag: v\n"));
    CPPUNIT_ASSERT(has_tag("H??A: " + std::string(100'000, 'x') + "\nH??X-LMTPQ-Tag: v\n"));
  }
};
CPPUNIT_TEST_SUITE_REGISTRATION(QueuedTagTest);
