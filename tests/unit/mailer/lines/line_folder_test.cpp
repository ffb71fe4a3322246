#include "mailer/lines/line_folder.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/unit/mailer/lines/folded_line.h"

using lmtpq::mailer::LineFolder;
using lmtpq::mailer::Part;

namespace {

constexpr const char* kEuro = "\xe2\x82\xac";
constexpr const char* kMailbox = "\xf0\x9f\x93\xac";
constexpr std::size_t kLimits[] = {998, 8000};

struct Folded {
  std::vector<std::string> lines;
  std::uint64_t folded = 0;

  // The lines with something between them.
  std::string joined(const char* between) const {
    std::string all;
    for (const std::string& line : lines) {
      all += (all.empty() ? "" : between) + line;
    }
    return all;
  }
};

// One line, fed in pieces of this length.
Folded fold(std::string_view line, std::size_t limit, Part part = Part::kHeader,
            std::size_t piece = ~0u) {
  LineFolder folder(limit);
  const std::string out = folded_line(folder, line, part, piece);
  Folded made;
  made.folded = folder.folded_lines();
  for (std::string_view rest = out; !rest.empty();) {
    const std::size_t end = rest.find("\r\n");
    CPPUNIT_ASSERT(end != std::string_view::npos);
    made.lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
  return made;
}

std::string x(std::size_t count) { return std::string(count, 'x'); }

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

bool only_blanks(std::string_view line) { return line.find_first_not_of(" \t") == line.npos; }

// What must hold of every folded line.
void check_lines(const Folded& folded, std::size_t limit, const std::string& about) {
  for (std::size_t i = 0; i < folded.lines.size(); ++i) {
    const std::string& line = folded.lines[i];
    CPPUNIT_ASSERT_MESSAGE(about, line.size() <= limit);
    if (folded.lines.size() > 1) {
      CPPUNIT_ASSERT_MESSAGE(about, !only_blanks(line));
    }
    if (i > 0) {
      CPPUNIT_ASSERT_MESSAGE(about, line[0] == ' ' || line[0] == '\t');
    }
  }
}

std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t'; });
  return text;
}

}  // namespace

class LineFolderTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LineFolderTest);
  CPPUNIT_TEST(aLineUpToTheLimitPassesUnchanged);
  CPPUNIT_TEST(aLongLineIsBrokenBeforeItsLastBlankThatFits);
  CPPUNIT_TEST(unfoldingALineWithWordsRestoresIt);
  CPPUNIT_TEST(aLineWithoutBlanksIsCutWithASpace);
  CPPUNIT_TEST(neverCutsAUtf8SequenceOrAnEscape);
  CPPUNIT_TEST(aBlankAtTheLimitStaysWhereItIs);
  CPPUNIT_TEST(brokenUtf8IsCutAnywhere);
  CPPUNIT_TEST(aFieldIsNotBrokenBeforeItsColon);
  CPPUNIT_TEST(noPartIsBlanksOnly);
  CPPUNIT_TEST(blanksThatFitNowhereAreDropped);
  CPPUNIT_TEST(dotsKeepTheirPlacesAroundABreak);
  CPPUNIT_TEST(countsLinesNotBreaks);
  CPPUNIT_TEST(anEmptyLineEndsTheHeader);
  CPPUNIT_TEST(anyLineIsBoundedAndKeepsItsWords);
  CPPUNIT_TEST(hostileLinesTakeNoMoreTime);
  CPPUNIT_TEST_SUITE_END();

  void aLineUpToTheLimitPassesUnchanged() {
    for (const std::size_t limit : kLimits) {
      for (const std::string& line : {x(limit), std::string(limit, ' '), std::string(limit, '.'),
                                      "a: " + x(limit - 3), x(limit - 1) + " ", std::string()}) {
        const Folded folded = fold(line, limit);
        check(line, folded.joined("|"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, folded.folded);
      }
    }
  }

  // trap: word-cut-in-a-long-line
  void aLongLineIsBrokenBeforeItsLastBlankThatFits() {
    const std::pair<const char*, const char*> rows[] = {
        {"a: bcd efghij", "a: bcd| efghij"},           {"a: bcdef\tghij", "a: bcdef|\tghij"},
        {"a: b c d e f g h", "a: b c d e| f g h"},     {"a: bcdefg  hi", "a: bcdefg|  hi"},
        {"a:  bcdefghi jk", "a:|  bcdefghi| jk"},      {" bcd efghijkl", " bcd| efghijkl"},
        {"a: bcdefghijklm", "a:| bcdefghij| klm"},     {"a:bcdefghi jklm", "a:bcdefghi| jklm"},
        {"no field of a name", "no field| of a name"},
    };
    for (const auto& [line, expected] : rows) {
      for (const std::size_t piece : {1u, 3u, 100u}) {
        check(expected, fold(line, 10, Part::kHeader, piece).joined("|"), line);
      }
    }
    check("abcd| efghij", fold("abcd efghij", 10, Part::kBody).joined("|"));
  }

  // trap: word-cut-in-a-long-line
  void unfoldingALineWithWordsRestoresIt() {
    std::mt19937 random(14);
    for (const std::size_t limit : kLimits) {
      for (int round = 0; round < 60; ++round) {
        std::string line = round % 2 == 0 ? "References:" : "x";
        for (int words = 400; words > 0; --words) {
          line += (random() % 8 == 0 ? "\t" : " ") + x(1 + random() % 90) + kEuro;
        }
        const Part part = round % 4 < 2 ? Part::kHeader : Part::kBody;
        const Folded folded = fold(line, limit, part, 1 + random() % 9000);
        CPPUNIT_ASSERT(folded.lines.size() > 1);
        check(line, folded.joined(""));
        check_lines(folded, limit, "round " + std::to_string(round));
        for (std::size_t i = 0; i + 1 < folded.lines.size(); ++i) {
          CPPUNIT_ASSERT_MESSAGE("lines are filled", folded.lines[i].size() > limit - 100);
        }
      }
    }
  }

  void aLineWithoutBlanksIsCutWithASpace() {  // trap: seam-in-a-long-line
    for (const std::size_t limit : kLimits) {
      for (std::size_t length = limit + 1; length < limit + 4; ++length) {
        check(x(limit) + "| " + x(length - limit), fold(x(length), limit).joined("|"));
      }
      for (std::size_t length = 8180; length < 8201; ++length) {
        const Folded folded = fold(x(length), limit, Part::kBody);
        check_lines(folded, limit, std::to_string(length));
        CPPUNIT_ASSERT_EQUAL(length + folded.lines.size() - 1, folded.joined("").size());
      }
      const Folded many = fold(x(limit + 10 * (limit - 1)), limit);
      CPPUNIT_ASSERT_EQUAL(std::size_t{11}, many.lines.size());
      check_lines(many, limit, "11 full lines");
    }
  }

  // At any place in the line, and however it comes.
  // trap: word-cut-in-a-long-line
  void neverCutsAUtf8SequenceOrAnEscape() {
    const std::string sequences[] = {"\xc3\xbc", kEuro, kMailbox, "=3D", "=c3=bc"};
    for (const std::string& sequence : sequences) {
      for (const std::size_t limit : kLimits) {
        for (std::size_t before = limit - 12; before < limit + 4; ++before) {
          const std::string line = x(before) + sequence + sequence + "y";
          const std::string about = std::to_string(before) + " before " + sequence;
          const Folded folded = fold(line, limit);
          check_lines(folded, limit, about);
          std::string joined = folded.lines[0];
          for (std::size_t i = 1; i < folded.lines.size(); ++i) {
            const std::string rest = folded.lines[i].substr(1);
            CPPUNIT_ASSERT_MESSAGE(about, rest.starts_with(sequence) || rest[0] == 'x' ||
                                              rest[0] == 'y' || rest[0] == '=');
            joined += rest;
          }
          check(line, joined, about);
          for (const std::size_t piece : {std::size_t{1}, before, before + 1, before + 2}) {
            check(folded.joined("|"), fold(line, limit, Part::kHeader, piece).joined("|"), about);
          }
        }
      }
    }
    check("xxx=3D=3D| =3D=3D=3D", fold("xxx=3D=3D=3D=3D=3D", 10).joined("|"));
  }

  // The last blank before a word that is cut off is not lost, and does not move.
  void aBlankAtTheLimitStaysWhereItIs() {
    const std::pair<const char*, const char*> rows[] = {
        {"abcdefghij klm", "abcdefghij| klm"},         {"abcdefghij\tklm", "abcdefghij|\tklm"},
        {"abcdefghi= 3D", "abcdefghi=| 3D"},           {"abcdefghi=3D", "abcdefghi| =3D"},
        {"abcdefghi\xc3 \xbc", "abcdefghi\xc3| \xbc"}, {"abcdefghij  k", "abcdefghij|  k"},
        {"abcdefghi\t k", "abcdefghi|\t k"},
    };
    for (const auto& [line, expected] : rows) {
      check(expected, fold(line, 10, Part::kBody).joined("|"), line);
      check(expected, fold(line, 10, Part::kBody, 1).joined("|"), line);
    }
  }

  void brokenUtf8IsCutAnywhere() {
    for (const std::string& line : {std::string(30, '\x80'), std::string(30, '\xf0'),
                                    "\xf0" + std::string(29, '\xbf'), std::string(30, '=')}) {
      const Folded folded = fold(line, 10);
      check_lines(folded, 10, line);
      CPPUNIT_ASSERT(folded.lines.size() <= 5);
      check(line, without_blanks(folded.joined("")));
    }
  }

  void aFieldIsNotBrokenBeforeItsColon() {
    const std::pair<const char*, const char*> rows[] = {
        {"abc def : ghi jkl", "abc def :| ghi jkl"},
        {"abc       : defghi", "abc      :| defghi"},
        {"abc              : defghi", "abc      :| defghi"},
        {"abc                                    : defghi", "abc      :| defghi"},
        {"abcdefghij : k", "abcdefghij| : k"},
        {"abcdefghijkl: m", "abcdefghij| kl: m"},
        {"abcdefghi: jkl", "abcdefghi:| jkl"},
        {"abcdefghi:jkl", "abcdefghi:| jkl"},
        {"abcdefghi :  jkl", "abcdefghi:|  jkl"},
    };
    for (const auto& [line, expected] : rows) {
      check(expected, fold(line, 10).joined("|"), line);
    }
    check("abc :defgh| ijk", fold("abc :defghijk", 10).joined("|"));
    check("abc| :defghijk", fold("abc :defghijk", 10, Part::kBody).joined("|"));
  }

  // RFC 5322 section 3.2.2.
  // trap: folded-into-blanks
  void noPartIsBlanksOnly() {
    const std::pair<const char*, const char*> rows[] = {
        {"a: bcdefgh    ", "a: bcdefgh"},  {"a:bcdefghi    ", "a:bcdefghi"},
        {"a: bcdefgh  ", "a:| bcdefgh  "}, {"a:bcdefghi    j", "a:bcdefghi|    j"},
        {"a:            ", "a:        "},  {"              a: b", "         a| : b"},
        {"              ", "          "},
    };
    for (const auto& [line, expected] : rows) {
      check(expected, fold(line, 10).joined("|"), line);
    }
    for (const std::size_t limit : kLimits) {
      for (std::size_t blanks = 1; blanks < 2 * limit; blanks += 97) {
        for (const std::size_t word : {std::size_t{1}, limit - 1, limit, limit + 1}) {
          const std::string line = "a:" + x(word) + std::string(blanks, ' ');
          const std::string about = std::to_string(word) + "+" + std::to_string(blanks);
          check_lines(fold(line, limit), limit, about);
          check_lines(fold(line + "y", limit), limit, about);
          check_lines(fold(std::string(blanks, '\t') + line, limit), limit, about);
          check("a:" + x(word) + "y", without_blanks(fold(line + "y", limit).joined("")), about);
        }
      }
    }
  }

  void blanksThatFitNowhereAreDropped() {
    const std::string line = x(8000) + std::string(500, ' ');
    check(x(8000), fold(line, 8000).joined("|"));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, fold(line, 8000).folded);
    for (const char* blank : {" ", "\t"}) {
      check(x(8000) + "|" + blank + "y", fold(x(8000) + blank + "y", 8000).joined("|"), "lossless");
    }
  }

  void dotsKeepTheirPlacesAroundABreak() {  // trap: seam-in-a-long-line
    for (const std::size_t limit : kLimits) {
      for (std::size_t dot = limit - 8; dot < limit + 8; ++dot) {
        for (std::size_t blank = limit - 8; blank < limit + 8; ++blank) {
          std::string line = x(limit + 20);
          line[blank] = ' ';
          line[dot] = '.';
          line[0] = '.';
          const Folded folded = fold(line, limit, Part::kBody);
          const std::string about = std::to_string(blank) + " " + std::to_string(dot);
          check_lines(folded, limit, about);
          const bool cut = blank >= limit + 1 || blank == dot;
          const std::string joined = folded.joined("");
          check(line, cut ? joined.substr(0, limit) + joined.substr(limit + 1) : joined, about);
        }
      }
    }
  }

  void countsLinesNotBreaks() {
    LineFolder folder(10);
    std::string out;
    folder.append(x(50), out);
    folder.end_line(out);
    folder.append(x(10), out);
    folder.end_line(out);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, folder.folded_lines());
    folder.append(x(11), out);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, folder.folded_lines());
  }

  void anEmptyLineEndsTheHeader() {
    LineFolder folder(10);
    std::string out;
    CPPUNIT_ASSERT(folder.at_line_start() && folder.in_header());
    for (const char* line : {"a", " ", "a bcdefghijklmnop"}) {
      folder.append(line, out);
      CPPUNIT_ASSERT(!folder.at_line_start());
      folder.end_line(out);
      CPPUNIT_ASSERT(folder.at_line_start() && folder.in_header());
    }
    folder.end_line(out);
    CPPUNIT_ASSERT(!folder.in_header());
  }

  void anyLineIsBoundedAndKeepsItsWords() {
    std::mt19937 random(20261121);
    const std::string pieces[] = {
        " ",      " ",    "\t",   "   ",  "a", ":", "=", ".", "3D", kEuro, std::string("\0", 1),
        kMailbox, "\x80", "\xf0", "bcdef"};
    for (int round = 0; round < 50'000; ++round) {
      const std::size_t limit = 5 + random() % 20;
      std::string line;
      for (std::size_t length = random() % 30; length > 0; --length) {
        line += pieces[random() % std::size(pieces)];
      }
      const Part part = round % 2 == 0 ? Part::kHeader : Part::kBody;
      const Folded folded = fold(line, limit, part);
      check_lines(folded, limit, line);
      check(without_blanks(line), without_blanks(folded.joined("")));
      check(folded.joined("|"), fold(line, limit, part, 1 + random() % 7).joined("|"), line);
      for (const std::string& again : folded.lines) {
        check(again, fold(again, limit, part).joined("|"), line);
      }
      CPPUNIT_ASSERT_EQUAL(line.size() > limit, folded.folded == 1);
    }
  }

  // Each of these would take many seconds if every byte cost a look at the line.
  void hostileLinesTakeNoMoreTime() {
    const std::size_t size = 4 << 20;
    std::vector<std::string> lines = {std::string(size, ' '), x(8000) + std::string(size, ' '),
                                      "a:" + std::string(size, ' ') + "b", std::string(size, '=')};
    std::string steps;
    while (steps.size() < size) {
      steps += "a " + x(7996);
    }
    lines.push_back(steps);
    for (const std::string& line : lines) {
      for (const Part part : {Part::kHeader, Part::kBody}) {
        check_lines(fold(line, 8000, part), 8000, line.substr(0, 10));
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LineFolderTest);
