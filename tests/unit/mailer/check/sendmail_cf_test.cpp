#include "mailer/check/sendmail_cf.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq::mailer;

namespace {

// The mailers that rules name, and + after that for local users.
std::string targets(std::string_view text) {
  std::string made;
  for (const CfTarget& target : SendmailCf::parse(text).targets) {
    made += std::to_string(target.number) + target.mailer + (target.is_local ? "+ " : " ");
  }
  return made;
}

}  // namespace

class SendmailCfTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(SendmailCfTest);
  CPPUNIT_TEST(findsTheMailersThatRulesName);
  CPPUNIT_TEST(findsTheMailerForLocalUsers);
  CPPUNIT_TEST(errorsAndMacrosAreNoMailers);
  CPPUNIT_TEST(theLastOptionOfANameCounts);
  CPPUNIT_TEST(linesThatSendmailRefusesAreKept);
  CPPUNIT_TEST(findsTheMailertable);
  CPPUNIT_TEST(wordsAreSeparatedByCommasSemicolonsAndBlanks);
  CPPUNIT_TEST_SUITE_END();

  void findsTheMailersThatRulesName() {
    CPPUNIT_ASSERT_EQUAL(std::string("1esmtp 2cyrusv2q 3cyrusv2 "),
                         targets("R$* < @$* > $*\t\t$#esmtp $@ $2 $: $1 < @ $2 > $3\tuser@host\n"
                                 "R$+ < @ notice.test $* >\t$#cyrusv2q $@ notice.test $: $1\n"
                                 "R$=L\t$# cyrusv2 $: @ $1\n"));
  }

  void findsTheMailerForLocalUsers() {
    const char* const text =
        "R$=L\t$#special $: @ $1\nR$+ < @ $=w . >\t$#other $: $1\nR$+ + *\t$#o $@ $&h $: $1\n"
        "R$+\t\t\t$#cyrusv2 $: $1\t\tregular local names\nR$+\t$#o $@ h $: $1\n";
    CPPUNIT_ASSERT_EQUAL(std::string("1special 2other 3o 4cyrusv2+ 5o "), targets(text));
    CPPUNIT_ASSERT_EQUAL(std::string("cyrusv2"), SendmailCf::parse(text).local_target()->mailer);
    CPPUNIT_ASSERT(SendmailCf::parse("").local_target() == nullptr);
  }

  void errorsAndMacrosAreNoMailers() {
    CPPUNIT_ASSERT_EQUAL(
        std::string(),
        targets("R<@>\t$#error $@ 5.1.3 $: \"553 x\"\nR$*\t$#discard $: d\n"
                "R< $+ > $*\t$#relay $@ $1 $: $2\nR<T>\t$#TEMP $@ 4.4.0 $: \"450 x\"\n"
                "R< $~[ : $+ > $*\t$# $1 $@ $2 $: $3\nR$+ $| $#$*\t$#$2\n"
                "R$* $| $#local\t$@ $1\nR$*\t$: $#local\nR\nR$+\nR\t\n"));
  }

  void theLastOptionOfANameCounts() {
    const auto cf = SendmailCf::parse(
        "O A=1\nO InputMailFilters = a\nO inputMailFilters=b, c \nO Bare\nOQ/x\n");
    CPPUNIT_ASSERT_EQUAL(std::string("b, c"), cf.option("InputMailFilters")->value);
    CPPUNIT_ASSERT_EQUAL(std::size_t(3), cf.option("InputMailFilters")->number);
    CPPUNIT_ASSERT(cf.option("Bare") == nullptr && cf.option("none") == nullptr);
    CPPUNIT_ASSERT_EQUAL(std::size_t(3), cf.options.size());
  }

  void linesThatSendmailRefusesAreKept() {
    const auto cf = SendmailCf::parse(
        "V10/Berkeley\n*** ERROR: no mailers cyrusv2 and cyrusv2q; m4 said why\nMAILER(`lmtpq')\n"
        "include(`/x')\nPfirst=0\nTroot\nKk hash /x\nLx\nQgroup, P=/q\nEA=b\nSparse\nHA: "
        "b\nC{c}d\nFw/x\nDjx\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t(2), cf.refused.size());
    CPPUNIT_ASSERT_EQUAL(std::size_t(2), cf.refused[0].number);
    CPPUNIT_ASSERT_EQUAL(std::size_t(4), cf.refused[1].number);
    CPPUNIT_ASSERT_EQUAL(std::size_t(1), SendmailCf::parse("Oa\n\n\t\n").refused.size());
  }

  void findsTheMailertable() {
    CPPUNIT_ASSERT(
        SendmailCf::parse("Kmailertable hash -o /etc/mail/mailertable\n").has_mailertable);
    CPPUNIT_ASSERT(!SendmailCf::parse("Kaccess hash /etc/mail/mailertable\n").has_mailertable);
  }

  void wordsAreSeparatedByCommasSemicolonsAndBlanks() {
    CPPUNIT_ASSERT(has_word("first;lmtpq, last", "lmtpq"));
    CPPUNIT_ASSERT(has_word(" LMTPQ ", "lmtpq"));
    CPPUNIT_ASSERT(!has_word("xlmtpq lmtpqx", "lmtpq"));
    CPPUNIT_ASSERT(!has_word("", "lmtpq"));
    for (const char* const word : {"i", "{x}"}) {
      CPPUNIT_ASSERT(has_word(", ;i,\t{x};", word));
    }
    CPPUNIT_ASSERT(!has_word(", ;i,\t{x};", ""));
  }
};
CPPUNIT_TEST_SUITE_REGISTRATION(SendmailCfTest);
