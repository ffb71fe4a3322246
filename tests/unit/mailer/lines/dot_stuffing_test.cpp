#include "mailer/lines/dot_stuffing.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>

using lmtpq::mailer::DataDecoder;
using lmtpq::mailer::DataEncoder;
using lmtpq::mailer::TextReport;
using lmtpq::mailer::TextRules;

namespace {

struct Decoded {
  std::string message;
  std::string after;  // bytes that follow the end
  bool ended = false;
  TextReport report;
};

Decoded decode(std::string_view wire, std::size_t first = ~0u, std::size_t other = ~0u,
               TextRules rules = {998}) {
  DataDecoder decoder(rules);
  Decoded result;
  for (std::size_t length = first; !wire.empty() && !result.ended; length = other) {
    std::string_view piece = wire.substr(0, length);
    wire.remove_prefix(piece.size());
    do {
      result.ended = decoder.decode(piece, result.message);
    } while (!result.ended && !piece.empty());
    result.after = piece;
  }
  result.after += wire;
  result.report = decoder.report();
  return result;
}

std::string encode(std::string_view message, std::size_t first = ~0u, std::size_t other = ~0u) {
  DataEncoder encoder;
  std::string wire;
  for (std::size_t length = first; !message.empty(); length = other) {
    encoder.encode(message.substr(0, length), wire);
    message.remove_prefix(std::min(length, message.size()));
  }
  return wire + std::string(DataEncoder::kEnd);
}

// A received message, encoded again.
std::string relay(const std::string& wire, std::size_t limit = 998) {
  const Decoded taken = decode(wire, ~0u, ~0u, {limit});
  CPPUNIT_ASSERT(taken.ended);
  return encode(taken.message);
}

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

// No lone CR or LF, no line over the limit (plus its stuffed dot), and the end only at the end.
void check_wire(const std::string& wire, const std::string& about, std::size_t limit = 998) {
  std::size_t start = 0;
  while (start < wire.size()) {
    const std::size_t end = wire.find_first_of("\r\n", start);
    CPPUNIT_ASSERT_MESSAGE(about, wire.compare(std::min(end, wire.size()), 2, "\r\n") == 0);
    const std::string_view line = std::string_view(wire).substr(start, end - start);
    const bool dot = line.starts_with('.');
    CPPUNIT_ASSERT_MESSAGE(about, line.size() <= limit + (dot ? 1 : 0));
    CPPUNIT_ASSERT_MESSAGE(about, !dot || line.starts_with("..") || line == ".");
    start = end + 2;
    CPPUNIT_ASSERT_MESSAGE(about, line != "." || start == wire.size());
  }
  CPPUNIT_ASSERT_MESSAGE(about, wire == ".\r\n" || wire.ends_with("\r\n.\r\n"));
}

}  // namespace

class DotStuffingTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(DotStuffingTest);
  CPPUNIT_TEST(removesStuffedDots);
  CPPUNIT_TEST(onlyCrlfDotCrlfIsTheEnd);
  CPPUNIT_TEST(leavesBytesAfterTheEndInTheInput);
  CPPUNIT_TEST(stuffsDotsAtLineStartsOnly);
  CPPUNIT_TEST(everyCutOfTheMessageGivesTheSameWire);
  CPPUNIT_TEST(aRunOfCrsOfAnyLengthHidesNoDotAndNoEnd);
  CPPUNIT_TEST(everyCutOfTheWireGivesTheSameMessage);
  CPPUNIT_TEST(aLoneLineEndAndADotDoNotEndTheMessageAtAnyStore);
  CPPUNIT_TEST(aLoneCrCannotForgeAHeader);
  CPPUNIT_TEST(nulsAreCountedOrStrippedWhereverTheyAre);
  CPPUNIT_TEST(hostileBytesTakeNoMoreTime);
  CPPUNIT_TEST(longLinesWithDotsWhereTheyAreBrokenKeepTheirDots);
  CPPUNIT_TEST(anEncodedMessageDecodesToTheSame);
  CPPUNIT_TEST(anyInputHasExactlyOneEndOnTheWire);
  CPPUNIT_TEST_SUITE_END();

  void removesStuffedDots() {  // trap: odd-message
    const std::pair<const char*, const char*> rows[] = {
        {".\r\n", ""},
        {"\r\n.\r\n", "\r\n"},
        {"a\r\n.\r\n", "a\r\n"},
        {"..\r\n.\r\n", ".\r\n"},
        {"...\r\n..\r\n.\r\n", "..\r\n.\r\n"},
        {".a\r\n.\r\n", "a\r\n"},
        {"a\r\n.b\r\n.\r\n", "a\r\nb\r\n"},
        {"a\r\n. \r\n.\r\n", "a\r\n \r\n"},
        {"A: b\r\n\r\n.\r\n", "A: b\r\n\r\n"},
        {"a.\r\n.\r\n", "a.\r\n"},
        {".\rb\r\n.\r\n", " b\r\n"},  // a stuffed dot, then text
        {"\r\n.\rb\r\n.\r\n", "\r\n\r\nb\r\n"},
        {"a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\nb\r\n"},
    };
    for (const auto& [wire, message] : rows) {
      const Decoded decoded = decode(wire);
      CPPUNIT_ASSERT_MESSAGE(wire, decoded.ended);
      check(message, decoded.message, wire);
    }
  }

  void onlyCrlfDotCrlfIsTheEnd() {  // traps: bare-lf-ends-message, bare-cr-ends-message
    for (const char* wire :
         {"a\n.\n", "a\n.\r\n", "a\r\n.\n", "a\r.\r\n", "a\r.\r", "a\r\n\r.\r\n", "a\r\n.\r\r\n",
          "a\r\n.\rb\r\n", "a\n\r\n.", "a\r\n.\r", ".", ".\r", ".\n", "\n.\r\n", "\r.\r\n",
          "a\r\n..\r\n", "a.\r\n", "a\r\n\n.\r\n", ""}) {
      CPPUNIT_ASSERT_MESSAGE(wire, !decode(wire).ended);
      // An ordinary line comes in between, so that the bytes do not complete the end.
      CPPUNIT_ASSERT_MESSAGE(wire, decode(std::string(wire) + "x\r\n.\r\n").ended);
    }
  }

  void leavesBytesAfterTheEndInTheInput() {
    const std::string wire = "a\r\n.\r\nQUIT\r\n.\r\n";
    for (std::size_t cut = 1; cut <= wire.size(); ++cut) {
      const Decoded decoded = decode(wire, cut);
      check("a\r\n", decoded.message);
      check("QUIT\r\n.\r\n", decoded.after);
    }
  }

  void stuffsDotsAtLineStartsOnly() {
    const std::pair<const char*, const char*> rows[] = {
        {"", ".\r\n"},
        {"a\r\n", "a\r\n.\r\n"},
        {".\r\n", "..\r\n.\r\n"},
        {"..\r\n.\r\n", "...\r\n..\r\n.\r\n"},
        {"a.b\r\n.c.\r\n", "a.b\r\n..c.\r\n.\r\n"},
        {"\r\n.\r\n\r\n", "\r\n..\r\n\r\n.\r\n"},
        {"From a\r\n", "From a\r\n.\r\n"},
    };
    for (const auto& [message, wire] : rows) {
      check(wire, encode(message), message);
    }
  }

  void everyCutOfTheMessageGivesTheSameWire() {
    const std::string message = ".\r\n..\r\na.\r\n\r\n.b\r\n...\r\n";
    for (std::size_t cut = 1; cut < message.size(); ++cut) {
      check(encode(message), encode(message, cut), "cut at " + std::to_string(cut));
    }
    check(encode(message), encode(message, 1, 1), "byte by byte");
  }

  // The lone CRs before "b" become more line ends than one call of decode() makes.
  void aRunOfCrsOfAnyLengthHidesNoDotAndNoEnd() {
    const std::string run(70'000, '\r');
    const std::string wire = "a" + run + "\n" + run + "\n." + run + "b" + run + "\n.\r\nQUIT\r\n";
    const Decoded taken = decode(wire);
    CPPUNIT_ASSERT(taken.ended);
    check("QUIT\r\n", taken.after);
    std::string lines;
    for (std::size_t i = 0; i < run.size(); ++i) {
      lines += "\r\n";
    }
    check("a\r\n\r\n" + lines + "b\r\n", taken.message);
    check(taken.message, decode(wire, 1, 997).message);
  }

  void everyCutOfTheWireGivesTheSameMessage() {
    const std::string wire = ".\ra\r\n..\r\nb\n.\r\n.\n\r\r\n.\r\r\n\r.\r\n\r\n.c\r\n.\r\nafter";
    const Decoded whole = decode(wire);
    CPPUNIT_ASSERT(whole.ended);
    check("after", whole.after);
    for (std::size_t cut = 1; cut < wire.size(); ++cut) {
      check(whole.message, decode(wire, cut).message, "cut at " + std::to_string(cut));
      check(whole.after, decode(wire, cut).after);
    }
    check(whole.message, decode(wire, 1, 1).message, "byte by byte");
  }

  // traps: bare-lf-ends-message, bare-cr-ends-message
  void aLoneLineEndAndADotDoNotEndTheMessageAtAnyStore() {  // stuffed after canonical line ends
    const std::pair<const char*, const char*> rows[] = {
        {"a\n.\nMAIL\r\n.\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"},
        {"a\n.\r\nMAIL\r\n.\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"},
        {"a\r\n\r.\r\nMAIL\r\n.\r\n", "a\r\n .\r\nMAIL\r\n.\r\n"},
        {"a\r.\rMAIL\r\n.\r\n", "a . MAIL\r\n.\r\n"},
        {"\r\na\r\n\r.\r\nMAIL\r\n.\r\n", "\r\na\r\n\r\n..\r\nMAIL\r\n.\r\n"},
        {"\r\na\r.\rMAIL\r\n.\r\n", "\r\na\r\n..\r\nMAIL\r\n.\r\n"},
        {"a\r\n..\nMAIL\r\n.\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"},
    };
    for (const auto& [in, out] : rows) {
      check(out, relay(in), in);
    }
  }

  // A line for the store is a line for us and was one for those before us: no header field can be
  // hidden from them, and the header cannot end early.
  // trap: bare-cr-in-header
  void aLoneCrCannotForgeAHeader() {
    check("Subject: a X-LMTPQ-Tag: forged\r\nX: y  z\r\n\r\nb\r\nc\r\n",
          decode("Subject: a\rX-LMTPQ-Tag: forged\r\nX: y\r\rz\r\n\r\nb\rc\r\n.\r\n").message);
  }

  // Lines that are copied in one piece are looked at, too.
  void nulsAreCountedOrStrippedWhereverTheyAre() {
    const std::string nul(1, '\0');
    const std::string text = "a: b\r\n\r\n";
    std::string wire = text;
    std::string without = text;
    for (int i = 0; i < 200; ++i) {
      wire += "clean line\r\n" + nul + nul + "x" + nul + "y\r\nz" + nul + "\r" + nul + "\n." + nul +
              "\r\n";
      without += "clean line\r\nxy\r\nz\r\n.\r\n";
    }
    std::string with = wire;
    for (std::size_t at = with.find("\r" + nul + "\n"); at != std::string::npos;
         at = with.find("\r" + nul + "\n")) {
      with.replace(at, 3, "\r\n" + nul + "\r\n");
    }
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
      const Decoded kept = decode(wire + "\r\n.\r\nQUIT\r\n" + nul, piece, piece);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{1200}, kept.report.nuls);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, kept.report.nuls_stripped);
      check(with + "\r\n", kept.message);
      const Decoded stripped = decode(wire + "\r\n.\r\n", piece, piece, {998, true});
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, stripped.report.nuls);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{1200}, stripped.report.nuls_stripped);
      check(without + "\r\n", stripped.message);
    }
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, decode("a: b\r\n\r\nc\r\n.\r\n" + nul).report.nuls);
  }

  // Each of these would take minutes if every NUL or CR cost a look at all that follows.
  void hostileBytesTakeNoMoreTime() {
    for (const std::string& piece :
         {std::string("\0\r\n", 3), std::string("x\0", 2), std::string("x\r"), std::string("\0", 1),
          std::string("x\n\r")}) {
      std::string wire;
      while (wire.size() < (4 << 20)) {
        wire += piece;
      }
      CPPUNIT_ASSERT(decode("a: b\r\n\r\n" + wire + "\r\n.\r\n").ended);
    }
  }

  // A store that reads pieces of 8 KiB finds no line that is cut.
  // trap: seam-in-a-long-line
  void longLinesWithDotsWhereTheyAreBrokenKeepTheirDots() {
    for (const std::size_t limit : {std::size_t{998}, std::size_t{8000}}) {
      for (const auto& [from, to] :
           {std::pair(996u, 1002u), std::pair(7998u, 8002u), std::pair(8180u, 8200u)}) {
        for (std::size_t length = from; length <= to; ++length) {
          for (std::size_t dot = length - 12; dot < length; ++dot) {
            std::string line(length, 'x');
            line[dot] = '.';
            line[dot % limit] = '.';
            const std::string about =
                std::to_string(length) + " bytes, dot at " + std::to_string(dot);
            const std::string stuffed = (line[0] == '.' ? "." : "") + line + "\r\n";
            const std::string wire = relay(stuffed + ".\r\n", limit);
            check_wire(wire, about, limit);
            std::string joined = wire.substr(0, wire.size() - 3);
            for (std::size_t seam = joined.find("\r\n "); seam != std::string::npos;
                 seam = joined.find("\r\n ")) {
              joined.erase(seam, 3);
            }
            check(stuffed, joined, about);
          }
        }
      }
    }
  }

  void anEncodedMessageDecodesToTheSame() {
    for (const char* message : {"", "\r\n", ".\r\n", "a\r\n.b\r\n..\r\n\r\n", "a: b\r\n\r\n"}) {
      check(message, decode(encode(message)).message);
    }
  }

  void anyInputHasExactlyOneEndOnTheWire() {
    std::mt19937 random(20261121);
    const std::string pieces[] = {"\r",
                                  "\n",
                                  "\r\n",
                                  ".",
                                  ".",
                                  "\r\n.",
                                  "\r\n..\r\n",
                                  "a",
                                  "\xf0",
                                  std::string(1, '\0'),
                                  std::string(500, 'x'),
                                  "\xe2\x82\xac"};
    for (int round = 0; round < 3000; ++round) {
      std::string input;
      for (int i = 0; i < 14; ++i) {
        input += pieces[random() % std::size(pieces)];
      }
      const std::string about = "round " + std::to_string(round);
      const Decoded taken = decode(input + "\r\n.\r\n");
      CPPUNIT_ASSERT_MESSAGE(about, taken.ended);
      const std::string wire = encode(taken.message, 1 + random() % 600, 1 + random() % 40);
      check_wire(wire, about);
      check(taken.message, decode(wire, 1 + random() % 600, 1 + random() % 40).message, about);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DotStuffingTest);
