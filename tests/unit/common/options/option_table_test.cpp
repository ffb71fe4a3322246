#include "common/options/option_table.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace lmtpq;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

// The error of a reader for a text; empty when it accepts it.
std::string complaint(const Reader& reader, std::string_view text) {
  try {
    reader(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

enum class Fruit { kApple, kPear };

}  // namespace

class OptionTableTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OptionTableTest);
  CPPUNIT_TEST(readersStoreTheValue);
  CPPUNIT_TEST(aRefusedValueLeavesTheOldOne);
  CPPUNIT_TEST(numbersKeepWithinTheirLimits);
  CPPUNIT_TEST(aLogPlaceIsAWordOrAnAbsolutePath);
  CPPUNIT_TEST(listsAreSeparatedByCommasAndBlanks);
  CPPUNIT_TEST(buildersSetTheFieldsOfAnOption);
  CPPUNIT_TEST(tablesKeepTheirOrder);
  CPPUNIT_TEST(advancedOptionsComeLastInTheHelp);
  CPPUNIT_TEST(optionsOfAnotherCommandAreForTheFileOnly);
  CPPUNIT_TEST_SUITE_END();

  void readersStoreTheValue() {
    std::string text = "old";
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(reader::text(text), " any # text "));
    CPPUNIT_ASSERT_EQUAL(std::string(" any # text "), text);
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(reader::text(text), ""));
    CPPUNIT_ASSERT_EQUAL(std::string(), text);
    std::chrono::milliseconds time = 1s;
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(reader::duration(time), "0s"));
    CPPUNIT_ASSERT(time == 0s);
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(reader::positive_duration(time), "7d"));
    CPPUNIT_ASSERT(time == 168h);
    bool yes = false;
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(reader::boolean(yes), "yes"));
    CPPUNIT_ASSERT(yes);
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(reader::boolean(yes), "off"));
    CPPUNIT_ASSERT(!yes);
    Fruit fruit = Fruit::kApple;
    const auto choice = reader::choice(fruit, {{"apple", Fruit::kApple}, {"pear", Fruit::kPear}});
    CPPUNIT_ASSERT_EQUAL(std::string(), complaint(choice, "pear"));
    CPPUNIT_ASSERT(fruit == Fruit::kPear);
  }

  void aRefusedValueLeavesTheOldOne() {
    std::chrono::milliseconds time = 1s;
    bool yes = true;
    int number = 7;
    std::string place = "syslog";
    Fruit fruit = Fruit::kPear;
    const struct {
      Reader reader;
      std::string_view text;
      const char* expected;
    } rows[] = {
        {reader::duration(time), "soon", "expected a time such as 30s"},
        {reader::duration(time), "", "expected a time such as 30s"},
        {reader::positive_duration(time), "5x", "expected a time such as 30s"},
        {reader::boolean(yes), "maybe", "expected yes or no"},
        {reader::boolean(yes), "", "expected yes or no"},
        {reader::number(number, 1, 9), "10", "expected a number from 1 to 9"},
        {reader::number(number, 1, 9), "x", "expected a number from 1 to 9"},
        {reader::log_place(place), "file", "expected syslog, stderr or a path"},
        {reader::choice(fruit, {{"apple", Fruit::kApple}, {"pear", Fruit::kPear}}), "Apple",
         "expected one of apple, pear"},
        {reader::choice(fruit, {{"apple", Fruit::kApple}}), "", "expected one of apple"},
    };
    for (const auto& row : rows) {
      const std::string said = complaint(row.reader, row.text);
      CPPUNIT_ASSERT_MESSAGE(row.expected + (": " + said), said.starts_with(row.expected));
    }
    CPPUNIT_ASSERT(time == 1s && yes && number == 7 && place == "syslog" && fruit == Fruit::kPear);
    CPPUNIT_ASSERT_EQUAL(std::string("expected more than 0s"),
                         complaint(reader::positive_duration(time), "0"));
  }

  void numbersKeepWithinTheirLimits() {
    std::uint16_t small = 0;
    const Reader port = reader::number(small, 1, 65535);
    for (const auto& [text, value] :
         {std::pair("1", 1), std::pair("65535", 65535), std::pair("1k", 1024)}) {
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(port, text));
      CPPUNIT_ASSERT_EQUAL(value, static_cast<int>(small));
    }
    for (const char* const text :
         {"0", "65536", "65537", "64k", "-1", "+1", "1.5", "99999999999999999999", " 1", ""}) {
      CPPUNIT_ASSERT_MESSAGE(text, !complaint(port, text).empty());
      CPPUNIT_ASSERT_EQUAL_MESSAGE(text, 1024, static_cast<int>(small));
    }
  }

  void aLogPlaceIsAWordOrAnAbsolutePath() {
    std::string place;
    const Reader log_place = reader::log_place(place);
    for (const std::string good : {"syslog", "stderr", "/var/log/x", "/"}) {
      CPPUNIT_ASSERT_EQUAL(std::string(), complaint(log_place, good));
      CPPUNIT_ASSERT_EQUAL(good, place);
    }
    for (const char* const bad : {"", "Syslog", "syslog ", "log/x", "./x", " /x"}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          bad, std::string("expected syslog, stderr or a path that begins with /"),
          complaint(log_place, bad));
    }
  }

  void listsAreSeparatedByCommasAndBlanks() {
    const struct {
      const char* text;
      Texts expected;
    } rows[] = {{"", {}},
                {" ", {}},
                {",, ,\t", {}},
                {"a", {"a"}},
                {"a b", {"a", "b"}},
                {"a,b", {"a", "b"}},
                {"a\tb", {"a", "b"}},
                {" a ,\t b,", {"a", "b"}},
                {"a;b a", {"a;b", "a"}},
                {"cyrusv2 cyrusv2q", {"cyrusv2", "cyrusv2q"}}};
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_MESSAGE(row.text, list_of(row.text) == row.expected);
    }
    CPPUNIT_ASSERT((list_of(", ;i,\t{x};", ",; \t") == Texts{"i", "{x}"}));
    CPPUNIT_ASSERT((list_of(" a,b c", " ") == Texts{"a,b", "c"}));
  }

  void buildersSetTheFieldsOfAnOption() {
    std::string text;
    const Option option =
        bare_means("always", with_letter('Q', argv_only(value("quota", "WHO", "tagged",
                                                              "says whose", reader::text(text)))));
    CPPUNIT_ASSERT_EQUAL('Q', option.letter);
    CPPUNIT_ASSERT_EQUAL(std::string("quota"), option.name);
    CPPUNIT_ASSERT_EQUAL(std::string("WHO"), option.argument);
    CPPUNIT_ASSERT_EQUAL(std::string("tagged"), option.fallback);
    CPPUNIT_ASSERT_EQUAL(std::string("always"), option.implicit);
    CPPUNIT_ASSERT_EQUAL(std::string("says whose"), option.help);
    CPPUNIT_ASSERT(option.place == OptionPlace::kArgumentsOnly);
    option.read("x");
    CPPUNIT_ASSERT_EQUAL(std::string("x"), text);
    const Option plain = value("a", "", "", "b", nullptr);
    CPPUNIT_ASSERT(plain.place == OptionPlace::kArgumentsAndFile);
    CPPUNIT_ASSERT(plain.letter == '\0' && plain.implicit.empty());
  }

  void tablesKeepTheirOrder() {
    OptionTable table =
        under("One", {value("a", "", "", "", nullptr), value("b", "", "", "", nullptr)});
    append(table, under("Two", {value("c", "", "", "", nullptr)}));
    append(table, {});
    std::string seen;
    for (const Option& option : table) {
      seen += option.heading + '.' + option.name + ' ';
    }
    CPPUNIT_ASSERT_EQUAL(std::string("One.a One.b Two.c "), seen);
  }

  void advancedOptionsComeLastInTheHelp() {
    OptionTable table = under(
        "One", {advanced(value("rare", "N", "", "b", nullptr)), value("a", "", "", "c", nullptr)});
    append(table, under("Two", {value("d", "", "", "e", nullptr)}));
    const std::string help = OptionReader(table).help(HelpWish::kAll);
    const std::string advanced_group =
        "\nAdvanced (few sites need these):\n"
        "      --rare N                b\n";
    CPPUNIT_ASSERT_MESSAGE(help, help.starts_with("One:\n      --a  "));
    CPPUNIT_ASSERT_MESSAGE(help, help.ends_with(advanced_group));
    CPPUNIT_ASSERT_EQUAL(help.find("--rare"), help.rfind("--rare"));
  }

  void optionsOfAnotherCommandAreForTheFileOnly() {
    std::string text;
    OptionReader options(of_command("serve", {value("theirs", "X", "", "a", reader::text(text))}));
    CPPUNIT_ASSERT_EQUAL(std::string(), options.help(HelpWish::kAll));
    options.take_text("theirs = x\n", "f");
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string(), text);
    try {
      options.take_arguments({"--theirs=x"});
      CPPUNIT_FAIL("accepted");
    } catch (const ConfigError& error) {
      CPPUNIT_ASSERT_EQUAL(std::string("--theirs is an option of serve only"),
                           std::string(error.what()));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OptionTableTest);
