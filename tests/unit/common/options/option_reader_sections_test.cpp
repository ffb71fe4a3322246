#include <cppunit/extensions/HelperMacros.h>

#include <map>

#include "common/options/option_reader.h"
#include "common/options/option_table.h"

using namespace lmtpq;

namespace {

// The values that the readers got.
std::map<std::string, std::string> g_read;

const SectionKind kRules{"rule.", {"client", "header NAME", "quota", "to"}};
const SectionKind kOthers{"other.", {"away", "to"}};

OptionReader make_options(std::vector<SectionKind> kinds = {kRules}) {
  OptionTable table;
  for (const char* const name : {"to", "tag.keys"}) {
    Option option;
    option.name = name;
    option.argument = "X";
    option.read = [name](std::string_view text) { g_read[name] = text; };
    table.push_back(std::move(option));
  }
  return OptionReader(std::move(table), std::move(kinds));
}

std::string error_of(const std::string& text, std::vector<SectionKind> kinds = {kRules}) {
  try {
    make_options(std::move(kinds)).take_text(text, "f");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

class OptionReaderSectionsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(OptionReaderSectionsTest);
  CPPUNIT_TEST(keepTheirLinesInOrder);
  CPPUNIT_TEST(areKeptApartFromTheTable);
  CPPUNIT_TEST(errorsNameTheLine);
  CPPUNIT_TEST(aWrongKeyIsNamedWithItsRemedy);
  CPPUNIT_TEST(upToTwelveKeysAreListed);
  CPPUNIT_TEST(anOptionOfSectionsIsNotAboveThem);
  CPPUNIT_TEST(placesNameTheLineOrTheOption);
  CPPUNIT_TEST(aRepeatedOptionIsAWarning);
  CPPUNIT_TEST_SUITE_END();

 public:
  void setUp() override { g_read.clear(); }

 private:
  void keepTheirLinesInOrder() {
    OptionReader options = make_options();
    options.take_text(
        "to = a\n[rule.b]\nclient = 127.0.0.1 192.0.2.0/24\n# no line\n\nheader X-Notice = a=b #c\n"
        "[rule.A-1_c.d]\n[tag]\nkeys = /k\n[rule.a.]\nclient = x\nclient =\n",
        "f");
    std::string seen;
    for (const FreeSection& section : options.free_sections()) {
      seen += section.place + section.name + '\n';
      for (const FreeSection::Line& line : section.lines) {
        seen += line.place + line.name + '|' + line.value + '\n';
      }
    }
    CPPUNIT_ASSERT_EQUAL(std::string("f:2: b\nf:3: client|127.0.0.1 192.0.2.0/24\n"
                                     "f:6: header X-Notice|a=b #c\nf:7: A-1_c.d\n"
                                     "f:10: a.\nf:11: client|x\nf:12: client|\n"),
                         seen);
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string("a"), g_read.at("to"));
    CPPUNIT_ASSERT_EQUAL(std::string("/k"), g_read.at("tag.keys"));
    CPPUNIT_ASSERT(!g_read.contains("client"));
  }

  void areKeptApartFromTheTable() {
    CPPUNIT_ASSERT(make_options().free_sections().empty());
    OptionReader options = make_options();
    options.take_text("[rule.a]\nto = x\nquota = x\n", "f");
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, options.free_sections().at(0).lines.size());
    CPPUNIT_ASSERT(!g_read.contains("to"));
    // Without prefixes there are no free sections.
    CPPUNIT_ASSERT_EQUAL(std::string("f:1: unknown section [rule.a]"),
                         error_of("[rule.a]\nto = x\n", {}));
  }

