// Random long lines, compared byte by byte with what they are broken into: what unfolding restores,
// and the few places where it may not.
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>

#include "mailer/lines/line_folder.h"
#include "tests/unit/mailer/lines/folded_line.h"

using lmtpq::mailer::LineFolder;
using lmtpq::mailer::Part;

namespace {

constexpr const char* kEuro = "\xe2\x82\xac";
constexpr const char* kMailbox = "\xf0\x9f\x93\xac";
// A run of blanks of at least the limit but this many bytes may leave no room for the sequence that
// follows it.
constexpr std::size_t kLongestSequence = 4;

bool blank(char c) { return c == ' ' || c == '\t'; }

// Of `text` from `begin` on: where the blanks there end.
std::size_t end_of_blanks(std::string_view text, std::size_t begin) {
  return std::min(text.find_first_not_of(" \t", begin), text.size());
}

// The line as it is passed on, with LF for CRLF; fed in pieces of this length.
std::string fold(std::string_view line, std::size_t limit, Part part, std::size_t piece) {
  LineFolder folder(limit);
  std::string out = folded_line(folder, line, part, piece);
  std::erase(out, '\r');
  out.pop_back();
  return out;
}

// A line, and what it was broken into.
class Comparison {
 public:
  Comparison(std::string_view line, std::string_view broken, std::size_t limit, Part part)
      : line_(line), broken_(broken), limit_(limit) {
    if (part == Part::kHeader && !blank(line[0])) {
      // What is before the first colon is a field's name, if both fit into one line.
      const std::size_t colon = line.find(':');
      const std::size_t name = colon == line.npos ? 0 : line.find_last_not_of(" \t", colon - 1) + 1;
      colon_ = name > 0 && name < limit ? colon : 0;
    }
  }

  void check() {
    while (in_ < line_.size() || out_ < broken_.size()) {
      const bool run =
          in_ < line_.size() && blank(line_[in_]) && (in_ == 0 || !blank(line_[in_ - 1]));
      if (run && may_lose(in_, end_of_blanks(line_, in_))) {
        pass_shortened(end_of_blanks(line_, in_));
      } else if (out_ < broken_.size() && broken_[out_] == '\n') {
        pass_break();
      } else {
        require(in_ < line_.size() && out_ < broken_.size() && line_[in_++] == broken_[out_++],
                "every other byte is restored");
      }
    }
    require(broken_.size() - part_ <= limit_, "the last part is within the limit");
  }

  std::size_t inserted() const { return inserted_; }

 private:
  void require(bool good, const char* what) const {
    if (!good) {
      CPPUNIT_FAIL(std::string(what) + ", limit " + std::to_string(limit_) + ", byte " +
                   std::to_string(in_) + " of: " + std::string(line_));
    }
  }

  // The blanks from `begin` to `end` of the line have room nowhere, or may have none.
  bool may_lose(std::size_t begin, std::size_t end) const {
    if (end == colon_ && colon_ > 0) {
      return colon_ >= limit_;
    }
    if (end - begin >= limit_ - kLongestSequence) {
      return true;
    }
    if (end < line_.size()) {
      return false;
    }
    // At the line's end: what begins in its last gap fits in no line.
    std::size_t gap = begin;
    while (gap > 0 && !blank(line_[gap - 1])) {
      --gap;
    }
    while (gap > 0 && blank(line_[gap - 1])) {
      --gap;
    }
    return line_.size() - (gap > colon_ ? gap : 0) > limit_;
  }

  // Blanks only, none more than there were, and broken once at most.
  void pass_shortened(std::size_t end) {
    std::size_t kept = 0;
    std::size_t breaks = 0;
    for (; out_ < broken_.size() && (blank(broken_[out_]) || broken_[out_] == '\n'); ++out_) {
      if (broken_[out_] == '\n') {
        ++breaks;
        end_part(out_);
      } else {
        ++kept;
      }
    }
    require(breaks <= 1 && kept <= end - in_, "blanks are only dropped");
    in_ = end;
  }

  void pass_break() {
    const std::string_view part = broken_.substr(part_, out_ - part_);
    const bool first = part_ == 0;
    end_part(out_++);
    require(out_ < broken_.size() && blank(broken_[out_]), "what follows a break is a blank");
    require(in_ > colon_ || colon_ == 0, "a field is not broken before its colon");
    if (in_ < line_.size() && blank(line_[in_])) {
      return;
    }
    ++inserted_;
    require(broken_[out_++] == ' ', "a space is inserted");
    require(part.size() + kLongestSequence > limit_, "a line that is cut is full");
    const std::size_t colon = first && colon_ > 0 ? part.find(':') : part.npos;
    const std::size_t word = colon == part.npos ? end_of_blanks(part, 0) : colon;
    require(part.find_first_of(" \t", word) == std::string_view::npos,
            "it is cut only where no blank is");
    require(whole_character(), "no character is cut");
  }

