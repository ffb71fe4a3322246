#include "common/options/option_reader.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/unit/common/scratch_file.h"

using lmtpq::ConfigError;
using lmtpq::Option;
using lmtpq::OptionReader;
using lmtpq::OptionTable;

namespace {

using Words = std::vector<std::string>;

// The values that the readers got.
std::map<std::string, std::string> g_read;

Option option(char letter, const std::string& name, const std::string& argument,
              const std::string& fallback = "", const std::string& implicit = "") {
  Option made;
  made.letter = letter;
  made.name = name;
  made.argument = argument;
  made.fallback = fallback;
  made.implicit = implicit;
  made.heading = "General";
  made.help = "What " + name + " does";
  made.read = [name](std::string_view text) { g_read[name] = text; };
  return made;
}

OptionReader make_options() {
  OptionTable table = {option('Q', "ignore-quota", "WHEN", "tagged", "always"),
                       option('d', "to", "DEST"),
                       option('f', "from", "SENDER"),
                       option('\0', "connect-timeout", "TIME", "30s"),
                       option('v', "verbose", ""),
                       option('\0', "config", "FILE"),
                       option('\0', "tag.keys", "FILE")};
  table[0].read = [](std::string_view text) {
    if (text != "always" && text != "tagged" && text != "never") {
      throw ConfigError("expected one of always, tagged, never");
    }
    g_read["ignore-quota"] = text;
  };
  table[3].read = [](std::string_view text) {
    lmtpq::parse_duration(text);
    g_read["connect-timeout"] = text;
  };
  table[4].read = [](std::string_view text) {
    g_read["verbose"] = lmtpq::parse_switch(text) ? "on" : "off";
  };
  table[5].place = lmtpq::OptionPlace::kArgumentsOnly;
  return OptionReader(std::move(table), {}, {"program --help", "program.conf(5)"});
}

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string argument_error(const Words& arguments) {
  return error_of([&] {
    OptionReader options = make_options();
    options.take_arguments(arguments);
    options.apply();
  });
}

std::string text_error(std::string_view text) {
  return error_of([&] {
    OptionReader options = make_options();
    options.take_text(text, "lmtpq.conf");
    options.apply();
  });
}

}  // namespace

class OptionReaderTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(OptionReaderTest);
  CPPUNIT_TEST(everyFormOfAnOptionIsUnderstood);
  CPPUNIT_TEST(aWordAfterABareOptionIsAnOperand);
  CPPUNIT_TEST(aValueAfterABareOptionIsAnError);
  CPPUNIT_TEST(optionsMayComeBeforeAndAfterOperands);
  CPPUNIT_TEST(twoDashesEndTheOptions);
  CPPUNIT_TEST(lastOneOfRepeatedOptionsCounts);
  CPPUNIT_TEST(errorsInArgumentsNameTheOption);
  CPPUNIT_TEST(prefixOfAnOptionIsUnknown);
  CPPUNIT_TEST(nothingIsReadBeforeApply);
  CPPUNIT_TEST(argumentsOverrideTheFileAndTheFileOverridesDefaults);
  CPPUNIT_TEST(effectiveListsWhatWasApplied);
  CPPUNIT_TEST(hashInsideAValueIsKept);
  CPPUNIT_TEST(commentsAndEmptyLinesAreSkipped);
  CPPUNIT_TEST(errorsInTheFileNameTheLine);
  CPPUNIT_TEST(sectionPrefixesItsKeys);
  CPPUNIT_TEST(missingFileIsAnErrorOnlyWhereItMustExist);
  CPPUNIT_TEST(unreadableFileIsAlwaysAnError);
  CPPUNIT_TEST(errorsCanBeCollected);
  CPPUNIT_TEST(everyErrorIsOneLine);
  CPPUNIT_TEST(helpShowsEveryOptionWithin80Columns);
  CPPUNIT_TEST_SUITE_END();

 public:
  OptionReaderTest() : ScratchFileFixture("conf") {}
  void setUp() override {
    ScratchFileFixture::setUp();
    g_read.clear();
  }

 private:
  void everyFormOfAnOptionIsUnderstood() {
    const struct {
      Words arguments;
      std::string name;
      std::string value;
    } cases[] = {{{"-Q"}, "ignore-quota", "always"},
                 {{"-Qnever"}, "ignore-quota", "never"},
                 {{"-Q=never"}, "ignore-quota", "never"},
                 {{"--ignore-quota"}, "ignore-quota", "always"},
                 {{"--ignore-quota=never"}, "ignore-quota", "never"},
                 {{"-d", "unix:/a=b"}, "to", "unix:/a=b"},
                 {{"-dunix:/a"}, "to", "unix:/a"},
                 {{"-d=unix:/a"}, "to", "unix:/a"},
                 {{"-d", "=x"}, "to", "=x"},
                 {{"--to", "inet:[::1]:24"}, "to", "inet:[::1]:24"},
                 {{"--to=inet:[::1]:24"}, "to", "inet:[::1]:24"},
                 {{"--to=a=b#c;d"}, "to", "a=b#c;d"},
                 {{"-f", ""}, "from", ""},
                 {{"-f", "<>"}, "from", "<>"},
                 {{"-f", "-Qx@y"}, "from", "-Qx@y"},
                 {{"-f", "--verbose"}, "from", "--verbose"},
                 {{"-f=-Q"}, "from", "-Q"},
                 {{"--verbose"}, "verbose", "on"},
                 {{"-v"}, "verbose", "on"},
                 {{"--verbose=no"}, "verbose", "off"}};
    for (const auto& row : cases) {
      g_read.clear();
      OptionReader options = make_options();
      CPPUNIT_ASSERT(options.take_arguments(row.arguments).empty());
      CPPUNIT_ASSERT(options.named_in_arguments(row.name));
      options.apply();
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.arguments[0], row.value, g_read.at(row.name));
    }
  }

  void aWordAfterABareOptionIsAnOperand() {
    OptionReader options = make_options();
    const Words operands = options.take_arguments({"-Q", "inet:[::1]:24", "--verbose", "host"});
    CPPUNIT_ASSERT(operands == (Words{"inet:[::1]:24", "host"}));
    CPPUNIT_ASSERT_EQUAL(std::string("always"), options.argument_or_default("ignore-quota"));
    CPPUNIT_ASSERT_EQUAL(std::string("yes"), options.argument_or_default("verbose"));
    CPPUNIT_ASSERT(make_options().take_arguments({"-Q", "", "-v", "--", "-d"}) ==
                   (Words{"", "-d"}));
  }

  void aValueAfterABareOptionIsAnError() {
    CPPUNIT_ASSERT_EQUAL(std::string("--ignore-quota never: write --ignore-quota=never"),
                         error_of([] {
                           make_options().take_arguments({"-Q", "never", "inet:h"});
                         }));
  }

  void optionsMayComeBeforeAndAfterOperands() {
    OptionReader options = make_options();
    const Words operands = options.take_arguments(
        {"one", "--connect-timeout", "5s", "unix:/s", "-v", "", "-", "inet:h:24", "-Q"});
    CPPUNIT_ASSERT(operands == (Words{"one", "unix:/s", "", "-", "inet:h:24"}));
    CPPUNIT_ASSERT_EQUAL(std::string("5s"), options.argument_or_default("connect-timeout"));
  }

  void twoDashesEndTheOptions() {
    OptionReader options = make_options();
    const Words operands = options.take_arguments({"-v", "--", "-Q", "--nonsense", "--", "a"});
    CPPUNIT_ASSERT(operands == (Words{"-Q", "--nonsense", "--", "a"}));
    CPPUNIT_ASSERT(!options.named_in_arguments("ignore-quota"));
  }

  void lastOneOfRepeatedOptionsCounts() {
    OptionReader options = make_options();
    options.take_arguments({"-Q", "--to=a", "-Qnever", "--to=b"});
    CPPUNIT_ASSERT_EQUAL(std::string("never"), options.argument_or_default("ignore-quota"));
    options.take_text("connect-timeout = 1s\nconnect-timeout = 2s\n", "f");
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string("b"), g_read.at("to"));
    CPPUNIT_ASSERT_EQUAL(std::string("2s"), g_read.at("connect-timeout"));
  }

  void errorsInArgumentsNameTheOption() {
    const struct {
      Words arguments;
      const char* error;
    } cases[] = {
        {{"--conect-timeout", "5"},
         "unknown option --conect-timeout; did you mean --connect-timeout?"},
        {{"--conect-timeout=5"},
         "unknown option --conect-timeout; did you mean --connect-timeout?"},
        {{"--nothing-like-it"}, "unknown option --nothing-like-it; see program --help"},
        {{"-Z"}, "unknown option -Z; see program --help"},
        {{"-Zvalue"}, "unknown option -Z; see program --help"},
        {{"--connect-timeout", "5x"},
         "--connect-timeout: \"5x\": expected a time such as 30s, 5m or 1h, 5200w at most"},
        {{"--verbose=perhaps"}, "--verbose: \"perhaps\": expected yes or no"},
        {{"--to"}, "--to: a value is missing; see program --help"},
        {{"-d"}, "--to: a value is missing; see program --help"},
        {{"-d", "-Q"}, "--to: a value is missing; see program --help"},
        {{"--=x"}, "unknown option --=x; see program --help"},
        {{"---"}, "unknown option ---; see program --help"},
        {{"--conect-timeout="}, "unknown option --conect-timeout; did you mean --connect-timeout?"},
        {{"--\xff\t="}, "unknown option --\\xff\\t; see program --help"}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.error), argument_error(row.arguments));
    }
  }

  void prefixOfAnOptionIsUnknown() {
    CPPUNIT_ASSERT_EQUAL(std::string("unknown option --connect; did you mean --connect-timeout?"),
                         argument_error({"--connect", "5"}));
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq.conf:1: unknown option conn; did you mean "
                                     "connect-timeout?"),
                         text_error("conn = 5"));
  }

  void nothingIsReadBeforeApply() {
    OptionReader options = make_options();
    options.take_arguments({"-Q"});
    options.take_text("to = a\n", "f");
    CPPUNIT_ASSERT(g_read.empty());
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, g_read.size());  // and the default of connect-timeout
  }

  void argumentsOverrideTheFileAndTheFileOverridesDefaults() {
    OptionReader options = make_options();
    options.take_arguments({"--to", "argued"});
    options.take_text("to = filed\nignore-quota = never\n", "f");
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string("argued"), g_read.at("to"));
    CPPUNIT_ASSERT_EQUAL(std::string("never"), g_read.at("ignore-quota"));
    CPPUNIT_ASSERT_EQUAL(std::string("30s"), g_read.at("connect-timeout"));
    CPPUNIT_ASSERT(!g_read.contains("from"));
    CPPUNIT_ASSERT(!options.named_in_arguments("ignore-quota"));
    CPPUNIT_ASSERT_EQUAL(std::string("tagged"), options.argument_or_default("ignore-quota"));
  }

  void effectiveListsWhatWasApplied() {
    OptionReader options = make_options();
    options.take_arguments({"-v", "-f", "a"});
    options.apply();
    const std::vector<std::pair<std::string, std::string>> expected = {
        {"ignore-quota", "tagged"}, {"from", "a"}, {"connect-timeout", "30s"}, {"verbose", "yes"}};
    CPPUNIT_ASSERT(expected == options.effective());
  }

  void hashInsideAValueIsKept() {
    const struct {
      const char* line;
      const char* value;
    } cases[] = {{"to = unix:/a#b", "unix:/a#b"},
                 {"to=#", "#"},
                 {"to = a #42 b ; c", "a #42 b ; c"},
                 {"to = a=b", "a=b"},
                 {"\tto =\ta \r", "a"},
                 {"to =", ""},
                 {"to = \"a b\"", "\"a b\""}};
    for (const auto& row : cases) {
      OptionReader options = make_options();
      options.take_text(row.line, "f");
      options.apply();
      CPPUNIT_ASSERT_EQUAL_MESSAGE(row.line, std::string(row.value), g_read.at("to"));
    }
  }

  void commentsAndEmptyLinesAreSkipped() {
    CPPUNIT_ASSERT_EQUAL(std::string("no error"),
                         text_error("# a\n; b\n\n  # c = d\n \t; e\n\r\n   \nto = x"));
  }

  void errorsInTheFileNameTheLine() {
    const struct {
      std::string_view text;
      const char* error;
    } cases[] = {{"\n# c\nconect-timeout = 5\n",
                  "lmtpq.conf:3: unknown option conect-timeout; did you mean connect-timeout?"},
                 {"to = a\nconnect-timeout = 5x\n",
                  "lmtpq.conf:2: connect-timeout: \"5x\": expected a time "
                  "such as 30s, 5m or 1h, 5200w at most"},
                 {"to\n", "lmtpq.conf:1: to: expected name = value"},
                 {"to a\n", "lmtpq.conf:1: to: expected name = value"},
                 {"to a = b\n", "lmtpq.conf:1: to: expected name = value"},
                 {"to bob:S3cret\n", "lmtpq.conf:1: to: expected name = value"},
                 {"c2VjcmV0MTE=\n", "lmtpq.conf:1: unknown option; see program.conf(5)"},
                 {"S3cret=Pw\n", "lmtpq.conf:1: unknown option; see program.conf(5)"},
                 {"store user:secret\n", "lmtpq.conf:1: expected name = value"},
                 {"id c2VjcmV0==\n", "lmtpq.conf:1: expected name = value"},
                 {"= a\n", "lmtpq.conf:1: expected name = value"},
                 {"config = x\n", "lmtpq.conf:1: config: allowed on the command line only"},
                 {"confi = x\n", "lmtpq.conf:1: unknown option confi; see program.conf(5)"},
                 {"to = a # b\n", "lmtpq.conf:1: to: put the comment on a separate line"},
                 {"to = a #\n", "lmtpq.conf:1: to: put the comment on a separate line"},
                 {"[rules]\nto = a\n", "lmtpq.conf:1: unknown section [rules]"},
                 {"[tag\n", "lmtpq.conf:1: expected [name], not [tag"},
                 {"[\n", "lmtpq.conf:1: expected [name], not ["},
                 {"[]\n", "lmtpq.conf:1: expected [name], not []"},
                 {{"to = a\nto = a\0b\n", 16}, "lmtpq.conf:2: a control character; remove it"},
                 {"to = a\rb\n", "lmtpq.conf:1: a control character; remove it"},
                 {"to = a\x01z\n", "lmtpq.conf:1: a control character; remove it"}};
    for (const auto& row : cases) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.error), text_error(row.text));
    }
  }

  void sectionPrefixesItsKeys() {
    OptionReader options = make_options();
    options.take_text("to = a\n[tag]\nkeys = /k#1\n", "f");
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string("/k#1"), g_read.at("tag.keys"));
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq.conf:2: unknown option tag.to; see program.conf(5)"),
                         text_error("[tag]\nto = a\n"));
  }

  void missingFileIsAnErrorOnlyWhereItMustExist() {
    OptionReader options = make_options();
    options.take_file(file_, false);
    CPPUNIT_ASSERT_EQUAL(
        file_ + ": No such file or directory; create it, or name another by --config",
        error_of([&] { options.take_file(file_, true); }));
    std::ofstream(file_) << "to = a\ninvalid\n";
    CPPUNIT_ASSERT_EQUAL(file_ + ":2: expected name = value",
                         error_of([&] { options.take_file(file_, false); }));
    std::ofstream(file_) << "to = b";
    options.take_file(file_, true);
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string("b"), g_read.at("to"));
  }

  void unreadableFileIsAlwaysAnError() {
    OptionReader options = make_options();
    CPPUNIT_ASSERT_EQUAL(folder_ + ": Is a directory",
                         error_of([&] { options.take_file(folder_, false); }));
    CPPUNIT_ASSERT_EQUAL(std::string("/dev/zero: larger than 1 MiB"),
                         error_of([&] { options.take_file("/dev/zero", false); }));
    const std::string most((std::size_t{1} << 20) - 1, '#');
    std::ofstream(file_) << most << '\n';
    options.take_file(file_, true);
    std::ofstream(file_) << most << "\n\n";
    CPPUNIT_ASSERT_EQUAL(file_ + ": larger than 1 MiB",
                         error_of([&] { options.take_file(file_, true); }));
    std::ofstream(file_) << "to = a\n";
    CPPUNIT_ASSERT_EQUAL(file_ + "/x: Not a directory",
                         error_of([&] { options.take_file(file_ + "/x", false); }));
    // Root may read anything, so the check runs as a user without rights.
    chmod(file_.c_str(), 0);
    chmod(folder_.c_str(), 0755);
    const bool root = geteuid() == 0;
    if (root) {
      CPPUNIT_ASSERT_EQUAL(0, seteuid(65534));
    }
    const std::string error = error_of([&] { options.take_file(file_, false); });
    if (root) {
      CPPUNIT_ASSERT_EQUAL(0, seteuid(0));
    }
    CPPUNIT_ASSERT_MESSAGE(error, error.starts_with(file_ + ": Permission denied as user "));
    CPPUNIT_ASSERT_MESSAGE(error, error.ends_with("; chmod 644 it, or chmod 755 its folder"));
  }

  void errorsCanBeCollected() {
    lmtpq::Findings findings;
    OptionReader options = make_options();
    options.collect_errors(&findings);
    options.take_text(
        "no-option = 1\nto = a\n[no-section]\nfrom = b\n[tag]\nkeys = k\nno-key = 1\n", "file");
    options.take_arguments({"-Qsometimes", "--connect-timeout=soon"});
    g_read.clear();
    options.apply();
    // Two lines, one section, two values; the lines of that section do not count.
    CPPUNIT_ASSERT_EQUAL(std::string("5 errors"), findings.summary());
    CPPUNIT_ASSERT_EQUAL(std::string("a"), g_read.at("to"));
    CPPUNIT_ASSERT_EQUAL(std::string("k"), g_read.at("tag.keys"));
    CPPUNIT_ASSERT_EQUAL(std::string("tagged"), g_read.at("ignore-quota"));
    CPPUNIT_ASSERT_EQUAL(std::string("30s"), g_read.at("connect-timeout"));
    CPPUNIT_ASSERT(!g_read.contains("from"));
  }

  void everyErrorIsOneLine() {
    CPPUNIT_ASSERT_EQUAL(std::string("unknown option --a\\nb; see program --help"),
                         argument_error({"--a\nb"}));
    CPPUNIT_ASSERT_EQUAL(std::string("--verbose: \"\\x1b\\n\": expected yes or no"),
                         argument_error({"--verbose=\x1b\n"}));
    CPPUNIT_ASSERT_EQUAL(std::string("lmtpq.conf:1: unknown option; see program.conf(5)"),
                         text_error("\xff = 1"));
  }

  void helpShowsEveryOptionWithin80Columns() {
    OptionTable table = {option('Q', "ignore-quota", "WHEN", "tagged", "always"),
                         option('\0', "an-option-with-a-rather-long-name", "VALUE"),
                         option('v', "verbose", "", "no"), option('\0', "wide", "X", "1")};
    table[1].heading = "Other";
    table[3].help = "One long sentence that goes on and on until no line of a terminal holds it";
    const std::string expected =
        "General:\n"
        "  -Q, --ignore-quota[=WHEN]   What ignore-quota does (default: tagged)\n"
        "  -v, --verbose               What verbose does\n"
        "      --wide X                One long sentence that goes on and on until no\n"
        "                              line of a terminal holds it (default: 1)\n"
        "\n"
        "Other:\n"
        "      --an-option-with-a-rather-long-name VALUE\n"
        "                              What an-option-with-a-rather-long-name does\n";
    CPPUNIT_ASSERT_EQUAL(expected, OptionReader(table).help(lmtpq::HelpWish::kAll));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OptionReaderTest);
