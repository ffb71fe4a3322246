// The memory that clients make a program keep: how much there may be, and how much is taken.
//
// What is taken is an estimate of the most that its owner can need, so the sum bounds what clients
// cost. Nothing that was admitted ever fails for want of memory: only what is new is refused.
//
// A MemoryBudget is for all threads, and outlives the shares. A MemoryShare belongs to one session
// or message, and gives back at its end; without a budget it has no limit.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace lmtpq::mailer {

// The most that each can need, by measurement (tests/serve/test_memory.py).
struct MemoryCost {
  static constexpr std::size_t kClient = 32 * 1024;   // its stack, what it sent and does not read
  static constexpr std::size_t kMessage = 96 * 1024;  // its head and one piece, a few recipients
  static constexpr std::size_t kFewRecipients = 8;
  // One more, its copies during the delivery and its reply included.
  static constexpr std::size_t recipient(std::size_t address) { return 1024 + 4 * address; }
  static constexpr std::size_t kPart = 16 * 1024;  // of a message: its stack, apart from recipients
};

class MemoryBudget {
 public:
  // In the order in which they are refused when little is left.
  enum class Use {
    kBody,     // of a message, beyond its head: from 3/4 of the limit on it goes into a file;
               // and a part for one more store: from there on it waits for another one
    kMessage,  // a new message, a further recipient: deferred from 15/16 of the limit on
    kClient,   // a new client: refused at the limit
  };

  explicit MemoryBudget(std::uint64_t limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // False: there is no room for it, and nothing was taken.
  bool take(std::size_t bytes, Use use);
  void give_back(std::size_t bytes) { used_ -= bytes; }

  // What is taken stays taken, even if it is more.
  void set_limit(std::uint64_t limit) { limit_ = limit; }
  std::uint64_t limit() const { return limit_; }
  std::uint64_t used() const { return used_; }
  // Messages and recipients that were refused, since the start.
  std::uint64_t refused() const { return refused_; }

 private:
  std::atomic<std::uint64_t> limit_;
  std::atomic<std::uint64_t> used_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
};

class MemoryShare {
 public:
  explicit MemoryShare(MemoryBudget* budget = nullptr) : budget_(budget) {}
  ~MemoryShare() { give_back(taken_); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  bool take(std::size_t bytes, MemoryBudget::Use use);
  void give_back(std::size_t bytes);
  void give_all_back() { give_back(taken_); }

 private:
  MemoryBudget* const budget_;
  std::size_t taken_ = 0;
};

}  // namespace lmtpq::mailer
