// The message, kept until its recipients' fate is known.
//
// What it is: canonical bytes, in memory up to kMemory, beyond that in an unlinked file; readable
//   from the start as often as needed (a second destination, a second transaction).
// What it does not know: where the bytes came from, dots, the header's meaning.
// Called by: the fronts append, delivery looks at size and head, Upstream reads.
// Threads and lifetimes: one message, one thread; the file has no name and dies with the object.
// Failure: append() never fails on the spot, for the input must be read to its end anyway; state()
//   tells afterwards. A reader that cannot read says so and must not be taken for the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/descriptor.h"

namespace lmtpq::mailer {

class Body {
 public:
  enum class State {
    kGood,
    kTooLarge,   // over max_size; nothing is kept any more
    kUnspooled,  // the spool failed; failure() has the words
  };
  static constexpr std::size_t kMemory = 256 * 1024;
  static constexpr std::size_t kHead = 64 * 1024;

  Body(std::string spool_dir, std::optional<std::uint64_t> max_size);

  void append(std::string_view bytes);
  State state() const { return state_; }
  const std::string& failure() const { return failure_; }
  std::uint64_t size() const { return size_; }
  // The first kHead bytes, or all.
  std::string_view head() const { return std::string_view(memory_).substr(0, kHead); }

  class Reader {
   public:
    enum class Result { kBytes, kEnd, kFailed };
    explicit Reader(const Body& body) : body_(body) {}
    // The next piece, valid until the next call.
    Result next(std::string_view& piece);
    std::string failure() const { return failure_; }

   private:
    const Body& body_;
    std::uint64_t offset_ = 0;
    std::string buffer_;
    std::string failure_;
  };

 private:
  void spool(std::string_view bytes);
  void unspooled(const std::string& what);

  std::string spool_dir_;
  std::optional<std::uint64_t> max_size_;
  State state_ = State::kGood;
  std::string failure_;
  std::uint64_t size_ = 0;
  std::string memory_;
  Descriptor file_;
};

}  // namespace lmtpq::mailer
