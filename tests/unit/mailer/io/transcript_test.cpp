#include "mailer/io/transcript.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/common/small_disk.h"

using lmtpq::Log;
using lmtpq::LogLevel;
using lmtpq::mailer::Transcript;

namespace fs = std::filesystem;

class TranscriptTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TranscriptTest);
  CPPUNIT_TEST(theFileHasLinesWithTheirDirection);
  CPPUNIT_TEST(ofTheMessageOnlyTheSizeIsWritten);
  CPPUNIT_TEST(aLineThatComesInPiecesIsOneLine);
  CPPUNIT_TEST(onlyTheOwnerCanReadTheFile);
  CPPUNIT_TEST(eachConnectionHasASeparateFile);
  CPPUNIT_TEST(theLogGetsTheLinesOfADebugPeer);
  CPPUNIT_TEST(nothingIsWrittenUnlessConfigured);
  CPPUNIT_TEST(aFileThatCannotBeCreatedIsLoggedOnce);
  CPPUNIT_TEST(aLongLineIsCutAndAnEmptyOneLeftOut);
  CPPUNIT_TEST(afterAFullDiskNothingMoreIsWritten);
  CPPUNIT_TEST_SUITE_END();

 public:
  void setUp() override {
    std::string name = fs::temp_directory_path() / "lmtpq-transcript-test-XXXXXX";
    CPPUNIT_ASSERT(mkdtemp(name.data()) != nullptr);
    folder_ = name;
    fs::create_directory(folder_ + "/t");
  }
  void tearDown() override { fs::remove_all(folder_); }

 private:
  std::string folder_;

  static std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  std::string logged() const { return text_of(folder_ + "/log"); }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(folder_ + "/t")) {
      all.push_back(entry.path());
    }
    return all;
  }
  // The file after a dialogue, without its first line.
  template <typename Dialogue>
  std::string written(Dialogue dialogue) const {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    {
      Transcript transcript(folder_ + "/t", false, "unix:/store", log);
      CPPUNIT_ASSERT(transcript.active());
      dialogue(transcript);
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files().size());
    const std::string text = text_of(files()[0]);
    const std::string first = "-- unix:/store\n";
    CPPUNIT_ASSERT_MESSAGE(text, text.starts_with(first));
    return text.substr(first.size());
  }

  void theFileHasLinesWithTheirDirection() {
    const std::string text = written([](Transcript& transcript) {
      transcript.received("220 hi\r\n");
      transcript.sent("LHLO me\r\n");
      transcript.received("250-store\r\n250-SIZE\r\n250 Ok\r\n");
      transcript.sent("MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n");
      transcript.received("");
      transcript.ended("the peer closed the connection");
    });
    CPPUNIT_ASSERT_EQUAL(std::string("S: 220 hi\nC: LHLO me\nS: 250-store\nS: 250-SIZE\nS: 250 Ok\n"
                                     "C: MAIL FROM:<>\nC: RCPT TO:<a>\nC: DATA\n"
                                     "-- the peer closed the connection\n"),
                         text);
  }

  void ofTheMessageOnlyTheSizeIsWritten() {
    CPPUNIT_ASSERT_EQUAL(std::string("C: (message, 4711 bytes)\n"),
                         written([](Transcript& t) { t.sent_message(4711); }));
  }

  void aLineThatComesInPiecesIsOneLine() {
    const std::string text = written([](Transcript& transcript) {
      for (const char c : std::string_view("250-a\r\n250 ok\r\n")) {
        transcript.received(std::string_view(&c, 1));
      }
      transcript.sent("RS");
      transcript.sent("ET\r\n");
      transcript.received("25");
      transcript.ended("time was up");
    });
    CPPUNIT_ASSERT_EQUAL(std::string("S: 250-a\nS: 250 ok\nC: RSET\nS: 25\n-- time was up\n"),
                         text);
  }

  void onlyTheOwnerCanReadTheFile() {
    written([](Transcript& transcript) { transcript.received("220 hi\r\n"); });
    struct stat status {};
    CPPUNIT_ASSERT_EQUAL(0, stat(files()[0].c_str(), &status));
    CPPUNIT_ASSERT_EQUAL(mode_t{0600}, status.st_mode & 07777);
  }

  void eachConnectionHasASeparateFile() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    for (int i = 0; i < 20; ++i) {
      Transcript(folder_ + "/t", false, "unix:/" + std::to_string(i), log);
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{20}, files().size());
    log.flush();
    CPPUNIT_ASSERT_EQUAL(std::string(), logged());
  }

  void theLogGetsTheLinesOfADebugPeer() {
    {
      const Log log("test", folder_ + "/log", LogLevel::kInfo);
      Transcript transcript("", true, "unix:/store", log);
      CPPUNIT_ASSERT(transcript.active());
      transcript.sent("RSET\r\n");
      transcript.received("250 \x1b[1m\r\n");
    }
    const std::string text = logged();
    CPPUNIT_ASSERT_MESSAGE(
        text, text.find(" event=transcript-line relay=unix:/store line=\"C: RSET\"\n") !=
                  std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(text, text.find(" line=\"S: 250 \\x1b[1m\"\n") != std::string::npos);
    CPPUNIT_ASSERT(files().empty());
  }

  void aLongLineIsCutAndAnEmptyOneLeftOut() {
    const std::string longest(4096, 'x');
    const std::string text = written([&](Transcript& transcript) {
      transcript.sent(longest + "y\r\n\r\n\nRSET\r\n");
      transcript.received("2");
      transcript.received(longest + "\r\n");
      transcript.note("TLS");
    });
    CPPUNIT_ASSERT_EQUAL("C: " + longest + "\nC: RSET\nS: 2" + longest.substr(1) + "\n-- TLS\n",
                         text);
  }

  void afterAFullDiskNothingMoreIsWritten() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    Transcript transcript(folder_ + "/t", false, "unix:/store", log);
    {
      const lmtpq::SmallDisk disk(5);
      transcript.note("one");
      CPPUNIT_ASSERT(!transcript.active());
    }
    transcript.note("two");
    CPPUNIT_ASSERT_EQUAL(std::string("-- unix:/store\n"), text_of(files()[0]));
  }

  void nothingIsWrittenUnlessConfigured() {
    const Log log("test", folder_ + "/log", LogLevel::kDebug);
    Transcript transcript("", false, "unix:/store", log);
    CPPUNIT_ASSERT(!transcript.active());
    transcript.sent("RSET\r\n");
    transcript.sent_message(1);
    transcript.ended("closed by us");
    log.flush();
    CPPUNIT_ASSERT_EQUAL(std::string(), logged());
    CPPUNIT_ASSERT(files().empty());
  }

  void aFileThatCannotBeCreatedIsLoggedOnce() {
    const Log log("test", folder_ + "/log", LogLevel::kInfo);
    Transcript transcript(folder_ + "/none", false, "unix:/store", log);
    transcript.sent("RSET\r\n");
    transcript.ended("closed by us");
    log.flush();
    const std::string text = logged();
    CPPUNIT_ASSERT_MESSAGE(text, text.find("level=warning event=transcript-failed file=" + folder_ +
                                           "/none/lmtpq-") != std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(text, text.ends_with("error=\"No such file or directory\"\n"));
    CPPUNIT_ASSERT_EQUAL(text.size() - 1, text.find('\n'));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TranscriptTest);
