#include "mailer/message/message_age.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;

class MessageAgeTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageAgeTest);
  CPPUNIT_TEST(datesAreReadAsRfc5322HasThem);
  CPPUNIT_TEST(whatIsNoDateIsNotRead);
  CPPUNIT_TEST(theTopmostReceivedFieldTellsTheAge);
  CPPUNIT_TEST(aMissingOrBrokenDateIsNoAge);
  CPPUNIT_TEST_SUITE_END();

  static constexpr std::int64_t kNoon = 1'795'262'400;  // Sat, 21 Nov 2026 12:00:00 +0000

  static std::int64_t age(const std::string& head, std::int64_t now = kNoon) {
    return message_age(head, now).count();
  }

  static std::int64_t age_of(const std::string& date, std::int64_t now) {
    return age("Received: by a id 1;" + date + "\r\n", now);
  }

  void datesAreReadAsRfc5322HasThem() {
    for (const char* text :
         {"Sat, 21 Nov 2026 12:00:00 +0000", " Sat,21 Nov 2026  12:00:00\t-0000 ",
          "21 nov 2026 12:00 GMT", "Sat, 21 Nov 2026 13:30:00 +0130",
          "Sat, 21 Nov 2026 04:00:00 -0800", "Sat, 21 Nov 2026 07:00:00 EST",
          "Sun, 22 Nov 2026 01:00:00 +1300", "Sat (x) , 21 (y) Nov 2026 12:00:00 +0000 (z)"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::int64_t{60}, age_of(text, kNoon + 60));
    }
    const std::int64_t later = kNoon + 500 * 86'400;
    CPPUNIT_ASSERT(age_of("1 Mar 2028 00:00:00 Z", later) > 0);
    CPPUNIT_ASSERT_EQUAL(age_of("1 Mar 2028 00:00:00 Z", later),
                         age_of("29 Feb 2028 23:59:60 Z", later));
  }

  void whatIsNoDateIsNotRead() {
    for (const char* text : {"",
                             "Sat,",
                             "d",
                             "Sat, 21 Nov 2026 12:00:00",
                             "Sat, 21 Nov 2026 +0000",
                             "Sat, 31 Nov 2026 12:00:00 +0000",
                             "Sat, 29 Feb 2026 12:00:00 +0000",
                             "Sat, 0 Nov 2026 12:00:00 +0000",
                             "Sat, 21 Nov 26 12:00:00 +0000",
                             "Sat, 21 November 2026 12:00:00 +0000",
                             "Sat, 21 Nov 2026 24:00:00 +0000",
                             "Sat, 21 Nov 2026 12:60:00 +0000",
                             "Sat, 21 Nov 2026 12:00:61 +0000",
                             "Sat, 21 Nov 2026 12.00.00 +0000",
                             "Sat, 21 Nov 2026 12:00.00 +0000",
                             "Sat, 21 Nov 2026 1:00:00 +0000",
                             "Sat, 21 Nov 2026 12:00:00 CET",
                             "Sat, 21 Nov 2026 12:00:00 0000",
                             "Sat, 21 Nov 2026 12:00:00 +00000",
                             "Sat, 21 Nov 2026 12:00:00 +0060",
                             "Sat, 21 Nov 2026 12:00:00 +-100",
                             "Sat, 21 Nov -026 12:00:00 +0000",
                             "Sat, 21 Nov 2026 12:00:00 +0000 more",
                             "Sat, x, 21 Nov 2026 12:00:00 +0000",
                             "Sat 21 Nov 2026 12:00:00 +0000",
                             "Nov 21 2026 12:00:00 +0000",
                             "2026-11-21 12:00:00 +0000"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::int64_t{0}, age_of(text, kNoon + 500 * 86'400));
    }
  }

  void theTopmostReceivedFieldTellsTheAge() {
    const std::string older = "Received: by a id 1; Fri, 20 Nov 2026 12:00:00 +0000\r\n";
    const std::string newer =
        "Return-Path: <a@b>\r\nreceived: from x (y [192.0.2.7]; (z))\r\n\tby mx (8.17.1/8.17.1) "
        "with ESMTP id 2\r\n\tfor <bob@c>; Sat, 21 Nov 2026\r\n 12:59:00 +0100 (CET; winter)\r\n";
    CPPUNIT_ASSERT_EQUAL(std::int64_t{86'400}, age(older + newer + "\r\n"));
    CPPUNIT_ASSERT_EQUAL(std::int64_t{60}, age(newer + older + "\r\n"));
    CPPUNIT_ASSERT_EQUAL(std::int64_t{31 * 86'400}, age(older, kNoon + 30 * 86'400));
  }

  void aMissingOrBrokenDateIsNoAge() {
    for (const char* head :
         {"", "Subject: s\r\n\r\nReceived: by a; Fri, 20 Nov 2026 12:00:00 +0000\r\n",
          "Received: by a id 1\r\n", "Received: by a id 1; yesterday\r\n",
          "Received: by a id 1; Fri, 20 Nov 2026 12:00:00 +0000; x\r\n",
          "Received: by a (; Fri, 20 Nov 2026 12:00:00 +0000\r\n",
          "Received: by a id 1; Sat, 21 Nov 2026 12:00:01 +0000\r\n",
          "Received: by a id 1; Fri, 21 Nov 2036 12:00:00 +0000\r\n",
          "Received: by a id 1; Thu, 01 Jan 1970 00:03:00 +0000\r\n",
          "Received: by a id 1; Fri, 31 Dec 1999 23:59:59 +0000\r\n",
          "Received: by a id 1; Fri, 20 Nov 2026 12:00:00 +0000"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(head, std::int64_t{0}, age(head));
    }
    CPPUNIT_ASSERT_EQUAL(kNoon - 946'684'800,
                         age("Received: by a id 1; Sat, 01 Jan 2000 00:00:00 +0000\r\n"));
    // The topmost one counts, although another could be read.
    CPPUNIT_ASSERT_EQUAL(std::int64_t{0},
                         age("Received: by b; ?\r\n"
                             "Received: by a; Fri, 20 Nov 2026 12:00:00 +0000\r\n"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageAgeTest);
