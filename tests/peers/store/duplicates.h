// Which messages were already filed where, so that a copy is dropped.
//
// What it is: a set of keys (Message-ID, Date, mailbox), the last 100,000 of this process's life.
// What it does not know: messages, mailboxes, replies.
// Called by: Session, around each delivery: claim, deliver, settle.
// Threads and lifetimes: one object serves all threads; lives until exit.
// Failure: none. A claim that was not filed leaves nothing behind.
// Source: Cyrus imap/duplicate.c (Cyrus keeps its keys on disk, and for days).
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
