#include "mailer/message/queue_id.h"

#include <cppunit/extensions/HelperMacros.h>

#include <sstream>
#include <string>
#include <vector>

using lmtpq::mailer::queue_id;

namespace {

constexpr std::string_view kHostile = R"_(x
x by y id OLD
y id OLD
by y id OLD
id OLD
x by y id OLD (
x by y id OLD ((
x by y id OLD (\
x by y id OLD "
x by y id OLD for "
x by y id OLD \
x by y id OLD;
x by y id OLD; (
x) by y id OLD (
x) by y id OLD ((
x) by y id OLD "
(x
"x
)
) (
) "
"
" "
" for "
) for
) for (
" (
\
\\
(")"
"(") id OLD
by
id
x by y with
x by y via id OLD with "
X id OLD (
X id OLD "
X \id OLD (
X id OLD <(
)_";

constexpr std::string_view kAddresses = R"_(bob
<bob@c>
<"a)b"@c>
<"a) ("."b) c"@c>
<"a"."b"@c>
<"a)"."(b"@c>
<"a)"."()"@c>
<"\""@c>
<"\\"@c>
<\"@c>
<"a\")"@c>
<"a) ("."b) c"."d"@c>
<") id OLD ("@c>
<"\) by y id OLD"@c>
x) <bob>
<b)@x>
bob"
<a">
")
)_";

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

// As Sendmail writes it.
std::string received(const std::string& name, const std::string& ident, const std::string& protocol,
                     const std::string& address) {
  return "Received: from " + name + " (" + ident + "@h [192.0.2.1])\r\n" +
         "\tby b (8.17.1/8.17.1) with " + protocol + " id NEW\r\n" +
         "\t(version=TLSv1.3 verify=NO)\r\n\tfor " + address +
         "; Fri, 21 Nov 2025 09:03:26 +0100 (CET)\r\n\r\n";
}

}  // namespace

class QueueIdTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(QueueIdTest);
  CPPUNIT_TEST(everyFormThatSendmailWritesIsRead);
  CPPUNIT_TEST(theTopmostReceivedCounts);
  CPPUNIT_TEST(noIdIsTakenWhereByOrIdOccursTwice);
  CPPUNIT_TEST(commentsAndQuotedStringsAreSkipped);
  CPPUNIT_TEST(whatIsNotClosedOrNotOpenedHidesNoId);
  CPPUNIT_TEST(noClientPutsAnotherIdInThePlaceOfSendmails);
  CPPUNIT_TEST(aFieldOverTheLineLimitHasNoId);
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
    // Of other MTAs: Postfix, Exim, Exchange.
    check("4bWxyz12Qz1a",
          "Received: from c.example.org (c.example.org [192.0.2.7])\r\n"
          "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n"
          "\t(No client certificate requested)\r\n"
          "\tby mx.example.net (Postfix) with ESMTPS id 4bWxyz12Qz1a\r\n"
          "\tfor <bob@example.net>; Fri, 21 Nov 2025 10:03:26 +0100 (CET)\r\n\r\n");
    check("3F2A01C0DE",
          "Received: by mx.example.net (Postfix, from userid 1000)\r\n\tid 3F2A01C0DE; "
          "Fri, 21 Nov 2025 10:03:26 +0100 (CET)\r\n\r\n");
    check(
        "1vMXyZ-00000000Abc-1AbC",
        "Received: from [192.0.2.7] (helo=c.example.org) by mx.example.net with esmtps\r\n"
        " (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.98) (envelope-from <a@example.org>)\r\n"
        " id 1vMXyZ-00000000Abc-1AbC for bob@example.net; Fri, 21 Nov 2025 10:03:26 +0100\r\n\r\n");
    check("15.1.2507.39",
          "Received: from a.example.org (192.0.2.7) by b.example.org (192.0.2.8) with Microsoft "
          "SMTP\r\n"
          " Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n"
          " 15.1.2507.39; Fri, 21 Nov 2025 10:03:26 +0100\r\n\r\n");
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

  // One of the two is the client's, and nothing says which.
  void noIdIsTakenWhereByOrIdOccursTwice() {
    check("", "Received: from id x by y (h [192.0.2.1]) by b with ESMTP id A1; d\r\n\r\n");
    check("", "Received: from by (h [192.0.2.1])\r\n\tby b with ESMTP id A1; d\r\n\r\n");
    check("", "Received: from id (h [192.0.2.1])\r\n\tby b with ESMTP id A1; d\r\n\r\n");
    check("", "Received: from h BY x Id A0 (u@h)\r\n\tby b id A1; d\r\n\r\n");
    check("", "Received: from h by b with ESMTP id A0 id A1; d\r\n\r\n");
    check("", "Received: from h by b with id id A1; d\r\n\r\n");
    check("", "Received: from h by b id A1\r\n\tfor <c>; by x id A0\r\n\r\n");
    check("", "Received: from h by b id A1 for id; d\r\n\r\n");
    check("", "Received: from h by;by b id A1; d\r\n\r\n");
    // In a comment or quoted string it may be Sendmail's, which a client has enclosed.
    check("", "Received: from h (by x@h [192.0.2.1]) by b id A1; d\r\n\r\n");
    check("", "Received: from h (x id A0@h [192.0.2.1]) by b id A1; d\r\n\r\n");
    check("", "Received: by b (a (nested (id A0)) b) id A1; d\r\n\r\n");
    check("", "Received: from s by j (8) with X id A0 (; id A1 for <b)@x>; d\r\n\r\n");
    check("", "Received: from s by j (8) with X id A0 <\" id A1 for <a\">; d\r\n\r\n");
    check("", "Received: from h by b id A1 for <\"x by id A0\"@c>; d\r\n\r\n");
    // Within a longer word it is no clause.
    check("A1", "Received: from by.id.example by id-1.example id A1 for <id@by>; d\r\n\r\n");
    check("A1", "Received: from h by b id A1 for <by>, <id>; d\r\n\r\n");
    // No `by`, or after `id`.
    check("", "Received: from h id A0; d\r\n\r\n");
    check("", "Received: from id A0; d\r\n\r\n");
    check("", "Received: from h id A0 by b; d\r\n\r\n");
  }

  void commentsAndQuotedStringsAreSkipped() {
    check("A1", "Received: by b (a (nested (idA0)) in A0) id A1; d\r\n\r\n");
    check("A1", "Received: by b (8.17) id(c)A1(d);e\r\n\r\n");
    check("A1", "Received: (from x of A0) by b id A1; d\r\n\r\n");
    check("A1", "Received: by b (a \\) of A0) id A1; d\r\n\r\n");
    check("A1", "Received: from \"(\" by b id A1 \")\"; d\r\n\r\n");
    check("A1", "Received: by b (with \"one quote) id A1; d\r\n\r\n");
    check("A1", "Received: by b id A1 for <\"a \\\" of \\\\\"@c>; Fri (CET)\r\n\r\n");
    check("A1", "Received: from h by b id A1 for <DOMAIN\\user>; d\r\n\r\n");
  }

  void whatIsNotClosedOrNotOpenedHidesNoId() {
    for (const char* value :
         {"by b (never closed id A0; d", "by b id A1 (never closed; d", "by b id A1 \"; d",
          "by b id A1 (a (b); d", "by b id A1); d", "by b) id A1; d", "by b id A1 (a \\); d",
          "by b id A1 \"a \\\"; d", "from x by y id A0 ( (u@h) by b id A1; d"}) {
      check("", std::string("Received: ") + value + "\r\n\r\n");
    }
  }

  // Whatever a client puts into its name, its ident reply and its protocol, whatever quoted address
  // it writes to: the queue id is Sendmail's, or there is none (trap: two-ids-in-received).
  void noClientPutsAnotherIdInThePlaceOfSendmails() {
    int taken = 0;
    for (const std::string& name : lines_of(kHostile)) {
      for (const std::string& protocol : lines_of(kHostile)) {
        for (const std::string& address : lines_of(kAddresses)) {
          for (const char* const ident : {"u", "x) by y id OLD (", "(("}) {
            const std::string head = received(name, ident, protocol, address);
            const std::string id = queue_id(head).text();
            CPPUNIT_ASSERT_MESSAGE(head + id, id.empty() || id == "NEW");
            taken += id.empty() ? 0 : 1;
          }
        }
      }
    }
    CPPUNIT_ASSERT_GREATER(100, taken);
  }

  // Sendmail and we break or cut long lines; the end of such a field may be missing.
  void aFieldOverTheLineLimitHasNoId() {
    const std::string begin = "Received: by b (8.17) with SMTP id A1 for <";
    const std::string end = ">; d\r\n";
    const std::string fits(998 - begin.size() - end.size(), 'x');
    check("A1", begin + fits + end + "\r\n");
    check("", begin + fits + "x" + end + "\r\n");
    check("", "Received: by b (8.17) with y id OLD " + std::string(2300, 'z') + "\r\n\r\n");
    check("",
          "Received: by b (8.17) with y id OLD " + std::string(950, 'z') + " i\r\n d NEW; d\r\n");
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
