#include "spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace store {
namespace {

int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

// The leading dot keeps the name, while it has one, from being a mailbox.
Spool::Spool(const std::string& directory) {
  std::string name = directory + "/.spool-XXXXXX";
  descriptor_ = mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) {
    error_ = errno;
  } else {
    unlink(name.c_str());
  }
}

Spool::~Spool() {
  if (descriptor_ >= 0) close(descriptor_);
}

void Spool::append(std::string_view bytes) {
  constexpr std::size_t kEnough = 65536;
  size_ += bytes.size();
  pending_ += bytes;
  if (pending_.size() >= kEnough) write_out();
}

void Spool::finish() { write_out(); }

void Spool::write_out() {
  if (error_ == 0) error_ = write_all(descriptor_, pending_);
  pending_.clear();
}

int Spool::copy_to(int descriptor) const {
  std::array<char, 65536> buffer;
  off_t offset = 0;
  for (;;) {
    const ssize_t got = pread(descriptor_, buffer.data(), buffer.size(), offset);
    if (got == 0) return 0;
    if (got < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    offset += got;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    if (const int error = write_all(descriptor, bytes)) return error;
  }
}

}  // namespace store
