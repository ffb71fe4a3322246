#include "mailer/lmtp/canonical_lines.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>
#include <vector>

using lmtpq::mailer::CanonicalLines;

namespace {

constexpr const char* kEuro = "\xe2\x82\xac";
constexpr const char* kMailbox = "\xf0\x9f\x93\xac";

std::string canonical(std::string_view bytes, std::size_t limit = 998, std::size_t first = ~0u,
                      std::size_t other = ~0u) {
  CanonicalLines filter(limit);
  std::string out;
  for (std::size_t length = first; !bytes.empty(); length = other) {
    filter.feed(bytes.substr(0, length), out);
    bytes.remove_prefix(std::min(length, bytes.size()));
  }
  filter.finish(out);
  return out;
}

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

// No line begins in the middle of a sequence (RFC 3629: continuation bytes are 10xxxxxx).
void check_whole_sequences(std::string_view text, const std::string& about) {
  for (std::size_t i = text.find("\r\n "); i != std::string_view::npos; i = text.find("\r\n ", i)) {
    i += 3;
    CPPUNIT_ASSERT_MESSAGE(about, (static_cast<unsigned char>(text.at(i)) & 0xC0) != 0x80);
  }
}

}  // namespace

class CanonicalLinesTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(CanonicalLinesTest);
  CPPUNIT_TEST(everyLineEndBecomesCrlf);
  CPPUNIT_TEST(passesNulAndEightBitBytes);
  CPPUNIT_TEST(leavesCanonicalTextAlone);
  CPPUNIT_TEST(breaksALineOneByteTooLongWithCrlfSpace);
  CPPUNIT_TEST(breaksAVeryLongLineIntoFullLines);
  CPPUNIT_TEST(neverBreaksInsideAUtf8Sequence);
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
        {"a\rb", "a\r\nb\r\n"},
        {"a\nb\n", "a\r\nb\r\n"},
        {"a\r\r\nb", "a\r\nb\r\n"},  // a run of CRs before an LF is one line end
        {"a\r\r\r\n", "a\r\n"},
        {"a\r\rb", "a\r\n\r\nb\r\n"},  // otherwise each CR is a line end
        {"a\n\rb", "a\r\n\r\nb\r\n"},
        {"\n\n", "\r\n\r\n"},
        {"\r", "\r\n"},
        {"a\r\n\r", "a\r\n\r\n"},
        {"a\r\n.\n", "a\r\n.\r\n"},
    };
    for (const auto& [in, out] : rows) {
      check(out, canonical(in), in);
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

  void breaksALineOneByteTooLongWithCrlfSpace() {  // trap: seam-in-a-long-line
    const std::string full(998, 'x');
    check(full + "\r\n", canonical(full));
    check(full + "\r\n y\r\n", canonical(full + "y"));
    check(full + "\r\n .\r\n", canonical(full + "."));
    check(full + "\r\ny\r\n", canonical(full + "\r\ny"));
    check("abcde\r\n fgh\r\n", canonical("abcdefgh", 5));
  }

  void breaksAVeryLongLineIntoFullLines() {
    const std::string text = canonical(std::string(998 + 997 * 10, 'x'));
    CPPUNIT_ASSERT_EQUAL(std::size_t{11 * 1000}, text.size());
    check_lines(text, 998, "11 full lines");
  }

  // At any place in the line, and however the input is cut.
  void neverBreaksInsideAUtf8Sequence() {
    for (const char* sequence : {"\xc3\xbc", kEuro, kMailbox}) {
      for (std::size_t before = 990; before < 1000; ++before) {
        const std::string text = std::string(before, 'x') + sequence + sequence + "y";
        const std::string about = std::to_string(before) + " before " + sequence;
        check_whole_sequences(canonical(text), about);
        check_lines(canonical(text), 998, about);
        check(canonical(text), canonical(text, 998, 1, 1), about + ", byte by byte");
        for (std::size_t cut = before; cut < text.size(); ++cut) {
          check(canonical(text), canonical(text, 998, cut),
                about + ", cut at " + std::to_string(cut));
        }
      }
    }
    std::string many;
    for (int i = 0; i < 3000; ++i) {
      many += kEuro;
    }
    check_whole_sequences(canonical(many), "euros");
  }

  void everyCutOfTheInputGivesTheSameLines() {
    const std::string text =
        std::string("a\r\r\nb\rc\n\r\r\xe2\x82\xac") + kMailbox + "\r\n.\r\r\rlong line";
    for (const std::size_t limit : {6u, 7u, 998u}) {
      const std::string whole = canonical(text, limit);
      check(whole, canonical(text, limit, 1, 1), "byte by byte");
      for (std::size_t cut = 1; cut < text.size(); ++cut) {
        check(whole, canonical(text, limit, cut), "cut at " + std::to_string(cut));
      }
    }
  }

  void aCleanLinePassesUnchanged() {
    std::mt19937 random(7);
    const std::vector<std::string> pieces = {"a",
                                             "\xf0",
                                             "\r\n",
                                             "\r\n",
                                             "\n",
                                             "\r",
                                             kEuro,
                                             "bcde",
                                             "fghij",
                                             kMailbox,
                                             std::string(1, '\0')};
    int clean = 0;
    for (int round = 0; round < 20'000; ++round) {
      const std::size_t limit = 8 + random() % 16;
      std::string text;
      for (std::size_t length = 1 + random() % 12; length > 0; --length) {
        text += pieces[random() % pieces.size()];
      }
      const std::size_t line = CanonicalLines(limit).clean_line(text);
      CanonicalLines filter(limit);
      std::string out;
      filter.feed(std::string_view(text).substr(0, line), out);
      check(text.substr(0, line), out, text);
      filter.finish(out);
      check(text.substr(0, line), out, "at the start of the next line");
      clean += line > 0 ? 1 : 0;
      CPPUNIT_ASSERT_MESSAGE(text, line == 0 || text.find('\n') + 1 == line);
    }
    CPPUNIT_ASSERT(clean > 2'000);
    CPPUNIT_ASSERT_EQUAL(std::size_t{995},
                         CanonicalLines().clean_line(std::string(993, 'x') + "\r\n"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, CanonicalLines().clean_line("\r\nabc\r\n"));
  }

  void linesAreBoundedForAnyInput() {
    std::mt19937 random(20261121);
    const std::string pieces[] = {"\r",
                                  "\n",
                                  "\r\n",
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

  // Memory must not grow with the message: a long run of CRs is not held back.
  void writesAtMostThreeBytesPerInputByte() {
    CanonicalLines filter;
    std::string out;
    const std::string returns(1 << 16, '\r');
    for (int i = 0; i < 32; ++i) {
      out.clear();
      filter.feed(returns, out);
      CPPUNIT_ASSERT(out.size() <= 3 * returns.size());
    }
    out.clear();
    filter.feed("x", out);
    CPPUNIT_ASSERT_MESSAGE(std::to_string(out.size()), out.size() <= 3 * returns.size());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CanonicalLinesTest);
