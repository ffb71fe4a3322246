#include "mailer/message/message_spool.h"

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/unit/common/small_disk.h"
#include "tests/unit/mailer/io/thread_scheduler.h"

using lmtpq::SmallDisk;
using lmtpq::mailer::MessageSpool;
using lmtpq::mailer::ThreadScheduler;

namespace {

namespace fs = std::filesystem;

// All pieces differ, so that a lost, repeated or moved piece is noticed.
std::string text_of(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) {
    text += std::to_string(i) + "\r\n";
  }
  text.resize(size);
  return text;
}

void append_in_pieces(MessageSpool& body, std::string_view text, std::size_t piece) {
  while (!text.empty()) {
    body.append(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
  }
}

struct Read {
  std::string text;
  bool failed = false;
  std::string failure;
};

Read read_all(const MessageSpool& body) {
  MessageSpool::Reader reader(body);
  Read read;
  std::string_view piece;
  for (;;) {
    switch (reader.next(piece)) {
      case MessageSpool::Reader::Result::kBytes:
        CPPUNIT_ASSERT(!piece.empty());
        read.text += piece;
        break;
      case MessageSpool::Reader::Result::kEnd:
        return read;
      case MessageSpool::Reader::Result::kFailed:
        read.failed = true;
        read.failure = reader.failure();
        return read;
    }
  }
}

}  // namespace

class MessageSpoolTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageSpoolTest);
  CPPUNIT_TEST(everyByteCanBeReadAsOftenAsNeeded);
  CPPUNIT_TEST(whereMemoryIsShortAllButTheHeadIsInTheFile);
  CPPUNIT_TEST(inMemoryItTakesNoMoreThanItHas);
  CPPUNIT_TEST(twoReadersDoNotDisturbEachOther);
  CPPUNIT_TEST(theHeadIsKeptInMemory);
  CPPUNIT_TEST(aSpoolFileHasNoName);
  CPPUNIT_TEST(aSmallMessageNeedsNoSpool);
  CPPUNIT_TEST(aSpoolThatCannotBeCreatedIsReportedAtTheEnd);
  CPPUNIT_TEST(aFullDiskIsReportedAtTheEnd);
  CPPUNIT_TEST(aMessageOverTheLimitIsCountedAndNotKept);
  CPPUNIT_TEST(anIncompleteBodyIsNeverReadAsComplete);
  CPPUNIT_TEST(aFileThatWasCutIsNeverReadAsComplete);
  CPPUNIT_TEST(memoryIsDoubledUpToItsLimit);
  CPPUNIT_TEST(aFiberReadsAllPieceByPiece);
  CPPUNIT_TEST_SUITE_END();

 public:
  void setUp() override {
    std::string name = fs::temp_directory_path() / "lmtpq-body-test-XXXXXX";
    CPPUNIT_ASSERT(mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  void tearDown() override { fs::remove_all(folder_); }

 private:
  std::string folder_;

  void everyByteCanBeReadAsOftenAsNeeded() {
    const std::size_t sizes[] = {0,       1,       65'535,  65'536,  65'537,
                                 262'143, 262'144, 262'145, 327'680, 2'000'001};
    const std::size_t pieces[] = {997, 65'536, 262'144, 262'145, 4'000'000};
    for (const std::size_t size : sizes) {
      const std::string text = text_of(size);
      for (const std::size_t piece : pieces) {
        MessageSpool body(folder_, std::nullopt);
        append_in_pieces(body, text, piece);
        const std::string about = std::to_string(size) + " by " + std::to_string(piece);
        CPPUNIT_ASSERT_MESSAGE(about, body.state() == MessageSpool::State::kGood);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(about, std::uint64_t{size}, body.size());
        for (int time = 0; time < 2; ++time) {
          const Read read = read_all(body);
          CPPUNIT_ASSERT_MESSAGE(about, !read.failed);
          CPPUNIT_ASSERT_MESSAGE(about, read.text == text);
        }
      }
    }
  }

  void whereMemoryIsShortAllButTheHeadIsInTheFile() {
    lmtpq::mailer::MemoryBudget budget(0);
    for (const std::size_t size : {1'000u, 65'536u, 65'537u, 100'000u, 200'000u, 300'000u}) {
      const std::string text = text_of(size);
      lmtpq::mailer::MemoryShare share(&budget);
      MessageSpool body(folder_, std::nullopt, &share);
      append_in_pieces(body, text, 8'000);
      CPPUNIT_ASSERT(body.state() == MessageSpool::State::kGood);
      CPPUNIT_ASSERT(read_all(body).text == text);
      CPPUNIT_ASSERT(body.head() == text.substr(0, MessageSpool::kHead));
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, budget.used());
    }
  }

  void inMemoryItTakesNoMoreThanItHas() {
    lmtpq::mailer::MemoryBudget budget(1'000'000);
    lmtpq::mailer::MemoryShare share(&budget);
    MessageSpool body("/does/not/exist", std::nullopt, &share);
    const std::string text = text_of(MessageSpool::kMemory);
    append_in_pieces(body, text, 1'001);
    CPPUNIT_ASSERT(read_all(body).text == text);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{MessageSpool::kMemory - MessageSpool::kHead}, budget.used());
    // Once it is in a file, the rest is given back.
    MessageSpool large(folder_, std::nullopt, &share);
    append_in_pieces(large, text_of(MessageSpool::kMemory + 1), 1'001);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{MessageSpool::kMemory - MessageSpool::kHead}, budget.used());
  }

  void twoReadersDoNotDisturbEachOther() {
    const std::string text = text_of(300'000);
    MessageSpool body(folder_, std::nullopt);
    body.append(text);
    MessageSpool::Reader first(body);
    MessageSpool::Reader second(body);
    std::string read[2];
    std::string_view piece;
    while (first.next(piece) == MessageSpool::Reader::Result::kBytes) {
      read[0] += piece;
      CPPUNIT_ASSERT(second.next(piece) == MessageSpool::Reader::Result::kBytes);
      read[1] += piece;
    }
    CPPUNIT_ASSERT(second.next(piece) == MessageSpool::Reader::Result::kEnd);
    CPPUNIT_ASSERT(read[0] == text);
    CPPUNIT_ASSERT(read[1] == text);
  }

  void theHeadIsKeptInMemory() {
    for (const std::size_t size : {0u, 1u, 65'536u, 65'537u, 262'144u, 262'145u, 1'000'000u}) {
      const std::string text = text_of(size);
      for (const std::size_t piece : {1'000u, 4'000'000u}) {
        MessageSpool body(folder_, std::nullopt);
        append_in_pieces(body, text, piece);
        CPPUNIT_ASSERT(body.head() == text.substr(0, MessageSpool::kHead));
      }
    }
    // A short beginning in memory, then a piece that goes to the spool at once.
    const std::string text = text_of(300'000);
    MessageSpool body(folder_, std::nullopt);
    body.append(text.substr(0, 10));
    body.append(text.substr(10));
    CPPUNIT_ASSERT(body.head() == text.substr(0, MessageSpool::kHead));
  }

  void aSpoolFileHasNoName() {
    MessageSpool body(folder_, std::nullopt);
    body.append(text_of(300'000));
    CPPUNIT_ASSERT(fs::is_empty(folder_));
    CPPUNIT_ASSERT_EQUAL(std::size_t{300'000}, read_all(body).text.size());
  }

  void aSmallMessageNeedsNoSpool() {
    MessageSpool body("/nowhere", std::nullopt);
    const std::string text = text_of(MessageSpool::kMemory);
    append_in_pieces(body, text, 1000);
    CPPUNIT_ASSERT(body.state() == MessageSpool::State::kGood);
    CPPUNIT_ASSERT(read_all(body).text == text);
  }

  void aSpoolThatCannotBeCreatedIsReportedAtTheEnd() {
    const std::string file = folder_ + "/file";
    fclose(fopen(file.c_str(), "w"));
    // In /proc no file can be created.
    for (const std::string& directory : {folder_ + "/none", file, std::string("/proc")}) {
      MessageSpool body(directory, std::nullopt);
      append_in_pieces(body, text_of(262'145), 1000);
      body.append("more");
      CPPUNIT_ASSERT_MESSAGE(directory, body.state() == MessageSpool::State::kUnspooled);
      CPPUNIT_ASSERT_MESSAGE(body.failure(),
                             body.failure().starts_with("spool directory " + directory + ": ") &&
                                 body.failure().size() > directory.size() + 18);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{262'149}, body.size());
    }
  }

  void aFullDiskIsReportedAtTheEnd() {
    for (const rlim_t room : {0u, 1u, 65'536u, 262'144u, 300'000u, 480'000u}) {
      MessageSpool body(folder_, std::nullopt);
      {
        const SmallDisk disk(room);
        append_in_pieces(body, text_of(500'000), 10'000);
      }
      CPPUNIT_ASSERT(body.state() == MessageSpool::State::kUnspooled);
      CPPUNIT_ASSERT_EQUAL("writing to spool directory " + folder_ + ": File too large",
                           body.failure());
      body.append("now there is room");
      CPPUNIT_ASSERT(body.state() == MessageSpool::State::kUnspooled);
      CPPUNIT_ASSERT_EQUAL(std::uint64_t{500'017}, body.size());
    }
    MessageSpool body(folder_, std::nullopt);
    const SmallDisk disk(500'000);
    body.append(text_of(500'000));
    CPPUNIT_ASSERT(body.state() == MessageSpool::State::kGood);
  }

  void aMessageOverTheLimitIsCountedAndNotKept() {
    for (const std::size_t limit : {0u, 10u, 262'144u, 400'000u}) {
      for (const std::size_t piece : {1'000u, 1'000'000u}) {
        MessageSpool fits(folder_, limit);
        append_in_pieces(fits, text_of(limit), piece);
        CPPUNIT_ASSERT(fits.state() == MessageSpool::State::kGood);
        CPPUNIT_ASSERT_EQUAL(limit, read_all(fits).text.size());
        fits.append("x");
        CPPUNIT_ASSERT(fits.state() == MessageSpool::State::kTooLarge);
        fits.append(text_of(400'000));
        CPPUNIT_ASSERT(fits.state() == MessageSpool::State::kTooLarge);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{limit} + 400'001, fits.size());
      }
    }
  }

  void anIncompleteBodyIsNeverReadAsComplete() {
    MessageSpool unspooled("/nowhere", std::nullopt);
    append_in_pieces(unspooled, text_of(300'000), 1000);
    CPPUNIT_ASSERT(unspooled.state() == MessageSpool::State::kUnspooled);
    const Read half = read_all(unspooled);
    CPPUNIT_ASSERT_MESSAGE("a part was given out as the whole", half.failed);
    CPPUNIT_ASSERT(!half.failure.empty());
    for (const std::size_t limit : {1'000u, 300'000u}) {
      MessageSpool large(folder_, limit);
      append_in_pieces(large, text_of(400'000), 1000);
      CPPUNIT_ASSERT(large.state() == MessageSpool::State::kTooLarge);
      CPPUNIT_ASSERT_MESSAGE("a part was given out as the whole", read_all(large).failed);
    }
  }

  // The file of this process that is in the folder and has no name.
  std::string spool_file() const {
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code gone;  // the iterator's own
      if (fs::read_symlink(entry.path(), gone).native().starts_with(folder_ + "/")) {
        return entry.path();
      }
    }
    return {};
  }

  void aFileThatWasCutIsNeverReadAsComplete() {
    for (const bool on_fiber : {false, true}) {
      const auto scheduler = on_fiber ? std::make_unique<ThreadScheduler>() : nullptr;
      MessageSpool body(folder_, std::nullopt);
      body.append(text_of(500'000));
      CPPUNIT_ASSERT_EQUAL(0, truncate(spool_file().c_str(), 100'000));
      const Read read = read_all(body);
      CPPUNIT_ASSERT(read.failed);
      CPPUNIT_ASSERT(read.text == text_of(100'000));
      CPPUNIT_ASSERT_EQUAL(std::string("reading the spool: unexpected end of the file"),
                           read.failure);
    }
  }

  void memoryIsDoubledUpToItsLimit() {
    lmtpq::mailer::MemoryBudget budget(1'000'000);
    lmtpq::mailer::MemoryShare share(&budget);
    MessageSpool body(folder_, std::nullopt, &share);
    const std::pair<std::size_t, std::uint64_t> rows[] = {
        {1, 0}, {MessageSpool::kHead - 1, 0}, {1, 65'536}, {65'535, 65'536}, {1, 3 * 65'536}};
    for (const auto& [more, taken] : rows) {
      body.append(std::string(more, 'x'));
      CPPUNIT_ASSERT_EQUAL(taken, budget.used());
    }
    MessageSpool at_once(folder_, std::nullopt, &share);
    at_once.append(std::string(200'000, 'x'));
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{3 * 65'536 + 200'000 - 65'536}, budget.used());
    CPPUNIT_ASSERT(!body.in_file() && !at_once.in_file());
  }

  void aFiberReadsAllPieceByPiece() {
    ThreadScheduler scheduler;
    const std::string text = text_of(400'000);
    MessageSpool body(folder_, std::nullopt);
    append_in_pieces(body, text, 10'000);
    CPPUNIT_ASSERT(read_all(body).text == text);
    CPPUNIT_ASSERT_EQUAL(8, scheduler.paces);  // six of the file, what follows it, the end
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageSpoolTest);
