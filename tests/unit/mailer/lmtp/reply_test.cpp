#include "mailer/lmtp/reply.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

void check(const std::string& expected, const std::string& actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, actual);
}

// The summaries of all replies, then the rest: "..." if more is needed, or "bad".
std::string parse_all(std::string_view bytes, std::size_t first = ~0u, std::size_t other = ~0u) {
  ReplyParser parser;
  std::string all;
  for (std::size_t length = first; !bytes.empty(); length = other) {
    std::string_view piece = bytes.substr(0, length);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto result = parser.parse(piece);
      if (result == ReplyParser::Result::kBad) {
        CPPUNIT_ASSERT(!parser.bad_reason().empty());
        return all + "bad";
      }
      if (result == ReplyParser::Result::kReply) {
        all += parser.take().summary() + "; ";
        CPPUNIT_ASSERT(!parser.amid());
      }
    }
  }
  return all + (parser.amid() ? "..." : "");
}

Reply one(std::string_view bytes) {
  ReplyParser parser;
  CPPUNIT_ASSERT(parser.parse(bytes) == ReplyParser::Result::kReply);
  CPPUNIT_ASSERT(bytes.empty());
  return parser.take();
}

}  // namespace

class ReplyTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ReplyTest);
  CPPUNIT_TEST(readsReplies);
  CPPUNIT_TEST(rejectsInvalidReplies);
  CPPUNIT_TEST(everyCutOfTheBytesGivesTheSameReplies);
  CPPUNIT_TEST(keepsOnlyAStatusThatMatchesTheCode);
  CPPUNIT_TEST(theStatusOfARefusalHasTheClassOfItsCode);
  CPPUNIT_TEST(blanksAroundTheStatusAreIgnored);
  CPPUNIT_TEST(readsOnlyValidEnhancedStatuses);
  CPPUNIT_TEST(putsDetailBeforeExplanation);
  CPPUNIT_TEST(aMultiLineReplyKeepsItsLines);
  CPPUNIT_TEST(leavesTheNextReplyInTheInput);
  CPPUNIT_TEST(makesEveryTextPrintable);
  CPPUNIT_TEST(cutsALongLineAndGoesOnReading);
  CPPUNIT_TEST(cutsAReplyOfManyLines);
  CPPUNIT_TEST(rejectsAnEndlessReply);
  CPPUNIT_TEST(findsTheSessionId);
  CPPUNIT_TEST(printsOneShortPrintableLine);
  CPPUNIT_TEST(aCappedReplyIsOneLineOfBoundedLength);
  CPPUNIT_TEST_SUITE_END();

  void readsReplies() {
    const std::pair<const char*, const char*> rows[] = {
        {"", ""},
        {"250 ok\r\n", "250 ok; "},
        {"250\r\n", "250; "},
        {"250 \r\n", "250; "},
        {"250-\r\n250\r\n", "250; "},
        {"250 ok\n", "250 ok; "},
        {"354 go ahead\r\n", "354 go ahead; "},
        {"150 x\r\n", "150 x; "},
        {"452 4.2.2 Over quota\r\n", "452 4.2.2 Over quota; "},
        {"452 4.2.2\r\n", "452 4.2.2; "},
        {"250-a\r\n250-b\r\n250 c\r\n", "250 a b c; "},
        // trap: multi-line-reply
        {"550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n", "550 5.1.1 a b c; "},
        {"421-4.3.0 usage\r\n421 4.3.0 bye\r\n", "421 4.3.0 usage bye; "},  // trap: odd-greeting
        {"250 a\r\n550 b\r\n", "250 a; 550 b; "},
        {"250 a\r\n55", "250 a; ..."},
        {"250-a\r\n", "..."},
    };
    for (const auto& [bytes, replies] : rows) {
      check(replies, parse_all(bytes), bytes);
    }
  }

  void rejectsInvalidReplies() {  // trap: invalid-final-reply
    for (const char* bytes :
         {"\r\n", "\n", "25\r\n", "2500 x\r\n", "250x\r\n", "hello\r\n", " 250 x\r\n", "050 x\r\n",
          "650 x\r\n", "2x0 x\r\n", "+OK\r\n", "250\tx\r\n", "250\r\r\n", "250-a\r\nb\r\n",
          "250-a\r\n251 b\r\n", "250-a\r\n550-b\r\n", "\0250 x\r\n"}) {
      check("bad", parse_all(bytes[0] == '\0' ? std::string_view("\0250 x\r\n", 8) : bytes), bytes);
    }
    check("250 a; bad", parse_all("250 a\r\nfoo\r\n250 b\r\n"));
  }

  void everyCutOfTheBytesGivesTheSameReplies() {  // trap: replies-cut-anywhere
    const std::string_view good =
        "220 hi\r\n250-mail\r\n250-SIZE 5\r\n250 Ok SESSIONID=<s>\r\n452 4.2.2 full\r\n354\r\n"
        "550-5.1.1 a\r\n550-b\r\n550 5.1.1 c\r\n250";
    const std::string with_bad = std::string(good) + " x\r\nfoo\r\n250 b\r\n";
    for (const std::string_view bytes : {good, std::string_view(with_bad)}) {
      const std::string whole = parse_all(bytes);
      CPPUNIT_ASSERT(
          whole.starts_with("220 hi; 250 mail SIZE 5 Ok SESSIONID=<s>; 452 4.2.2 full; "));
      for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        check(whole, parse_all(bytes, cut), "cut at " + std::to_string(cut));
      }
      check(whole, parse_all(bytes, 1, 1), "byte by byte");
    }
  }

  void keepsOnlyAStatusThatMatchesTheCode() {
    CPPUNIT_ASSERT((one("250 2.1.5 ok\r\n").status == EnhancedStatus{2, 1, 5}));
    for (const char* bytes : {"250 5.1.5 ok\r\n", "550 2.1.1 no\r\n", "452 2.0.0 x\r\n",
                              "250 ok\r\n", "354 2.0.0 go\r\n", "250 3.0.0 ok\r\n"}) {
      const Reply reply = one(bytes);
      CPPUNIT_ASSERT_MESSAGE(bytes, !reply.status);
      check(std::string(bytes, 4, std::string::npos), reply.text() + "\r\n");
    }
    const Reply last = one("550-5.1.1 a\r\n550 5.7.1 b\r\n");
    CPPUNIT_ASSERT((last.status == EnhancedStatus{5, 7, 1}));
  }

  void theStatusOfARefusalHasTheClassOfItsCode() {
    const struct {
      const char* bytes;
      EnhancedStatus status;
      const char* summary;
    } rows[] = {
        {"452 5.2.2 full\r\n", {4, 2, 2}, "452 5.2.2 full"},
        {"550 4.1.1 no\r\n", {5, 1, 1}, "550 4.1.1 no"},
        {"452-5.2.2 full\r\n452 now\r\n", {4, 2, 2}, "452 5.2.2 full; now"},
        {"452-now\r\n452 5.2.2 full\r\n", {4, 2, 2}, "452 5.2.2 full; now"},
        {"452-5.2.2 a\r\n452 4.3.1 b\r\n", {4, 3, 1}, "452 4.3.1 a b"},
        {"452-4.3.1 a\r\n452 5.2.2 b\r\n", {4, 3, 1}, "452 4.3.1 a; 5.2.2 b"},
    };
    for (const auto& row : rows) {
      const Reply reply = one(row.bytes);
      CPPUNIT_ASSERT_MESSAGE(row.bytes, reply.status == row.status);
      check(row.summary, reply.summary(), row.bytes);
      check(row.summary, capped(reply).summary(), row.bytes);
    }
  }

  void blanksAroundTheStatusAreIgnored() {
    for (const char* bytes : {"452 4.2.2\tfull\r\n", "452 4.2.2 \t full\r\n", "452  4.2.2 full\r\n",
                              "452 \t4.2.2 full\r\n"}) {
      check("452 4.2.2 full", one(bytes).summary(), bytes);
    }
  }

  void readsOnlyValidEnhancedStatuses() {  // RFC 3463 section 2
    for (const char* text : {"2.0.0", "4.2.2 ", "5.123.999 x", "2.1.5  two spaces"}) {
      std::string_view rest = text;
      CPPUNIT_ASSERT_MESSAGE(text, EnhancedStatus::take(rest));
      CPPUNIT_ASSERT_MESSAGE(text, !rest.starts_with(' '));
    }
    for (const char* text :
         {"", "2", "2.", "2.0", "2.0.", "2.0.0x", "2.0.0.0", "1.0.0", "3.0.0", "22.0.0", "2.1234.0",
          "2.0.1234", "2. 0.0", "2..0", " 2.0.0", "2.0.0-x", "2.-1.0"}) {
      std::string_view rest = text;
      CPPUNIT_ASSERT_MESSAGE(text, !EnhancedStatus::take(rest));
      CPPUNIT_ASSERT_EQUAL(std::string_view(text), rest);
    }
    check("5.123.7", EnhancedStatus{5, 123, 7}.text());
  }

  // trap: long-reply-line
  void putsDetailBeforeExplanation() {  // a reader of one line gets the detail
    const Reply reply = one("550-Please see\r\n550-5.1.1 unknown user\r\n550 our pages\r\n");
    check("550 5.1.1 unknown user; Please see our pages", reply.summary());
  }

  void aMultiLineReplyKeepsItsLines() {
    const Reply reply = one("250-host\r\n250-SIZE 5\r\n250-\r\n250 Ok\r\n");
    CPPUNIT_ASSERT_EQUAL(std::size_t{4}, reply.lines.size());
    check("SIZE 5", reply.lines[1]);
    check("", reply.lines[2]);
    CPPUNIT_ASSERT(reply.positive() && reply.klass() == 2);
  }

  void leavesTheNextReplyInTheInput() {
    ReplyParser parser;
    std::string_view input = "250-a\r\n250 b\r\n354 c\r\n";
    CPPUNIT_ASSERT(parser.parse(input) == ReplyParser::Result::kReply);
    check("354 c\r\n", std::string(input));
    check("a b", parser.take().text());
    CPPUNIT_ASSERT(parser.parse(input) == ReplyParser::Result::kReply);
    check("354 c", parser.take().summary());
  }

  void makesEveryTextPrintable() {
    const Reply reply = one(std::string_view("550 5.1.1 a\0b\tc\x1b[1m\x7f\xc3\xa9\rd\r\n", 26));
    check("a?b c?[1m????d", reply.text());
  }

  void cutsALongLineAndGoesOnReading() {
    const std::string megabyte(1 << 20, 'x');
    const std::string bytes = "250 2.1.5 " + megabyte + "\r\n550 no\r\n";
    const std::string kept = "250 2.1.5 " + std::string(ReplyParser::kMaxKeptLine - 10, 'x');
    check(kept + "; 550 no; ", parse_all(bytes));
    check(kept + "; 550 no; ", parse_all(bytes, 4096, 4096));
    check(kept + "; 550 no; ", parse_all(bytes, 1, 999));
  }

  void cutsAReplyOfManyLines() {
    std::string bytes;
    for (int i = 0; i < 5000; ++i) {
      bytes += i % 2 == 0 ? "250-\r\n" : "250-2.1.0 line\r\n";
    }
    const Reply reply = one(bytes + "250 2.1.5 last\r\n");
    CPPUNIT_ASSERT(reply.lines.size() > 10);
    CPPUNIT_ASSERT(reply.lines.size() * sizeof(std::string) <= 4 * ReplyParser::kMaxKept);
    CPPUNIT_ASSERT(reply.text().size() <= ReplyParser::kMaxKept);
    CPPUNIT_ASSERT((reply.status == EnhancedStatus{2, 1, 5}));
  }

  void rejectsAnEndlessReply() {
    for (const std::string& piece : {std::string(1 << 16, 'x'), std::string("more\r\n250-")}) {
      ReplyParser parser;
      std::string_view input = "250-";
      auto result = parser.parse(input);
      std::size_t fed = input.size();
      while (result == ReplyParser::Result::kNeedMore && fed < 2 * ReplyParser::kMaxReply) {
        input = piece;
        result = parser.parse(input);
        fed += piece.size();
      }
      CPPUNIT_ASSERT(result == ReplyParser::Result::kBad);
      CPPUNIT_ASSERT(fed + piece.size() >= ReplyParser::kMaxReply);
    }
  }

  void findsTheSessionId() {  // traps: sessionid-in-lhlo, sessionid-changes
    const std::pair<const char*, const char*> rows[] = {
        {"250 2.0.0 Ok SESSIONID=<lmtp-7-1>\r\n", "lmtp-7-1"},
        {"250-host\r\n250-TRACE\r\n250 Ok SESSIONID=<a>\r\n", "a"},
        {"250 2.0.0 Ok SESSIONID=<a> TRACEID=<b>\r\n", "a"},
        {"250 ok\r\n", ""},
        {"250 SESSIONID=<a\r\n", ""},
        {"250 SESSIONID=<>\r\n", ""},
        {"250 SESSIONID=a>\r\n", ""},
    };
    for (const auto& [bytes, id] : rows) {
      check(id, session_id(one(bytes)), bytes);
    }
  }

  void printsOneShortPrintableLine() {  // trap: long-reply-line
    check("452 4.2.2 Over quota\r\n", reply_line(452, {4, 2, 2}, "Over quota"));
    check("550 5.1.1 a??250 b c??\r\n", reply_line(550, {5, 1, 1}, "a\r\n250 b\tc\xc3\xa9"));
    const std::string longest = reply_line(550, {5, 1, 1}, std::string(1 << 20, 'x'));
    CPPUNIT_ASSERT_EQUAL(kMaxReplyLine, longest.size());
    CPPUNIT_ASSERT(longest.ends_with("x\r\n"));
    CPPUNIT_ASSERT_EQUAL(longest.size() - 1, longest.find('\n'));
  }

  void aCappedReplyIsOneLineOfBoundedLength() {
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), capped("abc"));
    CPPUNIT_ASSERT_EQUAL(std::string("ab"), capped("abc", 2));
    CPPUNIT_ASSERT_EQUAL(kMaxReplyLine, capped(std::string(2000, 'x')).size());
    const Reply small{250, EnhancedStatus{2, 1, 5}, {"ok"}, {0}};
    CPPUNIT_ASSERT_EQUAL(std::string("250 2.1.5 ok"), capped(small).summary());
    const Reply large{550, EnhancedStatus{5, 1, 1}, {std::string(900, 'x'), "detail"}, {1}};
    const Reply shown = capped(large);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, shown.lines.size());
    CPPUNIT_ASSERT_EQUAL(kMaxReplyLine, shown.lines[0].size());
    CPPUNIT_ASSERT(shown.summary().starts_with("550 5.1.1 detail; xxx"));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReplyTest);
