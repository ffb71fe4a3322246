// Suppresses duplicates: remembers which message was filed in which mailbox.
//
// A set of keys (Message-ID, Date, mailbox), at most the last 100,000 since the process began.
// Session calls claim() before each delivery and settle() after it. One object serves all threads.
// A message that was claimed and not filed is forgotten.
//
// As Cyrus imap/duplicate.c, which keeps its keys on disk, and for days.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_set>

namespace store {

class Duplicates {
 public:
  // False: this was filed. True: the caller files it now and then calls settle. Waits while
  // another thread has claimed the same key: only its end tells which of the two it is.
  bool claim(const std::string& key);
  void settle(const std::string& key, bool filed);

 private:
  static constexpr std::size_t kMost = 100'000;
  std::mutex mutex_;
  std::condition_variable settled_;
  std::unordered_set<std::string> claimed_;
  std::unordered_set<std::string> filed_;
  std::deque<std::string> oldest_first_;
};

}  // namespace store