  // The character of the line before which the break is.
  bool whole_character() const {
    const auto byte = static_cast<unsigned char>(line_[in_]);
    const bool escape = line_.substr(in_ - 1, 3) == "=3D" || line_.substr(in_ - 2, 3) == "=3D";
    return (byte & 0xC0) != 0x80 && !escape;
  }

  void end_part(std::size_t end) {
    const std::string_view part = broken_.substr(part_, end - part_);
    require(part.size() <= limit_, "a part is within the limit");
    require(part.find_first_not_of(" \t") != std::string_view::npos, "no part is blanks only");
    part_ = end + 1;
  }

  std::string_view line_;
  std::string_view broken_;
  std::size_t limit_;
  std::size_t colon_ = 0;  // 0: none
  std::size_t in_ = 0;     // up to here both are compared
  std::size_t out_ = 0;
  std::size_t part_ = 0;  // where the current part begins
  std::size_t inserted_ = 0;
};

}  // namespace

class LineFolderModelTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(LineFolderModelTest);
  CPPUNIT_TEST(unfoldingRestoresEveryByte);
  CPPUNIT_TEST(smallLimitsTryEveryPlace);
  CPPUNIT_TEST(blanksAroundTheLimitAreKept);
  CPPUNIT_TEST_SUITE_END();

  std::mt19937 random_{20261121};

  std::size_t below(std::size_t most) { return random_() % most; }

  std::string word(std::size_t length) {
    std::string made;
    while (made.size() < length) {
      const std::string characters[] = {"a", "b", ":", ".", "=3D", "=", kEuro, kMailbox};
      made += below(4) > 0 ? "x" : characters[below(std::size(characters))];
    }
    return made;
  }

  std::string blanks(std::size_t limit) {
    const std::size_t lengths[] = {1, 1, 1, 2, 3, below(9) + 1, limit / 2, limit - 6 + below(5)};
    std::string made(below(30) == 0 ? 2 * limit : lengths[below(std::size(lengths))], ' ');
    for (char& c : made) {
      c = below(3) == 0 ? '\t' : ' ';
    }
    return made;
  }

  // Words and blanks; many gaps are near a multiple of the limit.
  std::string line(std::size_t limit, std::size_t words) {
    std::string made = below(3) == 0 ? "" : below(2) == 0 ? "X-Name:" : "X-Name :";
    made += below(4) == 0 ? blanks(limit) : "";
    for (; words > 0; --words) {
      const std::size_t room = limit - made.size() % limit;
      made += word(1 + (below(2) == 0 ? below(limit / 4) : room - std::min(room, below(5))));
      made += words > 1 || below(4) == 0 ? blanks(limit) : "";
    }
    return made;
  }

  // Returns how many spaces were inserted.
  std::size_t compare(const std::string& line, std::size_t limit) {
    const Part part = below(2) == 0 ? Part::kHeader : Part::kBody;
    const std::string broken = fold(line, limit, part, ~0u);
    if (line.size() <= limit || line.find_first_not_of(" \t") == std::string::npos) {
      CPPUNIT_ASSERT_EQUAL(line.substr(0, limit), broken);
      return 0;
    }
    CPPUNIT_ASSERT_EQUAL(broken, fold(line, limit, part, 1 + below(2 * limit)));
    Comparison comparison(line, broken, limit, part);
    comparison.check();
    return comparison.inserted();
  }

  void unfoldingRestoresEveryByte() {  // trap: word-cut-in-a-long-line
    std::size_t inserted = 0;
    for (int round = 0; round < 600; ++round) {
      const std::size_t limit = round % 3 == 0 ? 998 : round % 3 == 1 ? 8000 : 998 + below(7003);
      inserted += compare(line(limit, 1 + below(8)), limit);
    }
    CPPUNIT_ASSERT(inserted > 50);
  }

  void smallLimitsTryEveryPlace() {
    for (int round = 0; round < 100'000; ++round) {
      const std::size_t limit = 12 + below(20);
      compare(line(limit, 1 + below(5)), limit);
    }
  }

  void blanksAroundTheLimitAreKept() {
    for (const std::size_t limit : {998U, 8000U}) {
      for (std::size_t before = limit - 3; before <= limit; ++before) {
        for (const std::size_t run : {std::size_t{1}, std::size_t{2}, limit / 2, limit - 1}) {
          const std::string text(before, 'x');
          const std::string rest = std::string(run, ' ') + (run < limit - 1 ? "yyyyy" : "y");
          CPPUNIT_ASSERT_EQUAL(text + "\n" + rest,
                               fold(text + rest, limit, Part::kHeader, before + 1));
        }
      }
      const std::string end = " " + std::string(limit - 3, 'x') + "  ";
      CPPUNIT_ASSERT_EQUAL("a: b\n" + end, fold("a: b" + end, limit, Part::kHeader, 7));
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LineFolderModelTest);
