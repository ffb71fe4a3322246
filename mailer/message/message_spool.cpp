#include "mailer/message/message_spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "mailer/io/disk_threads.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
static_assert(MessageSpool::kHead + MessageSpool::kTail <= MemoryCost::kMessage);
constexpr const char* kWriting = "writing to spool directory ";

Descriptor open_unlinked(const std::string& directory) {
  Descriptor file(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) {
    return file;
  }
  // Some file systems do not support O_TMPFILE. Any other error comes again.
  std::string name = directory + "/lmtpq.XXXXXX";
  file = Descriptor(mkostemp(name.data(), O_CLOEXEC));
  if (file.valid()) {
    unlink(name.c_str());
  }
  return file;
}

// 0, or the error.
int write_all(const Descriptor& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file.number(), bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      return count == 0 ? EIO : errno;
    }
  }
  return 0;
}

// How much was read. 0: `error`, or the file has ended. On a fiber, a thread is asked only if the
// bytes are not in the page cache any more.
std::size_t read_at(const Descriptor& file, std::uint64_t offset, std::string& into, int& error) {
  const auto at = static_cast<off_t>(offset);
  if (Scheduler::current() != nullptr) {
    const iovec place{into.data(), into.size()};
    const ssize_t count = preadv2(file.number(), &place, 1, at, RWF_NOWAIT);
    if (count > 0) {
      return static_cast<std::size_t>(count);
    }
  }
  ssize_t count = -1;
  run_on_disk([&] {
    do {
      count = pread(file.number(), into.data(), into.size(), at);
      error = count < 0 ? errno : 0;
    } while (error == EINTR);
  });
  return static_cast<std::size_t>(std::max<ssize_t>(count, 0));
}

}  // namespace

MessageSpool::MessageSpool(std::string spool_dir, std::optional<std::uint64_t> max_size,
                           MemoryShare* memory)
    : spool_dir_(std::move(spool_dir)), max_size_(max_size), memory_share_(memory) {}

MessageSpool::~MessageSpool() { close_file(); }

void MessageSpool::append(std::string_view bytes) {
  size_ += bytes.size();
  if (state_ != State::kGood) {
    return;
  }
  if (max_size_ && size_ > *max_size_) {
    state_ = State::kTooLarge;
    close_file();
    return;
  }
  if (!file_.valid() && has_room(bytes.size())) {
    memory_.append(bytes);
    return;
  }
  if (!file_.valid()) {
    if (const std::size_t more = kHead - std::min(kHead, memory_.size()); more > 0) {
      memory_.reserve(kHead);
      memory_.append(bytes.substr(0, more));
      bytes.remove_prefix(std::min(more, bytes.size()));
    }
    move_to_file();
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

void MessageSpool::move_to_file() {
  Descriptor file;
  int error = 0;
  bool opened = false;
  run_on_disk([&] {
    file = open_unlinked(spool_dir_);
    opened = file.valid();
    error = opened ? write_all(file, memory_) : errno;
  });
  file_ = std::move(file);
  if (error != 0) {
    fail(opened ? kWriting + spool_dir_ : "spool directory " + spool_dir_, error);
  }
  keep_head();
}

void MessageSpool::keep_head() {
  if (memory_.size() > kHead) {
    memory_ = std::string(memory_, 0, kHead);
  }
  if (memory_share_ != nullptr) {
    memory_share_->give_back(taken_);
    taken_ = 0;
  }
}

void MessageSpool::spool(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::kGood) {
    if (tail_.empty()) {
      tail_.reserve(kTail);
    }
    const std::size_t count = std::min(bytes.size(), kTail - tail_.size());
    tail_.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    if (tail_.size() == kTail) {
      int error = 0;
      run_on_disk([&] { error = write_all(file_, tail_); });
      tail_.clear();
      if (error != 0) {
        fail(kWriting + spool_dir_, error);
      }
    }
  }
}

// The system frees a large file's blocks when it is closed.
void MessageSpool::close_file() {
  std::string().swap(tail_);
  if (!file_.valid()) {
    return;
  }
  try {
    const auto file = std::make_shared<Descriptor>(std::move(file_));
    leave_to_disk([file] { *file = Descriptor(); });
  } catch (const std::bad_alloc&) {
    file_ = Descriptor();
  }
}

void MessageSpool::fail(const std::string& what, int error) {
  state_ = State::kUnspooled;
  failure_ = what + ": " + std::strerror(error);
  close_file();
}

MessageSpool::Reader::Result MessageSpool::Reader::fail(const std::string& why) {
  failure_ = why;
  return Result::kFailed;
}

MessageSpool::Reader::Result MessageSpool::Reader::next(std::string_view& piece) {
  pace();
  // A part of a message must never be taken for the whole.
  if (body_.state_ != State::kGood) {
    return fail(body_.failure_.empty() ? "the message is incomplete" : body_.failure_);
  }
  if (offset_ == body_.size_) {
    return Result::kEnd;
  }
  const std::uint64_t in_file = body_.size_ - body_.tail_.size();
  if (!body_.file_.valid()) {
    piece = body_.memory_;
  } else if (offset_ == in_file) {
    piece = body_.tail_;
  } else {
    buffer_.resize(std::min<std::uint64_t>(kPiece, in_file - offset_));
    int error = 0;
    const std::size_t count = read_at(body_.file_, offset_, buffer_, error);
    if (count == 0) {
      return fail(std::string("reading the spool: ") +
                  (error == 0 ? "unexpected end of the file" : std::strerror(error)));
    }
    piece = std::string_view(buffer_).substr(0, count);
  }
  offset_ += piece.size();
  return Result::kBytes;
}

}  // namespace lmtpq::mailer
