#include "mailer/message/message_spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
static_assert(MessageSpool::kHead < MemoryCost::kMessage);

Descriptor open_unlinked(const std::string& directory) {
  Descriptor file(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid() || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
    return file;
  }
  // Some file systems do not support O_TMPFILE.
  std::string name = directory + "/lmtpq.XXXXXX";
  file = Descriptor(mkostemp(name.data(), O_CLOEXEC));
  if (file.valid()) {
    unlink(name.c_str());
  }
  return file;
}

}  // namespace

MessageSpool::MessageSpool(std::string spool_dir, std::optional<std::uint64_t> max_size,
                           MemoryShare* memory)
    : spool_dir_(std::move(spool_dir)), max_size_(max_size), memory_share_(memory) {}

void MessageSpool::append(std::string_view bytes) {
  size_ += bytes.size();
  if (state_ != State::kGood) {
    return;
  }
  if (max_size_ && size_ > *max_size_) {
    state_ = State::kTooLarge;
    file_ = Descriptor();
    return;
  }
  if (!file_.valid() && has_room(bytes.size())) {
    memory_.append(bytes);
    return;
  }
  if (!file_.valid()) {
    file_ = open_unlinked(spool_dir_);
    if (!file_.valid()) {
      fail("spool directory " + spool_dir_);
      return;
    }
    spool(memory_);
    keep_head(bytes);
  }
  spool(bytes);
}

// In memory, for this many bytes more. Below kHead there always is.
bool MessageSpool::has_room(std::size_t bytes) {
  const std::size_t needed = memory_.size() + bytes;
  if (needed <= memory_.capacity()) {
    return true;
  }
  const std::size_t most = needed <= kHead ? kHead : kMemory;
  const std::size_t wanted = std::min(most, std::max(needed, 2 * memory_.capacity()));
  if (needed > most) {
    return false;
  }
  const std::size_t more = std::max(wanted, kHead) - kHead - taken_;
  if (memory_share_ != nullptr && more > 0) {
    if (!memory_share_->take(more, MemoryBudget::Use::kBody)) {
      return false;
    }
    taken_ += more;
  }
  // std::string::reserve() would double what it has, beyond kMemory.
  std::string larger;
  larger.reserve(wanted);
  larger.append(memory_);
  memory_.swap(larger);
  return true;
}

// `bytes` follow those in memory_.
void MessageSpool::keep_head(std::string_view bytes) {
  std::string head;
  head.reserve(kHead);
  head.append(memory_, 0, kHead);
  head.append(bytes.substr(0, kHead - head.size()));
  memory_.swap(head);
  if (memory_share_ != nullptr) {
    memory_share_->give_back(taken_);
    taken_ = 0;
  }
}

void MessageSpool::spool(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::kGood) {
    const ssize_t count = write(file_.number(), bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      fail("writing to spool directory " + spool_dir_);
    }
  }
}

void MessageSpool::fail(const std::string& what) {
  state_ = State::kUnspooled;
  failure_ = what + ": " + std::strerror(errno);
  file_ = Descriptor();
}

MessageSpool::Reader::Result MessageSpool::Reader::next(std::string_view& piece) {
  // A part of a message must never be taken for the whole.
  if (body_.state_ != State::kGood) {
    failure_ = body_.failure_.empty() ? "the message is incomplete" : body_.failure_;
    return Result::kFailed;
  }
  if (offset_ == body_.size_) {
    return Result::kEnd;
  }
  if (!body_.file_.valid()) {
    piece = body_.memory_;
    offset_ = body_.size_;
    return Result::kBytes;
  }
  buffer_.resize(kPiece);
  ssize_t count = -1;
  do {
    count =
        pread(body_.file_.number(), buffer_.data(), buffer_.size(), static_cast<off_t>(offset_));
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    failure_ = std::string("reading the spool: ") +
               (count == 0 ? "unexpected end of the file" : std::strerror(errno));
    return Result::kFailed;
  }
  piece = std::string_view(buffer_).substr(0, static_cast<std::size_t>(count));
  offset_ += static_cast<std::uint64_t>(count);
  return Result::kBytes;
}

}  // namespace lmtpq::mailer
