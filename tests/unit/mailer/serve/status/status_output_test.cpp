#include "mailer/serve/status/status_client.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <sstream>

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

Snapshot some() {
  Snapshot made;
  made.version = "0.1";
  made.pid = 4711;
  made.uptime = 2 * 86'400 + 3 * 3600 + 4 * 60 + 5;
  made.reloads = 3;
  made.failed_reloads = 1;
  made.clients = 17;
  made.most_clients = 5000;
  made.mailbox_waiters = 2;
  made.messages = 1234;
  made.bytes = 5'242'880;
  made.spooled = 6;
  made.replies_lost = 1;
  made.log_lines_dropped = 7;
  made.listeners = {{"cyrusv2q", "unix:/run/lmtpq/lmtpq", 16}, {"", "inet:127.0.0.1:2003", 1}};
  StoreStatus up;
  up.destination = "inet:imap1.example.net:24";
  up.leased = 3;
  up.idle = 12;
  up.limit = 20;
  up.security = "tls=TLSv1.3/verified auth=PLAIN";
  up.sent = 1'234'567;
  up.deferred = 89;
  up.refused = 10;
  up.possible_duplicates = 1;
  up.per_second = 12.34;
  up.answer = 0.0456;
  StoreStatus down;
  down.destination = "inet:imap2.example.net:24";
  down.dialling = 1;
  down.limit = 20;
  down.waiting = 4;
  down.up = false;
  down.retry_in = 11.2;
  down.failure = "inet:imap2.example.net:24: Connection refused";
  made.stores = {up, down};
  return made;
}

constexpr const char* kTable =
    "lmtpq 0.1   pid 4711   up 2d 03:04:05   reloads 3 (1 failed)\n"
    "messages 1234 (5.0 MiB, 6 spooled)   waiting for a mailbox 2\n"
    "possible duplicates 1   replies lost 1   log lines dropped 7\n"
    "\n"
    "LISTENER                                                                 CLIENTS\n"
    "cyrusv2q  unix:/run/lmtpq/lmtpq                                               16\n"
    "inet:127.0.0.1:2003                                                            1\n"
    "all                                                                   17 of 5000\n"
    "\n"
    "STORE                      STATE\n"
    "  leased  idle  dial limit  wait       sent  deferred  refused      /s   answer\n"
    "inet:imap1.example.net:24  up  tls=TLSv1.3/verified auth=PLAIN\n"
    "       3    12     0    20     0    1234567        89       10    12.3    46 ms\n"
    "inet:imap2.example.net:24  down, retry in 12 s\n"
    "    inet:imap2.example.net:24: Connection refused\n"
    "       0     0     1    20     4          0         0        0     0.0        -\n";

void in_eighty_columns(const std::string& table) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    const auto columns =
        std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
    CPPUNIT_ASSERT_MESSAGE(line, columns <= 80);
  }
}

}  // namespace

class StatusOutputTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(StatusOutputTest);
  CPPUNIT_TEST(theTableIsAligned);
  CPPUNIT_TEST(longNamesKeepBothEnds);
  CPPUNIT_TEST(aNameIsCutBetweenCharactersAndOnlyIfItMust);
  CPPUNIT_TEST(eachFigureHasTheUnitOfItsSize);
  CPPUNIT_TEST(controlCharactersDoNotReachTheTerminal);
  CPPUNIT_TEST(largeFiguresStaySeparated);
  CPPUNIT_TEST(jsonHasAllFigures);
  CPPUNIT_TEST(figuresThatAnOlderDaemonDoesNotSendAreZero);
  CPPUNIT_TEST(textThatIsNoSnapshotIsRefused);
  CPPUNIT_TEST_SUITE_END();

  void theTableIsAligned() {
    CPPUNIT_ASSERT_EQUAL(std::string(kTable), status_table(some()));
    in_eighty_columns(status_table(some()));
  }

  void longNamesKeepBothEnds() {
    Snapshot snapshot = some();
    snapshot.stores[0].destination = "unix:/b" + std::string(100, 'x') + "/end";
    snapshot.stores[1].failure = std::string(200, 'y');
    snapshot.listeners[0].address = "unix:/l" + std::string(100, 'z') + "/last";
    const std::string table = status_table(snapshot);
    in_eighty_columns(table);
    CPPUNIT_ASSERT(table.find("unix:/bxxx") != table.npos);
    CPPUNIT_ASSERT(table.find("xx/end  up") != table.npos);
    CPPUNIT_ASSERT(table.find("zz/last") != table.npos);
    CPPUNIT_ASSERT(table.find("yyy...\n") != table.npos);
  }

  // 48 columns, of two bytes each.
  void aNameIsCutBetweenCharactersAndOnlyIfItMust() {
    const auto repeated = [](std::size_t number) {
      std::string text;
      for (std::size_t i = 0; i < number; ++i) {
        text += "\xc3\xa4";
      }
      return text;
    };
    for (const auto& [length, shown] : {std::pair(47U, repeated(47)), std::pair(48U, repeated(48)),
                                        std::pair(49U, repeated(22) + "..." + repeated(23))}) {
      Snapshot snapshot = some();
      snapshot.stores = {snapshot.stores[1]};
      snapshot.stores[0].destination = repeated(length);
      const std::string table = status_table(snapshot);
      CPPUNIT_ASSERT_MESSAGE(table,
                             table.find("\n" + shown + "  down, retry in 12 s\n") != table.npos);
    }
    Snapshot snapshot = some();
    for (const auto& [length, shown] :
         {std::pair(76U, repeated(76)), std::pair(77U, repeated(73) + "...")}) {
      snapshot.stores[1].failure = repeated(length);
      const std::string table = status_table(snapshot);
      CPPUNIT_ASSERT_MESSAGE(table, table.find("\n    " + shown + "\n") != table.npos);
    }
  }

  void eachFigureHasTheUnitOfItsSize() {
    const auto has = [](const Snapshot& snapshot, const std::string& text) {
      const std::string table = status_table(snapshot);
      CPPUNIT_ASSERT_MESSAGE(text + " is not in\n" + table, table.find(text) != table.npos);
    };
    Snapshot snapshot = some();
    for (const auto& [bytes, text] :
         {std::pair(std::uint64_t{1023}, "(1023 B,"), std::pair(std::uint64_t{1024}, "(1.0 KiB,"),
          std::pair(~std::uint64_t{0}, "(16.0 EiB,")}) {
      snapshot.bytes = bytes;
      has(snapshot, text);
    }
    for (const auto& [seconds, text] :
         {std::pair(-1.0, "12.3        -\n"), std::pair(0.0, "12.3     0 ms\n"),
          std::pair(0.9, "12.3   900 ms\n"), std::pair(1.0, "12.3    1.0 s\n")}) {
      snapshot.stores[0].answer = seconds;
      has(snapshot, text);
    }
    snapshot.uptime = 86'399;
    has(snapshot, "up 23:59:59 ");
    snapshot.uptime = 86'400;
    has(snapshot, "up 1d 00:00:00 ");
    snapshot.failed_reloads = 0;
    has(snapshot, "reloads 3\n");
    snapshot.stores[1].retry_in = 0;
    has(snapshot, "down, being tried\n");
  }

  void controlCharactersDoNotReachTheTerminal() {
    Snapshot snapshot = some();
    const std::string evil =
        "a\x1b[2J\n\xc2\x9b\xff\xe2\x80\xae"
        "b\xc3\xa4";
    for (std::string* const text : {&snapshot.version, &snapshot.stores[0].destination,
                                    &snapshot.stores[0].security, &snapshot.stores[1].failure,
                                    &snapshot.listeners[0].name, &snapshot.listeners[0].address}) {
      *text = evil;
    }
    const std::string table = status_table(snapshot);
    CPPUNIT_ASSERT_EQUAL(table.npos, table.find_first_of("\x1b\xff\r"));
    CPPUNIT_ASSERT_EQUAL(table.npos, table.find("\xc2\x9b"));
    CPPUNIT_ASSERT(table.find("a?[2J????b\xc3\xa4") != table.npos);
    in_eighty_columns(table);
  }

  void largeFiguresStaySeparated() {
    Snapshot snapshot = some();
    snapshot.stores[0].sent = 99'999'999'999;
    snapshot.stores[0].deferred = 9'999'999'999;
    CPPUNIT_ASSERT(status_table(snapshot).find(" 99999999999 9999999999 ") != std::string::npos);
  }

  void jsonHasAllFigures() {
    Snapshot snapshot = some();
    snapshot.stores[1].failure = "a \"quoted\" \\x1b word, \xc3\xa4";
    const Snapshot read = parse_snapshot(json_of(snapshot));
    CPPUNIT_ASSERT_EQUAL(json_of(snapshot), json_of(read));
    for (const char* name : {"\"up\":false", "\"retry_in\":11.2", "\"failure\":\"a \\\"quoted"}) {
      CPPUNIT_ASSERT_MESSAGE(name, json_of(snapshot).find(name) != std::string::npos);
    }
    CPPUNIT_ASSERT_EQUAL(snapshot.stores[1].failure, read.stores[1].failure);
    CPPUNIT_ASSERT_EQUAL(status_table(snapshot), status_table(read));
    CPPUNIT_ASSERT(!read.stores[1].up);
    CPPUNIT_ASSERT_DOUBLES_EQUAL(0.0456, read.stores[0].answer, 1e-9);
  }

  void figuresThatAnOlderDaemonDoesNotSendAreZero() {
    const Snapshot read = parse_snapshot(R"({"version": "0", "stores": [{"destination": "x"}]})");
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, read.messages);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, read.stores.size());
    CPPUNIT_ASSERT(read.stores[0].up);
  }

  void textThatIsNoSnapshotIsRefused() {
    for (const char* const text : {"", "220 store LMTP", "{\"version\": ", "{} trailing"}) {
      CPPUNIT_ASSERT_THROW_MESSAGE(text, parse_snapshot(text), std::runtime_error);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StatusOutputTest);
