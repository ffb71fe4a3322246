#include "descriptor_channel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace lmtpq {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// A peer that sends without reading our answers fills this much of our memory, no more.
constexpr std::size_t kMaxUnconsumed = 4 * kReadSize;

bool is_socket(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

int milliseconds_until(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

short wait_for(int descriptor, short events, Deadline deadline) {
  pollfd entry{descriptor, events, 0};
  while (poll(&entry, 1, milliseconds_until(deadline)) < 0 && errno == EINTR) {
  }
  return entry.revents;
}

DescriptorChannel::DescriptorChannel(Descriptor both)
    : DescriptorChannel(std::move(both), Descriptor()) {}

DescriptorChannel::DescriptorChannel(Descriptor in, Descriptor out)
    : in_(std::move(in)),
      out_(std::move(out)),
      out_is_socket_(is_socket(out_.valid() ? out_.number() : in_.number())),
      buffer_(new char[kReadSize]) {}

IoStatus DescriptorChannel::exchange(std::string_view& out, std::string& in, Deadline deadline) {
  const int out_number = out_.valid() ? out_.number() : in_.number();
  if (end_seen_ && (out.empty() || !writable_)) {
    return IoStatus::kClosed;
  }
  const bool want_read = !end_seen_ && in.size() < kMaxUnconsumed;
  const bool want_write = !out.empty() && writable_;
  // A descriptor of -1 is skipped by poll(2).
  std::array<pollfd, 2> entries{
      {{want_read ? in_.number() : -1, POLLIN, 0}, {want_write ? out_number : -1, POLLOUT, 0}}};
  const int ready = poll(entries.data(), entries.size(), milliseconds_until(deadline));
  if (ready == 0) {
    return IoStatus::kTimeout;
  }
  if (ready < 0) {
    // The caller looks at its stop flag, then comes back with the same deadline.
    return errno == EINTR ? IoStatus::kProgress : failed("poll");
  }
  if (entries[0].revents != 0) {
    return read_some(in);
  }
  return write_some(out);
}

IoStatus DescriptorChannel::read_some(std::string& in) {
  const ssize_t count = read(in_.number(), buffer_.get(), kReadSize);
  if (count > 0) {
    in.append(buffer_.get(), static_cast<std::size_t>(count));
    return IoStatus::kProgress;
  }
  if (count == 0) {
    end_seen_ = true;
    failure_ = "the peer closed the connection";
    return IoStatus::kClosed;
  }
  if (errno == EAGAIN || errno == EINTR) {
    return IoStatus::kProgress;
  }
  return failed("read");
}

IoStatus DescriptorChannel::write_some(std::string_view& out) {
  const int number = out_.valid() ? out_.number() : in_.number();
  // A pipe that polls writable takes PIPE_BUF bytes without blocking; our pipes are Sendmail's, so
  // they are not switched to O_NONBLOCK.
  const ssize_t count =
      out_is_socket_ ? send(number, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                     : write(number, out.data(), std::min<std::size_t>(out.size(), PIPE_BUF));
  if (count >= 0) {
    out.remove_prefix(static_cast<std::size_t>(count));
    if (at_once_ > 0) {
      --at_once_;
      const int on = 1;  // until we write again (tcp(7))
      setsockopt(number, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }
    return IoStatus::kProgress;
  }
  if (errno == EAGAIN || errno == EINTR) {
    return IoStatus::kProgress;
  }
  if (errno == EPIPE || errno == ECONNRESET) {
    // A server may refuse and close while we send: its last words are still to be read.
    writable_ = false;
    return IoStatus::kProgress;
  }
  return failed("write");
}

bool DescriptorChannel::quiet() { return wait_for(in_.number(), POLLIN, Clock::now()) == 0; }

void DescriptorChannel::cut() {
  shutdown(in_.number(), SHUT_RDWR);
  if (out_.valid()) {
    shutdown(out_.number(), SHUT_RDWR);
  }
}

IoStatus DescriptorChannel::failed(const char* what) {
  failure_ = std::string(what) + ": " + std::strerror(errno);
  return IoStatus::kFailed;
}

}  // namespace lmtpq
