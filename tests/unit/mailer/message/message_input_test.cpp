#include "mailer/message/message_input.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using namespace lmtpq::mailer;

namespace {

Settings settings(NulPolicy nul = NulPolicy::kPass) {
  Settings made;
  made.line_limit = 998;
  made.nul = nul;
  made.spool_dir = "/nowhere";
  return made;
}

void feed(MessageInput& input, std::string_view bytes, std::size_t piece = ~0u) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    input.append(bytes.substr(0, piece));
  }
  input.finish();
}

const std::string nul(1, '\0');

void check(const std::string& expected, std::string_view actual, const std::string& about = "") {
  CPPUNIT_ASSERT_EQUAL_MESSAGE(about, expected, std::string(actual));
}

}  // namespace

class MessageInputTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageInputTest);
  CPPUNIT_TEST(anMboxLineAtTheVeryTopIsDropped);
  CPPUNIT_TEST(nulsAreStrippedBeforeTheTopIsLookedAt);
  CPPUNIT_TEST(aLongRunOfLoneCrsIsPassedOnWhole);
  CPPUNIT_TEST(onlyMailWithEightBitBytesIs8BitMime);
  CPPUNIT_TEST(theReportIsOfTheWholeMessage);
  CPPUNIT_TEST_SUITE_END();

  void anMboxLineAtTheVeryTopIsDropped() {  // trap: mbox-line
    const std::pair<std::string, std::string> rows[] = {
        {"From a Sat Nov 21\nSubject: s\n\nb\n", "Subject: s\r\n\r\nb\r\n"},
        {">From a Sat Nov 21\r\nSubject: s\r\n", "Subject: s\r\n"},
        {"From a\r\r\nSubject: s\n", "Subject: s\r\n"},
        {"From \nSubject: s\n", "Subject: s\r\n"},
        {"From a\nFrom b\nSubject: s\n", "From b\r\nSubject: s\r\n"},
        {"From a\n>From b\nSubject: s\n", ">From b\r\nSubject: s\r\n"},
        {"From a\rb\nSubject: s\n", "Subject: s\r\n"},                 // ends at the LF only
        {"From a\rSubject: s\rX: y\r", "From a Subject: s X: y\r\n"},  // not all of the message
        {"From a\n\nb\n", "\r\nb\r\n"},
        {"From a", "From a\r\n"},
        {"From a\r", "From a\r\n"},
        {"From " + std::string(992, 'x') + "\nA: b\n", "A: b\r\n"},
        {"From " + std::string(993, '\r') + "\nA: b\n", "From \r\nA: b\r\n"},
        {nul + "From a\nA: b\n", nul + "From a\r\nA: b\r\n"},
        {"From a" + nul + "\nA: b\n", "A: b\r\n"},
        {"From: a\n", "From: a\r\n"},
        {"from a\n", "from a\r\n"},
        {"From\ta\n", "From\ta\r\n"},
        {">>From a\n", ">>From a\r\n"},
        {"> From a\n", "> From a\r\n"},
        {" From a\n", " From a\r\n"},
        {"\nFrom a\n", "\r\nFrom a\r\n"},
        {"A: b\nFrom c\n", "A: b\r\nFrom c\r\n"},
        {"From", "From\r\n"},
        {">Fro", ">Fro\r\n"},
        {"", ""},
    };
    for (const auto& [in, out] : rows) {
      for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, in.size() + 1}) {
        MessageInput input(settings());
        feed(input, in, piece);
        check(out, input.data().body().head(), in);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{out.size()}, input.data().body().size());
      }
    }
  }

  void nulsAreStrippedBeforeTheTopIsLookedAt() {
    const std::pair<std::string, const char*> rows[] = {
        {nul + "From a\nA: b\n", "A: b\r\n"},
        {"Fr" + nul + "om" + nul + " a\nA: b\n", "A: b\r\n"},
        {">" + nul + nul + "From a\nA: b\n", "A: b\r\n"},
        {"From a" + nul + nul + "\nA: b\n", "A: b\r\n"},
        {"From" + nul + ": a\n" + nul, "From: a\r\n"},
        {nul + "\nFrom a\n" + nul, "\r\nFrom a\r\n"},
        {"From " + nul + nul, "From \r\n"},
    };
    for (const auto& [in, out] : rows) {
      for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, in.size()}) {
        MessageInput input(settings(NulPolicy::kStrip));
        feed(input, in, piece);
        check(out, input.data().body().head(), in);
        const auto nuls = static_cast<std::uint64_t>(std::count(in.begin(), in.end(), '\0'));
        CPPUNIT_ASSERT_EQUAL(nuls, input.data().text().nuls_stripped);
      }
    }
  }

  void onlyMailWithEightBitBytesIs8BitMime() {
    const std::pair<const char*, BodyType> rows[] = {
        {"A: b\n\nc\n", BodyType::kUnstated},
        {"A: b\n\n\x7f\x01\n", BodyType::kUnstated},
        {"A: b\n\nGr\xc3\xbc\xc3\x9f"
         "e\n",
         BodyType::k8BitMime},
        {"A: \xe4\n\nc\n", BodyType::k8BitMime},
        {"From \xe4\nA: b\n", BodyType::kUnstated},
        {"X-LMTPQ-Tag: \xe4\nA: b\n\nc\n", BodyType::kUnstated},  // what is sent counts
        {"X-LMTPQ-Tag: \xe4\nA: \xe4\n\nc\n", BodyType::k8BitMime},
        {"X-LMTPQ-Tag: \xe4\n\n\xe4\n", BodyType::k8BitMime},
    };
    for (const auto& [in, type] : rows) {
      for (const std::size_t piece : {1U, 100U}) {
        MessageInput input(settings());
        feed(input, in, piece);
        CPPUNIT_ASSERT_MESSAGE(in, type == input.body_type());
      }
    }
  }

  void aLongRunOfLoneCrsIsPassedOnWhole() {
    for (const std::size_t length : {100U, 100'000U}) {
      MessageInput input(settings());
      feed(input, "\n" + std::string(length, '\r') + "x\ry\n", 4096);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{2 + 2 * length + 6}, input.data().body().size());
    }
  }

  void theReportIsOfTheWholeMessage() {
    const std::string text = "A: b\n\n" + std::string(1, '\0') + std::string(2000, 'x') + "\n" +
                             std::string(3, '\0') + "\nX-LMTPQ-Tag: no tag\n";
    MessageInput passed(settings());
    feed(passed, text);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, passed.data().text().folded_lines);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, passed.data().text().nuls);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, passed.data().text().nuls_stripped);
    MessageInput stripped(settings(NulPolicy::kStrip));
    feed(stripped, text, 7);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, stripped.data().text().nuls);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, stripped.data().text().nuls_stripped);
    CPPUNIT_ASSERT(stripped.data().body().head().find('\0') == std::string_view::npos);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageInputTest);