  void errorsNameTheLine() {
    const std::string name = "expected [rule.NAME] of letters, digits and . _ -";
    const struct {
      const char* text;
      std::string error;
    } rows[] = {{"to = a\n[rule.]\n", "f:2: " + name},
                {"[rule.a b]\n", "f:1: " + name},
                {"[rule.\xc3\xa4]\n", "f:1: " + name},
                {"[rule.a]]\n", "f:1: " + name},
                {"[rule.a", "f:1: expected [name], not [rule.a"},
                {"[rule.a] # mine\n", "f:1: expected [name], not [rule.a] # mine"},
                {"[rule]\n", "f:1: unknown section [rule]; expected [rule.NAME]"},
                {"[Rule.a]\n", "f:1: unknown section [Rule.a]; expected [rule.NAME]"},
                {"[ rule.a ]\n", "f:1: unknown section [ rule.a ]; expected [rule.NAME]"},
                {"[rules.a]\n", "f:1: unknown section [rules.a]; expected [rule.NAME]"},
                {"[rule.a]\nclient\n", "f:2: client: expected name = value"},
                {"[rule.a]\n= x\n", "f:2: expected name = value"},
                {"[rule.a]\nclient S3cret\n", "f:2: client: expected name = value"},
                {"[rule.a]\npassword: S3cret\n", "f:2: expected name = value"},
                {"[rule.a]\nclient = \x1b\n", "f:2: a control character; remove it"},
                {"[x]\n", "f:1: unknown section [x]; expected [rule.NAME]"},
                {"[rule.a]\n[rule.b]\n[rule.a]\n",
                 "f:3: [rule.a] appears twice; it is also at f:1; rename one"}};
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(row.error, error_of(row.text));
    }
  }

  void aWrongKeyIsNamedWithItsRemedy() {
    const struct {
      const char* text;
      std::string error;
    } rows[] = {
        {"[rule.a]\nclinet = x\n", "f:2: [rule.a]: unknown key clinet; did you mean client?"},
        {"[rule.a]\nheder X-A = x\n",
         "f:2: [rule.a]: unknown key heder ...; did you mean header NAME?"},
        {"[rule.a]\nclient x = x\n", "f:2: [rule.a]: unknown key client ...; did you mean client?"},
        {"[rule.a]\nsomething = x\n",
         "f:2: [rule.a]: unknown key something; expected client, header NAME, quota or to"},
        {"[rule.a]\nid c2VjcmV0==\n",
         "f:2: [rule.a]: unknown key; expected client, header NAME, quota or to"},
        {"[rule.a]\ntag.keys = x\n",
         "f:2: tag.keys: not allowed in a section [rule.NAME]; move it above the sections"},
        {"[rule.a]\naway = x\n",
         "f:2: away: not allowed in a section [rule.NAME]; move it into [other.NAME]"},
        {"[other.a]\nheader X-A = x\n",
         "f:2: header X-A: not allowed in a section [other.NAME]; move it into [rule.NAME]"},
        {"[rule.a]\nqu = x\n", "f:2: [rule.a]: unknown key qu; did you mean quota?"},
        {"[rule.a]\nq = x\n",
         "f:2: [rule.a]: unknown key q; expected client, header NAME, quota or to"},
        {"[rule.a]\nxuota = x\n",
         "f:2: [rule.a]: unknown key xuota; expected client, header NAME, quota or to"},
        {"quota = x\n", "f:1: quota: allowed in a section [rule.NAME] only"},
        {"quotas = x\n",
         "f:1: unknown option quotas; did you mean quota in a section [rule.NAME]?"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(row.error, error_of(row.text, {kRules, kOthers}));
    }
  }

  void upToTwelveKeysAreListed() {
    std::vector<std::string> keys;
    std::string listed;
    for (char c = 'a'; c < 'm'; ++c) {
      keys.emplace_back(3, c);
      listed += (c == 'a' ? "" : c == 'l' ? " or " : ", ") + keys.back();
    }
    CPPUNIT_ASSERT_EQUAL("f:2: [k.a]: unknown key zzz; expected " + listed,
                         error_of("[k.a]\nzzz = x\n", {SectionKind("k.", keys)}));
    keys.emplace_back("mmm");
    CPPUNIT_ASSERT_EQUAL(std::string("f:2: [k.a]: unknown key zzz"),
                         error_of("[k.a]\nzzz = x\n", {SectionKind("k.", keys)}));
  }

  void anOptionOfSectionsIsNotAboveThem() {
    OptionReader options({argv_or_section(value("quota", "X", "", "x", nullptr)),
                          argv_only(value("config", "X", "", "x", nullptr))},
                         {kRules});
    const auto error = [&](const char* text) {
      try {
        options.take_text(text, "f");
      } catch (const ConfigError& failure) {
        return std::string(failure.what());
      }
      return std::string("no error");
    };
    CPPUNIT_ASSERT_EQUAL(
        std::string("f:1: quota: allowed on the command line or in a section [rule.NAME] only"),
        error("quota = x\n"));
    CPPUNIT_ASSERT_EQUAL(std::string("f:2: config: allowed on the command line only"),
                         error("[rule.a]\nconfig = x\n"));
  }

  void placesNameTheLineOrTheOption() {
    OptionReader options = make_options();
    options.take_text("to = a\ntag.keys = b\n[rule.a]\nto = c\n", "f");
    CPPUNIT_ASSERT_EQUAL(std::string("f:1: to"), options.places().of("to"));
    const OptionPlaces places = options.places(options.free_sections().at(0));
    CPPUNIT_ASSERT_EQUAL(std::string("f:4: to"), places.of("to"));
    CPPUNIT_ASSERT_EQUAL(std::string("f:2: tag.keys"), places.of("tag.keys"));
    CPPUNIT_ASSERT(places.given("to") && !places.given("from"));
    CPPUNIT_ASSERT_EQUAL(std::string("--from"), places.of("from"));
    options.take_arguments({"--to=d"});
    CPPUNIT_ASSERT_EQUAL(std::string("--to"),
                         options.places(options.free_sections().at(0)).of("to"));
  }

  void aRepeatedOptionIsAWarning() {
    const SectionKind named{"to.", {"to", "tag.keys", "client"}};
    OptionReader options = make_options({kRules, named});
    Findings findings;
    options.collect_errors(&findings);
    options.take_text("to = a\n[rule.b]\nclient = c\nclient = d\nto = e\n[to.f]\nto = g\nto = h\n",
                      "f");
    CPPUNIT_ASSERT_EQUAL(std::string("ok"), findings.summary());
    options.take_text("to = x\n[rule.c]\nto = y\nto = z\n", "g");
    CPPUNIT_ASSERT_EQUAL(std::string("ok, 2 warnings"), findings.summary());
    options.apply();
    CPPUNIT_ASSERT_EQUAL(std::string("x"), g_read["to"]);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OptionReaderSectionsTest);
