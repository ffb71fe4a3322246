#include "mailer/lines/canonical_lines.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>
#include <vector>

using lmtpq::mailer::CanonicalLines;
using lmtpq::mailer::TextReport;
using lmtpq::mailer::TextRules;

namespace {

constexpr const char* kEuro = "\xe2\x82\xac";
constexpr const char* kMailbox = "\xf0\x9f\x93\xac";

struct Made {
  std::string text;
  TextReport report;
};

Made make(std::string_view bytes, TextRules rules, std::size_t first = ~0u,
          std::size_t other = ~0u) {
  CanonicalLines filter(rules);
  Made made;
  for (std::size_t length = first; !bytes.empty(); length = other) {
    bytes.remove_prefix(filter.feed(bytes.substr(0, length), made.text));
  }
  filter.finish(made.text);
  made.report = filter.report();
  return made;
}

std::string canonical(std::string_view bytes, std::size_t limit = 998, std::size_t first = ~0u,
                      std::size_t other = ~0u) {
  return make(bytes, {limit}, first, other).text;
}

const std::string kNul(1, '\0');

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

// Every line ends with CRLF, has no other CR or LF, and is within the limit.
void check_lines(std::string_view text, std::size_t limit, const std::string& about) {
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    CPPUNIT_ASSERT_MESSAGE(about, text.substr(std::min(end, text.size()), 2) == "\r\n");
    CPPUNIT_ASSERT_MESSAGE(about, end <= limit);
    text.remove_prefix(end + 2);
  }
}

}  // namespace

class CanonicalLinesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CanonicalLinesTest);
  CPPUNIT_TEST(everyLineEndBecomesCrlf);
  CPPUNIT_TEST(passesNulAndEightBitBytes);
  CPPUNIT_TEST(aRunOfCrsBeforeAnLfIsOneLineEndHoweverLong);
  CPPUNIT_TEST(aLoneCrIsASpaceInTheHeaderAndALineEndInTheBody);
  CPPUNIT_TEST(anEmptyLineEndsTheHeader);
  CPPUNIT_TEST(nulsAreCounted);
  CPPUNIT_TEST(nulsAreStrippedAsIfTheyHadNotCome);
  CPPUNIT_TEST(leavesCanonicalTextAlone);
  CPPUNIT_TEST(linesUpToTheDefaultOf8000BytesPass);
  CPPUNIT_TEST(everyCutOfTheInputGivesTheSameLines);
  CPPUNIT_TEST(aCleanLinePassesUnchanged);
  CPPUNIT_TEST(linesAreBoundedForAnyInput);
  CPPUNIT_TEST(writesAtMostThreeBytesPerInputByte);
  CPPUNIT_TEST_SUITE_END();

  void everyLineEndBecomesCrlf() {
    const std::pair<const char*, const char*> rows[] = {
        {"", ""},
        {"a", "a\r\n"},  // trap: odd-message
        {"a\r\n", "a\r\n"},
        {"a\n", "a\r\n"},
        {"a\r", "a\r\n"},
        {"a\nb\n", "a\r\nb\r\n"},
        {"a\r\r\nb", "a\r\nb\r\n"},  // a run of CRs before an LF is one line end
        {"a\r\r\r\n", "a\r\n"},
        {"a\r\r", "a\r\n"},  // and so is one at the end
        {"\r\na\r\r", "\r\na\r\n"},
        {"\n\n", "\r\n\r\n"},
        {"\r", "\r\n"},
        {"a\r\n\r", "a\r\n\r\n"},
        {"a\r\n.\n", "a\r\n.\r\n"},
    };
    for (const auto& [in, out] : rows) {
      check(out, canonical(in), in);
    }
  }

  void aRunOfCrsBeforeAnLfIsOneLineEndHoweverLong() {
    for (const std::size_t length : {63U, 64U, 65U, 100U, 100'000U}) {
      const std::string run(length, '\r');
      const std::string about = std::to_string(length);
      for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, 2 * length}) {
        check("a: b\r\nc: d\r\n\r\ne\r\n\r\nf\r\n",
              canonical("a: b" + run + "\nc: d\n" + run + "\ne" + run + "\n" + run + "\nf" + run,
                        998, piece, piece),
              about);
      }
      std::string lines;
      for (std::size_t i = 0; i < length; ++i) {
        lines += "\r\n";
      }
      check("\r\ne" + lines + "f\r\n", canonical("\r\ne" + run + "f"), about + ", no LF");
    }
    check("a" + std::string(65, ' ') + "b\r\n", canonical("a" + std::string(65, '\r') + "b"));
  }

  // trap: bare-cr-in-header
  void aLoneCrIsASpaceInTheHeaderAndALineEndInTheBody() {
    const std::pair<const char*, const char*> rows[] = {
        {"a\rb", "a b\r\n"},
        {"a\r\rb", "a  b\r\n"},
        {"a\n\rb", "a\r\n b\r\n"},
        {"\ra\r\r\n", " a\r\n"},
        {"a\r\r\n\rb", "a\r\n b\r\n"},
        {"\r\na\rb", "\r\na\r\nb\r\n"},
        {"\r\na\r\rb", "\r\na\r\n\r\nb\r\n"},
        {"\r\na\n\rb", "\r\na\r\n\r\nb\r\n"},
        {"a\rb\n\nc\rd", "a b\r\n\r\nc\r\nd\r\n"},
    };
    for (const auto& [in, out] : rows) {
      check(out, canonical(in), in);
      check(out, canonical(in, 998, 1, 1), in);
    }
  }

  void anEmptyLineEndsTheHeader() {
    for (const char* end : {"\r\n", "\n", "\r\r\n"}) {
      check("a b\r\n\r\nc\r\nd\r\n", canonical("a\rb\n" + std::string(end) + "c\rd"), end);
    }
    for (const char* line : {" \r\n", "\t\n", "\r \r\n", "x\r\n"}) {
      check("y z\r\n", canonical(std::string(line) + "y\rz").substr(canonical(line).size()), line);
    }
  }

  void nulsAreCounted() {
    const std::string text = "a" + kNul + "\r\n" + kNul + kNul + "\r\n\r\n" + kNul;
    const Made made = make(text, {});
    check(text + "\r\n", made.text);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, made.report.nuls);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, made.report.nuls_stripped);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, make("a\r\n\r\nb", {}).report.nuls);
  }

  void nulsAreStrippedAsIfTheyHadNotCome() {
    std::mt19937 random(20261121);
    const std::string pieces[] = {"\r", "\n", "\r\n", "\r\n\r\n", "a", "bc d", " ", ".", kEuro};
    for (int round = 0; round < 2000; ++round) {
      std::string without;
      std::string with;
      std::uint64_t nuls = 0;
      for (int i = 0; i < 12; ++i) {
        const std::string& piece = pieces[random() % std::size(pieces)];
        const std::size_t more = random() % 3;
        nuls += more;
        without += piece;
        with += std::string(more, '\0') + piece;
      }
      const Made made = make(with, {8, true}, 1 + random() % 9, 1 + random() % 9);
      check(make(without, {8, true}).text, made.text, without);
      CPPUNIT_ASSERT_EQUAL(nuls, made.report.nuls_stripped);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, made.report.nuls);
    }
  }

  void passesNulAndEightBitBytes() {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
      if (byte != '\r' && byte != '\n') {
        all.push_back(static_cast<char>(byte));
      }
    }
    check(all + "\r\n", canonical(all));
  }

  void leavesCanonicalTextAlone() {
    for (const std::string& text : {std::string("a: b\r\n\r\n.\r\n\r\n..\r\n"),
                                    std::string(998, 'x') + "\r\n", std::string("\r\n")}) {
      check(text, canonical(text));
      const std::string broken = canonical(text + std::string(5000, 'y') + kEuro);
      check(broken, canonical(broken));
    }
  }

  void linesUpToTheDefaultOf8000BytesPass() {
    const std::string text = "a: " + std::string(7997, 'x') + "\r\n\r\n" + std::string(8000, '.');
    const Made made = make(text, {});
    check(text + "\r\n", made.text);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, made.report.folded_lines);
    const Made longer = make("a\r\n" + text + ".", {});
    check("a\r\n" + text + "\r\n .\r\n", longer.text);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, longer.report.folded_lines);
  }

  void everyCutOfTheInputGivesTheSameLines() {
    const std::string text =
        std::string("a\r\r\nb\rc\n\r\r\xe2\x82\xac") + kMailbox + "\r\n\r\n.\r\r\rlong line";
    for (const std::size_t limit : {6u, 7u, 998u}) {
      const std::string whole = canonical(text, limit);
      check(whole, canonical(text, limit, 1, 1), "byte by byte");
      for (std::size_t cut = 1; cut < text.size(); ++cut) {
        check(whole, canonical(text, limit, cut), "cut at " + std::to_string(cut));
      }
    }
  }

  // In the header, and in the body.
  void aCleanLinePassesUnchanged() {
    std::mt19937 random(7);
    const std::vector<std::string> pieces = {"a", "\xf0", "\r\n", "\r\n", "\n",    "\r",
                                             " ", ":",    kEuro,  "bcde", "fghij", kMailbox};
    int clean = 0;
    for (int round = 0; round < 20'000; ++round) {
      const std::size_t limit = 8 + random() % 16;
      std::string text;
      for (std::size_t length = 1 + random() % 12; length > 0; --length) {
        text += pieces[random() % pieces.size()];
      }
      CanonicalLines filter({limit});
      std::string out;
      filter.feed(round % 2 == 0 ? "" : "\r\n", out);
      out.clear();
      const std::size_t line = filter.clean_line(text);
      filter.feed(std::string_view(text).substr(0, line), out);
      check(text.substr(0, line), out, text);
      filter.finish(out);
      check(text.substr(0, line), out, "at the start of the next line");
      filter.feed("a\rb", out);
      check(round % 2 == 0 ? "" : "a\r\n", out.substr(line), "the header ends, or not, as before");
      clean += line > 0 ? 1 : 0;
      CPPUNIT_ASSERT_MESSAGE(text, line == 0 || text.find('\n') + 1 == line);
    }
    CPPUNIT_ASSERT(clean > 2'000);
    for (const std::size_t limit : {998U, 8000U}) {
      const CanonicalLines filter({limit});
      CPPUNIT_ASSERT_EQUAL(limit + 2, filter.clean_line(std::string(limit, 'x') + "\r\n"));
      CPPUNIT_ASSERT_EQUAL(std::size_t{0}, filter.clean_line(std::string(limit + 1, 'x') + "\r\n"));
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, CanonicalLines().clean_line("\r\nabc\r\n"));
    CanonicalLines body;
    std::string out;
    body.feed("\r\n", out);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, body.clean_line("\r\nabc\r\n"));
  }

  void linesAreBoundedForAnyInput() {
    std::mt19937 random(20261121);
    const std::string pieces[] = {"\r",
                                  "\n",
                                  "\r\n",
                                  " ",
                                  ":",
                                  "\t \t",
                                  ".",
                                  std::string(1, '\0'),
                                  kEuro,
                                  "\x80\x80",
                                  "\xf0",
                                  std::string(333, 'x'),
                                  std::string(997, 'y')};
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      for (int i = 0; i < 12; ++i) {
        text += pieces[random() % std::size(pieces)];
      }
      const std::size_t limit = round % 2 == 0 ? 998 : 20;
      const std::string about = "round " + std::to_string(round);
      const std::string whole = canonical(text, limit);
      check_lines(whole, limit, about);
      check(whole, canonical(text, limit, 1 + random() % text.size(), 1 + random() % 50), about);
      check(whole, canonical(whole, limit), about + ", again");
    }
  }

  // Memory must not grow with the message: of a long run of CRs only the number is held back, and
  // what it becomes is written in pieces.
  void writesAtMostThreeBytesPerInputByte() {
    const std::string returns(1 << 16, '\r');
    for (const char* top : {"", "\r\n"}) {
      CanonicalLines filter;
      std::string out;
      filter.feed(top, out);
      for (int i = 0; i < 32; ++i) {
        out.clear();
        CPPUNIT_ASSERT_EQUAL(returns.size(), filter.feed(returns, out));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, out.size());
      }
      std::size_t made = 0;
      for (std::size_t taken = 0; taken == 0; made += out.size()) {
        out.clear();
        taken = filter.feed("x", out);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(out.size()), out.size() <= 3 * returns.size());
      }
      // Blanks at the top of the header have room in one line only.
      CPPUNIT_ASSERT_EQUAL(*top == '\0' ? 0 : 2 * 32 * returns.size(), made);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CanonicalLinesTest);
