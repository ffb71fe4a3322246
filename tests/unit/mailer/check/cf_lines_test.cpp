#include "mailer/check/cf_lines.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;

namespace {

// NUMBER:TEXT| of each line.
std::string lines(std::string_view text) {
  std::string made;
  for (const CfLine& line : cf_lines(text)) {
    made += std::to_string(line.number) + ':' + line.text + '|';
  }
  return made;
}

CfEntry entry(const std::string& text) { return parse_entry({1, text}); }

}  // namespace

class CfLinesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CfLinesTest);
  CPPUNIT_TEST(aLineThatBeginsWithABlankContinuesTheOneBefore);
  CPPUNIT_TEST(afterAnEmptyLineNothingIsContinued);
  CPPUNIT_TEST(commentsAndEmptyLinesAreLeftOut);
  CPPUNIT_TEST(aNumberSignAfterADollarOrABackslashBeginsNoComment);
  CPPUNIT_TEST(anEntryHasItsNameAndFields);
  CPPUNIT_TEST(quotesAndBackslashesProtectACommaOfAValue);
  CPPUNIT_TEST(anEntryEndsWhereSendmailReadsNoFurther);
  CPPUNIT_TEST_SUITE_END();

  void aLineThatBeginsWithABlankContinuesTheOneBefore() {
    CPPUNIT_ASSERT_EQUAL(std::string("1:Ma, P=/x,\tA=b c|4:Oz|"),
                         lines("Ma, P=/x,\n\tA=b\n c\nOz"));
    CPPUNIT_ASSERT_EQUAL(std::string("1:Ma|2:Ob|"), lines("Ma\r\nOb\r\n"));
  }

  void afterAnEmptyLineNothingIsContinued() {
    CPPUNIT_ASSERT_EQUAL(std::string("1: a|"), lines(" a\n"));
    CPPUNIT_ASSERT_EQUAL(std::string("1:Ma|3:\t|"), lines("Ma\n\n\t\n\n"));
  }

  void commentsAndEmptyLinesAreLeftOut() {
    CPPUNIT_ASSERT_EQUAL(std::string("4:Ma|6:Ob|"), lines("# c\n continued\n\nMa # c\n#\nOb\t# c"));
    CPPUNIT_ASSERT_EQUAL(std::string("1:Ma d|"), lines("Ma # c\n d\n"));
    CPPUNIT_ASSERT_EQUAL(std::string(), lines(""));
    CPPUNIT_ASSERT_EQUAL(std::string(), lines("\n\n#"));
  }

  void aNumberSignAfterADollarOrABackslashBeginsNoComment() {
    CPPUNIT_ASSERT_EQUAL(std::string("1:R$+\t$#local $: $1|"), lines("R$+\t$#local $: $1 # c # d"));
    CPPUNIT_ASSERT_EQUAL(std::string("1:Da\\#b|"), lines("Da\\#b#c"));
  }

  void anEntryHasItsNameAndFields() {
    const CfEntry mailer =
        entry("Mcyrusv2,\tP=/usr/bin/lmtpq, F=lsz|, U=cyrus:mail,\tA=lmtpq relay unix:/run/x ");
    CPPUNIT_ASSERT_EQUAL(std::string("cyrusv2"), mailer.name);
    CPPUNIT_ASSERT_EQUAL(std::string("/usr/bin/lmtpq"), mailer.field('P'));
    CPPUNIT_ASSERT_EQUAL(std::string("lsz|"), mailer.field('F'));
    CPPUNIT_ASSERT_EQUAL(std::string("cyrus:mail"), mailer.field('U'));
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq relay unix:/run/x"), mailer.field('A'));
    CPPUNIT_ASSERT(!mailer.has('W') && mailer.field('W').empty());
    CPPUNIT_ASSERT_EQUAL(std::string("C:5s;S:5s"),
                         entry("Xlmtpq, S=unix:/a, T=C:5s;S:5s").field('T'));
    CPPUNIT_ASSERT_EQUAL(std::string("/x"), entry("Ma Path=/x").field('P'));
  }

  void quotesAndBackslashesProtectACommaOfAValue() {
    CPPUNIT_ASSERT_EQUAL(std::string("a,b"), entry("Mx, A=\"a,b\", F=z").field('A'));
    CPPUNIT_ASSERT_EQUAL(std::string("a,b"), entry("Mx, A=a\\,b, F=z").field('A'));
    CPPUNIT_ASSERT_EQUAL(std::string("z"), entry("Mx, A=\"a,b\", F=z").field('F'));
    CPPUNIT_ASSERT_EQUAL(std::string("a, F=z"), entry("Mx, A=\"a, F=z").field('A'));
  }

  void anEntryEndsWhereSendmailReadsNoFurther() {
    CPPUNIT_ASSERT(entry("M").name.empty());
    CPPUNIT_ASSERT(entry("Mx").fields.empty());
    CPPUNIT_ASSERT(entry("Mx, P, A=b").fields.empty());
    CPPUNIT_ASSERT(entry("Mx, =").fields.contains('='));
    CPPUNIT_ASSERT_EQUAL(std::string("b"), entry("Mx, A=b, F").field('A'));
  }
};
CPPUNIT_TEST_SUITE_REGISTRATION(CfLinesTest);
