#include "mailer/message/queue_id.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::mailer::queue_id;

class QueueIdTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(QueueIdTest);
  CPPUNIT_TEST(everyFormThatSendmailWritesIsRead);
  CPPUNIT_TEST(theTopmostReceivedCounts);
  CPPUNIT_TEST(anIdFromTheClientsNameIsNotUsed);
  CPPUNIT_TEST(commentsAndQuotedStringsAreSkipped);
  CPPUNIT_TEST(caseDoesNotMatter);
  CPPUNIT_TEST(withoutAValidIdTheResultIsEmpty);
  CPPUNIT_TEST(anIdHasAtMost255Bytes);
  CPPUNIT_TEST(anIncompleteFieldIsNotRead);
  CPPUNIT_TEST_SUITE_END();

  static void check(const std::string& expected, const std::string& head) {
    CPPUNIT_ASSERT_EQUAL_MESSAGE(head, expected, queue_id(head).text());
  }

  void everyFormThatSendmailWritesIsRead() {
    // By the daemon: HELO name, reverse name and address; several lines.
    check(
        "4AL93Qxa012345",
        "Received: from client.example.org (client.example.org [192.0.2.7])\r\n"
        "\tby mx.example.net (8.17.1.9/8.17.1.9/Debian-2+deb12u2) with ESMTP id 4AL93Qxa012345\r\n"
        "\tfor <bob@example.net>; Fri, 21 Nov 2025 09:03:26 GMT\r\n\r\n");
    // TLS, with the id before the comment.
    check("4AL93Qxb012346",
          "Received: from c.example.org (c.example.org [192.0.2.7])\r\n"
          "\tby mx.example.net (8.17.1.9/8.17.1.9) with ESMTPS id 4AL93Qxb012346\r\n"
          "\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)\r\n"
          "\tfor <bob@example.net>; Fri, 21 Nov 2025 09:03:26 GMT\r\n\r\n");
    // AUTH, IPv6, no `for`.
    check("4AL93Qxc012347",
          "Received: from [IPv6:2001:db8::7] (pool.example.org [IPv6:2001:db8::7])\r\n"
          "\t(authenticated bits=0)\r\n"
          "\tby mx.example.net (8.17.1.9/8.17.1.9) with ESMTPSA id 4AL93Qxc012347\r\n"
          "\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NOT);\r\n"
          "\tFri, 21 Nov 2025 09:03:26 GMT\r\n\r\n");
    // The id ends its clause.
    check("4AL93Qxd012348",
          "Received: from x (localhost [127.0.0.1])\r\n"
          "\tby mx.example.net (8.17.1.9/8.17.1.9) with LMTP id 4AL93Qxd012348;\r\n"
          "\tFri, 21 Nov 2025 09:03:26 GMT\r\n\r\n");
    // A local user's, before and after the submission queue.
    check("4AL93Qxe012349",
          "Received: (from alice@localhost)\r\n"
          "\tby mx.example.net (8.17.1.9/8.17.1.9/Submit) id 4AL93Qxe012349;\r\n"
          "\tFri, 21 Nov 2025 09:03:26 GMT\r\n\r\n");
    // Forged reverse name, and the ident of the client's user.
    check("4AL93Qxf012350",
          "Received: from helo.example (user@host.example.org [192.0.2.7] (may be forged))\r\n"
          "\tby mx.example.net (8.17.1.9/8.17.1.9) with SMTP id 4AL93Qxf012350\r\n"
          "\tfor bob; Fri, 21 Nov 2025 09:03:26 GMT\r\n\r\n");
    // All on one line; folded between the word and the id.
    check("A1", "Received: from a by b with ESMTP id A1 for <c>; Fri, 21 Nov 2025\r\n\r\n");
    check("A2", "Received: by b id\r\n\tA2;\r\n date\r\n\r\n");
    check("A3", "Received:by b id A3\r\n\r\n");
  }

  void theTopmostReceivedCounts() {
    check("A1", "Received: by b id A1; d\r\nReceived: by c id A2; d\r\n\r\n");
    check("A1", "X-LMTPQ-Tag: v=1; k=a\r\nReturn-Path: <a@b>\r\nReceived: by b id A1; d\r\n\r\n");
    check("A1", "no field at all\r\nReceived: by b id A1; d\r\n\r\n");
    check("A1",
          "Received-SPF: by b id A0; d\r\nX-Received: by b id A0\r\nReceived: by b id A1\r\n");
    // Our Sendmail did not write the second field.
    check("", "Received: by b; d\r\nReceived: by c id A2; d\r\n\r\n");
    check("", "Subject: s\r\n\r\nReceived: by b id A1; d\r\n\r\n");
  }

  void anIdFromTheClientsNameIsNotUsed() {
    check("A1", "Received: from id x by y (h [192.0.2.1]) by b with ESMTP id A1; d\r\n\r\n");
    check("A1", "Received: from id (id x by id y [192.0.2.1]) by b with ESMTP id A1; d\r\n\r\n");
    check("A1", "Received: from by (h [192.0.2.1])\r\n\tby b with ESMTP id A1; d\r\n\r\n");
    check("A1", "Received: from h (by x id A0@h [192.0.2.1]) by b id A1; d\r\n\r\n");
    check("A1", "Received: from h by b id A1 for <\"x id A0\"@c>; d\r\n\r\n");
    check("A1", "Received: from h by b id A1\r\n\tfor <id>; by x id A0\r\n\r\n");
    check("", "Received: from h id A0; d\r\n\r\n");
    check("", "Received: from id A0; d\r\n\r\n");
  }

  void commentsAndQuotedStringsAreSkipped() {
    check("A1", "Received: by b (a (nested (id A0)) id A0) id A1; d\r\n\r\n");
    check("A1", "Received: by b (8.17) id(c)A1(d);e\r\n\r\n");
    check("A1", "Received: (by x id A0) by b id A1; d\r\n\r\n");
    check("A1", "Received: by b (a \\) id A0) id A1; d\r\n\r\n");
    check("A1", "Received: from \"(\" by b id A1 \")\"; d\r\n\r\n");
    check("A1", "Received: by b (with \"one quote) id A1; d\r\n\r\n");
    check("", "Received: by b (never closed id A0; d\r\n\r\n");
  }

  void caseDoesNotMatter() {  // RFC 5321 section 4.4, RFC 5234 section 2.3
    check("A1", "RECEIVED: by b id A1; d\r\n\r\n");
    check("A1", "received : by b id A1; d\r\n\r\n");
    check("aB1", "Received: From a By b With ESMTP Id aB1; d\r\n\r\n");
    check("aB1", "Received: FROM a BY b WITH ESMTP ID aB1; d\r\n\r\n");
  }

  void withoutAValidIdTheResultIsEmpty() {
    for (const char* head :
         {"", "\r\n", "\r\nbody\r\n", "Subject: id A1\r\n\r\n", "Received:\r\n\r\n",
          "Received: by b\r\n\r\n", "Received: by b id\r\n\r\n", "Received: by b id;\r\n\r\n",
          "Received: by b id ; d\r\n\r\n", "Received: by b id <A1@b>; d\r\n\r\n",
          "Received: by b id A/1; d\r\n\r\n", "Received: by b id \"A1\"; d\r\n\r\n",
          "Received: by b id \xc3\x84; d\r\n\r\n", "Received: by bid A1; d\r\n\r\n"}) {
      check("", head);
    }
    check("", std::string("Received: by b id A\0B; d\r\n\r\n", 28));
  }

  void anIdHasAtMost255Bytes() {
    const std::string longest(255, 'a');
    check(longest, "Received: by b id " + longest + "; d\r\n\r\n");
    check("", "Received: by b id " + longest + "a; d\r\n\r\n");
  }

  void anIncompleteFieldIsNotRead() {
    const std::string head = "Received: by b id A123; d\r\n\r\n";
    for (std::size_t length = 0; length < head.size() - 2; ++length) {
      check("", head.substr(0, length));
    }
    check("A123", head.substr(0, head.size() - 2));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(QueueIdTest);
