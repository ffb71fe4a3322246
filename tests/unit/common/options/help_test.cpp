#include <cppunit/extensions/HelperMacros.h>

#include "common/options/option_reader.h"
#include "common/options/option_table.h"

using namespace lmtpq;

namespace {

OptionTable a_table() {
  return {with_letter('d', value("to", "DEST", "", "Where", nullptr)),
          with_letter(
              'Q', bare_means("always", value("ignore-quota", "WHEN", "tagged", "Whose", nullptr))),
          with_letter('v', value("verbose", "", "", "More", nullptr))};
}

}  // namespace

class HelpTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(HelpTest);
  CPPUNIT_TEST(usualHelpShowsTheMarkedOptions);
  CPPUNIT_TEST(withoutMarksAllOptionsAreUsual);
  CPPUNIT_TEST(helpIsWishedForAnywhereButInAValue);
  CPPUNIT_TEST(theTableIsMadeOnlyForAWish);
  CPPUNIT_TEST_SUITE_END();

  void usualHelpShowsTheMarkedOptions() {
    OptionTable table = a_table();
    mark_usual(table, {"verbose", "ignore-quota"});
    CPPUNIT_ASSERT_EQUAL(std::string("The usual options:\n"
                                     "  -Q, --ignore-quota[=WHEN]   Whose (default: tagged)\n"
                                     "  -v, --verbose               More\n"
                                     "\n"
                                     "All 3 options: program --help=all\n"),
                         OptionReader(table, {}, {"program --help", ""}).help(HelpWish::kUsual));
  }

  void withoutMarksAllOptionsAreUsual() {
    const OptionReader options(a_table());
    CPPUNIT_ASSERT_EQUAL(options.help(HelpWish::kAll), options.help(HelpWish::kUsual));
    CPPUNIT_ASSERT(options.help(HelpWish::kUsual).find("--to DEST") != std::string::npos);
  }

  // A value that looks like the wish for help must not end the program with exit status 0.
  void helpIsWishedForAnywhereButInAValue() {
    const struct {
      std::vector<std::string> arguments;
      HelpWish wish;
    } rows[] = {{{}, HelpWish::kNone},
                {{"a", "-v", "b"}, HelpWish::kNone},
                {{"-h"}, HelpWish::kUsual},
                {{"--help"}, HelpWish::kUsual},
                {{"--help=all"}, HelpWish::kAll},
                {{"--help=some"}, HelpWish::kNone},
                {{"a", "--unknown", "-h"}, HelpWish::kUsual},
                {{"--to=x", "a", "--help"}, HelpWish::kUsual},
                {{"-dx", "--help"}, HelpWish::kUsual},
                {{"-v", "--help=all"}, HelpWish::kAll},
                {{"-Q", "-h"}, HelpWish::kUsual},
                {{"--to", "--help"}, HelpWish::kNone},
                {{"-d", "-h"}, HelpWish::kNone},
                {{"-d", "-h", "-h"}, HelpWish::kUsual},
                {{"-h", "-d"}, HelpWish::kUsual},
                {{"--to=--help"}, HelpWish::kNone},
                {{"-d--help"}, HelpWish::kNone},
                {{"--", "--help"}, HelpWish::kNone},
                {{"-d", "--", "--help"}, HelpWish::kUsual}};
    for (const auto& row : rows) {
      std::string shown;
      for (const std::string& word : row.arguments) {
        shown += word + ' ';
      }
      CPPUNIT_ASSERT_MESSAGE(shown, row.wish == wished_help(row.arguments, a_table));
    }
  }

  void theTableIsMadeOnlyForAWish() {
    CPPUNIT_ASSERT(HelpWish::kNone == wished_help({"-d", "x", "help"}, [] {
                     CPPUNIT_FAIL("made");
                     return OptionTable();
                   }));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HelpTest);
