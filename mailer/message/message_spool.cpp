#include "mailer/message/message_spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

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

MessageSpool::MessageSpool(std::string spool_dir, std::optional<std::uint64_t> max_size)
    : spool_dir_(std::move(spool_dir)), max_size_(max_size) {}

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
  if (!file_.valid() && memory_.size() + bytes.size() <= kMemory) {
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
    if (memory_.size() < kHead) {
      memory_.append(bytes.substr(0, kHead - memory_.size()));
    }
    memory_.resize(std::min(memory_.size(), kHead));
    memory_.shrink_to_fit();
  }
  spool(bytes);
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
