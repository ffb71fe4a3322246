// The bytes of a message, kept until every recipient has an outcome.
//
// Canonical bytes (CRLF line ends), in memory up to kMemory and beyond that in an unlinked file,
// which ends with the object. Where memory is short (memory_budget.h), all but the head is in the
// file. The last kTail bytes at most are not written to it. They can be read from the start as
// often as needed, for another transaction or another store.
//
// append() does not fail at once, because the input must be read to its end anyway; state() tells
// afterwards. On a fiber, other fibers run while the disk is waited for (disk_threads.h). One
// message, one thread or fiber; finished messages may be read by several.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/descriptor.h"
#include "mailer/memory/memory_budget.h"

namespace lmtpq::mailer {

class MessageSpool {
 public:
  enum class State {
    kGood,
    kTooLarge,   // larger than max_size; its bytes are dropped
    kUnspooled,  // the spool failed; failure() says why
  };
  static constexpr std::size_t kMemory = 256 * 1024;
  static constexpr std::size_t kHead = 64 * 1024;
  static constexpr std::size_t kTail = 32 * 1024;

  // `memory` is the message's share, which must outlive this and has room for the head; nullptr: no
  // limit.
  MessageSpool(std::string spool_dir, std::optional<std::uint64_t> max_size,
               MemoryShare* memory = nullptr);
  ~MessageSpool();
  MessageSpool(const MessageSpool&) = delete;
  MessageSpool& operator=(const MessageSpool&) = delete;

  void append(std::string_view bytes);
  State state() const { return state_; }
  const std::string& failure() const { return failure_; }
  std::uint64_t size() const { return size_; }
  bool in_file() const { return file_.valid(); }
  // The first kHead bytes, or all if there are fewer.
  std::string_view head() const { return std::string_view(memory_).substr(0, kHead); }

  class Reader {
   public:
    enum class Result { kBytes, kEnd, kFailed };
    explicit Reader(const MessageSpool& body) : body_(body) {}
    // Lets other fibers run where they have waited for long.
    // `piece` is valid until the next call. kFailed must never be taken for the end.
    Result next(std::string_view& piece);
    std::string failure() const { return failure_; }

   private:
    Result fail(const std::string& why);

    const MessageSpool& body_;
    std::uint64_t offset_ = 0;
    std::string buffer_;
    std::string failure_;
  };

 private:
  bool has_room(std::size_t bytes);
  void move_to_file();
  void keep_head();
  void spool(std::string_view bytes);
  void close_file();
  void fail(const std::string& what, int error);

  std::string spool_dir_;
  std::optional<std::uint64_t> max_size_;
  MemoryShare* memory_share_;
  std::size_t taken_ = 0;  // of memory_share_, beyond the head
  State state_ = State::kGood;
  std::string failure_;
  std::uint64_t size_ = 0;
  std::string memory_;
  Descriptor file_;
  std::string tail_;  // follows what is in file_
};

}  // namespace lmtpq::mailer
