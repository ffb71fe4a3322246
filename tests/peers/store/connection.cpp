#include "connection.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace store {

Connection::Connection(int descriptor, std::chrono::seconds idle_timeout)
    : descriptor_(descriptor) {
  const timeval limit{idle_timeout.count(), 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  input_.fill('\0');
}

Connection::~Connection() { close(descriptor_); }

bool Connection::fill() {
  flush();
  if (input_ended_ || output_broken_) return false;
  std::memmove(input_.data(), input_.data() + end_ - kLookBack, kLookBack);
  next_ = end_ = kLookBack;
  ssize_t got;
  do {
    got = recv(descriptor_, input_.data() + kLookBack, input_.size() - kLookBack, 0);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    input_ended_ = true;
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return false;
  }
  end_ += static_cast<std::size_t>(got);
  return true;
}

int Connection::get() {
  if (next_ == end_ && !fill()) return kEnd;
  return static_cast<unsigned char>(input_[next_++]);
}

void Connection::step_back() { --next_; }

std::string Connection::read_line(std::size_t limit) {
  std::string line;
  while (line.size() < limit && (next_ < end_ || fill())) {
    const char* start = input_.data() + next_;
    const std::size_t most = std::min(limit - line.size(), end_ - next_);
    const void* newline = std::memchr(start, '\n', most);
    const std::size_t length =
        newline ? static_cast<std::size_t>(static_cast<const char*>(newline) - start) + 1 : most;
    line.append(start, length);
    next_ += length;
    if (newline) break;
  }
  return line;
}

bool Connection::input_waiting() {
  if (next_ < end_) return true;
  char byte;
  return recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void Connection::flush() {
  for (std::string_view rest = output_; !rest.empty() && !output_broken_;) {
    const ssize_t sent = send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      output_broken_ = true;
    }
  }
  output_.clear();
}

}  // namespace store
