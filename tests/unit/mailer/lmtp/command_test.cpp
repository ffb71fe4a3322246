#include "mailer/lmtp/command.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

std::string refusal_of(const Refusal& refusal) {
  return std::to_string(refusal.code) + " " + refusal.status.text();
}

// "<a@b> SIZE=3 BODY=7BIT SMTPUTF8" as it would be passed on, or the refusal.
std::string mail(std::string_view argument) {
  const auto parsed = parse_mail(argument);
  if (const auto* const refusal = std::get_if<Refusal>(&parsed)) {
    return refusal_of(*refusal);
  }
  const auto& taken = std::get<MailArguments>(parsed);
  const std::string line =
      mail_line(taken.sender, taken.body, taken.charset, taken.size, taken.hops);
  return line.substr(10, line.size() - 12);
}

std::string rcpt(std::string_view argument) {
  const auto parsed = parse_rcpt(argument);
  const auto* const refusal = std::get_if<Refusal>(&parsed);
  if (refusal != nullptr) {
    return refusal_of(*refusal);
  }
  const auto& recipient = std::get<Recipient>(parsed);
  return recipient.mailbox.path() + (recipient.ignore_quota ? " IGNOREQUOTA" : "");
}

}  // namespace

class CommandTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CommandTest);
  CPPUNIT_TEST(knowsTheVerbsInAnyCase);
  CPPUNIT_TEST(rejectsUnknownVerbs);
  CPPUNIT_TEST(readsMailWithItsParameters);
  CPPUNIT_TEST(refusesAnInvalidMail);
  CPPUNIT_TEST(refusesAnUnknownMailParameter);
  CPPUNIT_TEST(readsRcpt);
  CPPUNIT_TEST(readsIgnoreQuotaAtAnyPlace);
  CPPUNIT_TEST(refusesAnInvalidRcpt);
  CPPUNIT_TEST(readsEverySizeThatFits64Bits);
  CPPUNIT_TEST(writesTheExactBytes);
  CPPUNIT_TEST(writesIgnoreQuotaAsTheLastBytesOfTheLine);
  CPPUNIT_TEST(aNullSenderIsWrittenAsEmptyBrackets);
  CPPUNIT_TEST(theLongestLinesStayUnderTheLimit);
  CPPUNIT_TEST(aWrittenLineParsesToTheSameValues);
  CPPUNIT_TEST_SUITE_END();

  void knowsTheVerbsInAnyCase() {
    const std::pair<const char*, Verb> rows[] = {
        {"LHLO", Verb::kLhlo},   {"EHLO", Verb::kHelo},   {"HELO", Verb::kHelo},
        {"MAIL", Verb::kMail},   {"RCPT", Verb::kRcpt},   {"DATA", Verb::kData},
        {"RSET", Verb::kRset},   {"NOOP", Verb::kNoop},   {"VRFY", Verb::kVrfy},
        {"QUIT", Verb::kQuit},   {"quit", Verb::kQuit},   {"dAtA", Verb::kData},
        {"TRACE", Verb::kTrace}, {"trace", Verb::kTrace}, {"GET", Verb::kHttp},
        {"HEAD", Verb::kHttp},   {"POST", Verb::kHttp},   {"PUT", Verb::kHttp},
        {"CONNECT", Verb::kHttp}};
    for (const auto& [word, verb] : rows) {
      CPPUNIT_ASSERT_MESSAGE(word, parse_command(word).verb == verb);
      const std::string line = std::string(word) + "   x  y\t ";
      CPPUNIT_ASSERT_MESSAGE(word, parse_command(line).verb == verb);
      check("x  y", std::string(parse_command(line).argument), word);
    }
  }

  void rejectsUnknownVerbs() {
    for (const std::string_view line :
         {std::string_view(""), std::string_view(" "), std::string_view(" QUIT"),
          std::string_view("QUITE"), std::string_view("QUI"), std::string_view("MAIL:"),
          std::string_view("QUIT\r"), std::string_view("QUIT\0", 5), std::string_view("TRACEx"),
          std::string_view("STARTTLS"), std::string_view("BDAT 1"), std::string_view("\xc5QUIT")}) {
      CPPUNIT_ASSERT_MESSAGE(std::string(line), parse_command(line).verb == Verb::kUnknown);
    }
  }

  void readsMailWithItsParameters() {  // trap: command-spelling
    const std::pair<const char*, const char*> rows[] = {
        {"FROM:<>", "<>"},
        {"FROM:<a@b>", "<a@b>"},
        {"From: <a@b>", "<a@b>"},
        {"from \t: \t<a@b>", "<a@b>"},
        {"FROM:<a@b> SIZE=5", "<a@b> SIZE=5"},
        {"FROM:<a@b>  size=5   body=8bitmime  smtputf8 ", "<a@b> SIZE=5 BODY=8BITMIME SMTPUTF8"},
        {"FROM:<a> BODY=7BIT", "<a> BODY=7BIT"},
        {"FROM:<@x,@y:a@b>", "<a@b>"},
        {"FROM:<\"a> SIZE=1\"@b>", "<\"a> SIZE=1\"@b>"},
        {"FROM:<j\xc3\xb6rg@x> SMTPUTF8", "<j\xc3\xb6rg@x> SMTPUTF8"},
        {"FROM:<a> xlmtpq=Ab-_9.c SIZE=1", "<a> SIZE=1 XLMTPQ=Ab-_9.c"},
        {"FROM:<a> XLMTPQ=a,b,c", "<a> XLMTPQ=a,b,c"},
    };
    for (const auto& [argument, line] : rows) {
      check(line, mail(argument), argument);
    }
  }

  void refusesAnInvalidMail() {  // trap: null-sender
    for (const char* argument :
         {"", "FROM", "FROM:", "FROM:a@b", "FROM<a@b>", "TO:<a@b>", "FROM:<a@b", "FROM:<<>>",
          "FROM:< >", "FROM:<a b>", "FROM:<a@b>SIZE=5", "FROM:<a@b>\tSIZE=5", "FROM:<a@b>>",
          "XFROM:<a>", "FROM::<a>", "FROM:<a\r@b>", "FROM:<a@b>\r", "FROM:<a\x01>"}) {
      check("553 5.1.7", mail(argument), argument);
    }
    CPPUNIT_ASSERT(mail(std::string_view("FROM:<a\0b>", 10)) == "553 5.1.7");
    CPPUNIT_ASSERT(mail("FROM:<" + std::string(1025, 'x') + ">") == "553 5.1.7");
  }

  void refusesAnUnknownMailParameter() {
    for (const char* argument : {"FROM:<a> SIZE",
                                 "FROM:<a> SIZE=",
                                 "FROM:<a> SIZE=x",
                                 "FROM:<a> SIZE=-1",
                                 "FROM:<a> SIZE=+1",
                                 "FROM:<a> SIZE=1.5",
                                 "FROM:<a> SIZE=999999999999999999999",
                                 "FROM:<a> SIZE =5",
                                 "FROM:<a> BODY",
                                 "FROM:<a> BODY=",
                                 "FROM:<a> BODY=BINARYMIME",
                                 "FROM:<a> SMTPUTF8=1",
                                 "FROM:<a> RET=HDRS",
                                 "FROM:<a> SIZE=1,BODY=7BIT",
                                 "FROM:<a> SIZE=1\tBODY=7BIT",
                                 "FROM:<a> =",
                                 "FROM:<a> SIZE=1 x",
                                 "FROM:<a> XLMTPQ",
                                 "FROM:<a> XLMTPQ=",
                                 "FROM:<a> XLMTPQ=a,",
                                 "FROM:<a> XLMTPQ=a=b",
                                 "FROM:<a> XLMTPQ=a XLMTPQ=b"}) {
      check("555 5.5.4", mail(argument), argument);
    }
  }

  void readsRcpt() {  // trap: command-spelling
    const std::pair<const char*, const char*> rows[] = {
        {"TO:<a@b>", "<a@b>"},         {"to: <a@b>", "<a@b>"},
        {"To :<a@b>", "<a@b>"},        {"TO:<alice>", "<alice>"},
        {"TO:<a+b.c@d>", "<a+b.c@d>"}, {"TO:<@r:a@b>", "<a@b>"},
        {"TO:<\"a b\">", "<\"a b\">"}, {"TO:<j\xc3\xb6rg>", "<j\xc3\xb6rg>"}};
    for (const auto& [argument, path] : rows) {
      check(path, rcpt(argument), argument);
    }
  }

  void readsIgnoreQuotaAtAnyPlace() {
    for (const char* argument :
         {"TO:<a> IGNOREQUOTA", "TO:<a> ignorequota", "TO:<a>   IgnoreQuota  ",
          "to: <a> IGNOREQUOTA\t", "TO:<a> IGNOREQUOTA ignorequota"}) {
      check("<a> IGNOREQUOTA", rcpt(argument), argument);
    }
    check("553 5.1.3", rcpt("TO:<a>IGNOREQUOTA"));
    check("553 5.1.3", rcpt("TO:<a>\tIGNOREQUOTA"));
    check("<\"a> IGNOREQUOTA\">", rcpt("TO:<\"a> IGNOREQUOTA\">"));
    const std::string line = rcpt_line(Mailbox::parse("a@b").value(), true);
    const std::string_view command = std::string_view(line).substr(0, line.size() - 2);
    check("<a@b> IGNOREQUOTA", rcpt(parse_command(command).argument));
  }

  void refusesAnInvalidRcpt() {
    for (const char* argument : {"", "TO", "TO:", "TO:<>", "TO:<<>>", "TO:a", "TO:<a", "FROM:<a>",
                                 "TO:<a>x", "TO:<a b>", "TO:<a\rb>", "TO:<a>\r", "TO:<a@>"}) {
      check("553 5.1.3", rcpt(argument), argument);
    }
    for (const char* argument :
         {"TO:<a> NOTIFY=NEVER", "TO:<a> ORCPT=rfc822;a", "TO:<a> IGNOREQUOTA=1",
          "TO:<a> IGNOREQUOTA=", "TO:<a> IGNOREQUOTAS", "TO:<a> IGNORE", "TO:<a> XIGNOREQUOTA",
          "TO:<a> IGNOREQUOTA NOTIFY=NEVER", "TO:<a> NOTIFY=NEVER IGNOREQUOTA",
          "TO:<a> IGNOREQUOTA\tIGNOREQUOTA", "TO:<a> IGNOREQUOTA\r"}) {
      check("555 5.5.4", rcpt(argument), argument);
    }
  }

  void readsEverySizeThatFits64Bits() {
    for (const char* size : {"0", "1", "18446744073709551615"}) {
      check(std::string("<a> SIZE=") + size, mail(std::string("FROM:<a> SIZE=") + size));
    }
    check("<a> SIZE=7", mail("FROM:<a> SIZE=007"));
    check("<a> SIZE=18446744073709551615", mail("FROM:<a> SIZE=99999999999999999999"));
  }

  void writesTheExactBytes() {
    const Mailbox a = Mailbox::parse("a@b").value();
    check("LHLO here\r\n", lhlo_line("here"));
    check("TRACE x.1\r\n", trace_line(TraceId::parse("x.1").value()));
    check("MAIL FROM:<a@b>\r\n", mail_line(a, BodyType::kUnstated, AddressCharset::kAscii, {}));
    check("MAIL FROM:<a@b> SIZE=0 BODY=8BITMIME SMTPUTF8\r\n",
          mail_line(a, BodyType::k8BitMime, AddressCharset::kUtf8, 0));
    check("MAIL FROM:<a@b> BODY=7BIT\r\n",
          mail_line(a, BodyType::k7Bit, AddressCharset::kAscii, {}));
  }

  void writesIgnoreQuotaAsTheLastBytesOfTheLine() {  // trap: ignorequota-ends-line
    const Mailbox a = Mailbox::parse("a@b").value();
    check("RCPT TO:<a@b> IGNOREQUOTA\r\n", rcpt_line(a, true));
    check("RCPT TO:<a@b>\r\n", rcpt_line(a, false));
  }

  void aNullSenderIsWrittenAsEmptyBrackets() {  // trap: null-sender
    check("MAIL FROM:<>\r\n", mail_line({}, BodyType::kUnstated, AddressCharset::kAscii, {}));
  }

  void theLongestLinesStayUnderTheLimit() {  // trap: long-command
    const Mailbox longest = Mailbox::parse(std::string(Mailbox::kMaxLength, 'x')).value();
    const TraceId id = TraceId::parse(std::string(TraceId::kMaxLength, 'x')).value();
    Hops hops;
    for (std::size_t i = 0; i < Hops::kMaxHops; ++i) {
      hops.add(std::string(64, 'x'));
    }
    CPPUNIT_ASSERT(Hops::parse(hops.text()));
    CPPUNIT_ASSERT(
        mail_line(longest, BodyType::k8BitMime, AddressCharset::kUtf8, UINT64_MAX, hops).size() <
        kMaxCommandLine);
    CPPUNIT_ASSERT(rcpt_line(longest, true).size() < kMaxCommandLine);
    CPPUNIT_ASSERT(trace_line(id).size() < kMaxCommandLine);
  }

  void aWrittenLineParsesToTheSameValues() {
    for (const char* text :
         {"a", "a@b", "\"a b\"@c", "\"a>\\\"\"@c", "j\xc3\xb6rg@x", "a@[192.0.2.1]"}) {
      const Mailbox mailbox = Mailbox::parse(text).value();
      const std::string line = rcpt_line(mailbox, false);
      const CommandLine command = parse_command(std::string_view(line).substr(0, line.size() - 2));
      CPPUNIT_ASSERT(command.verb == Verb::kRcpt);
      check(mailbox.path(), rcpt(command.argument));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CommandTest);
