#include "mailer/io/descriptor_channel.h"

#include <fcntl.h>
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

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// A peer that sends without reading our answers fills this much of our memory, no more.
constexpr std::size_t kMaxUnconsumed = 4 * kReadSize;

bool is_socket(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

DescriptorChannel::DescriptorChannel(Descriptor both)
    : DescriptorChannel(std::move(both), Descriptor()) {}

DescriptorChannel::DescriptorChannel(Descriptor in, Descriptor out)
    : in_(std::move(in)),
      out_(std::move(out)),
      out_is_socket_(is_socket(out_.valid() ? out_.number() : in_.number())),
      in_is_socket_(is_socket(in_.number())),
      buffer_(new char[kReadSize]) {
  // One system call then waits and reads; where we must not wait, MSG_DONTWAIT says so.
  if (in_is_socket_) {
    fcntl(in_.number(), F_SETFL, fcntl(in_.number(), F_GETFL) & ~O_NONBLOCK);
  }
}

IoStatus DescriptorChannel::exchange(std::string_view& out, std::string& in, Deadline deadline) {
  if (end_seen_ && (out.empty() || !writable_)) {
    return IoStatus::kClosed;
  }
  const bool want_read = !end_seen_ && in.size() < kMaxUnconsumed;
  const bool want_write = !out.empty() && writable_;
  if (Scheduler* const scheduler = Scheduler::current()) {
    scheduler->pace();
    return exchange_on_fiber(*scheduler, out, in, want_read, want_write, deadline);
  }
  if (in_is_socket_ && want_read && !want_write) {
    return await_input(in, deadline);
  }
  IoStatus status = IoStatus::kProgress;
  if (in_is_socket_ && out_is_socket_ && want_write && try_exchange(out, in, want_read, status)) {
    return status;
  }
  return exchange_by_poll(out, in, want_read, want_write, deadline);
}

IoStatus DescriptorChannel::exchange_by_poll(std::string_view& out, std::string& in, bool read,
                                             bool write, Deadline deadline) {
  const int out_number = out_.valid() ? out_.number() : in_.number();
  // A descriptor of -1 is skipped by poll(2).
  std::array<pollfd, 2> entries{
      {{read ? in_.number() : -1, POLLIN, 0}, {write ? out_number : -1, POLLOUT, 0}}};
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

// Without asking poll(2) first, as there nearly always is room, and nothing to be read. False:
// there is no room.
bool DescriptorChannel::try_exchange(std::string_view& out, std::string& in, bool read,
                                     IoStatus& status) {
  if (read && !write_first_) {
    const ssize_t count = receive(MSG_DONTWAIT);
    if (count >= 0 || (errno != EAGAIN && errno != EINTR)) {
      status = heard(count, in);
      return true;
    }
  }
  const std::size_t before = out.size();
  status = write_some(out);
  return status != IoStatus::kProgress || out.size() < before || !writable_;
}

// On a socket: a fiber has no other descriptors.
IoStatus DescriptorChannel::exchange_on_fiber(Scheduler& scheduler, std::string_view& out,
                                              std::string& in, bool read, bool write,
                                              Deadline deadline) {
  IoStatus status = IoStatus::kProgress;
  if (write && try_exchange(out, in, read, status)) {
    return status;
  }
  if (!write && streaming_) {
    const ssize_t count = receive(MSG_DONTWAIT);
    if (count >= 0 || errno != EAGAIN) {
      return heard(count, in);
    }
  }
  const short events = static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
  const short happened = scheduler.wait_for(in_.number(), events, deadline);
  if (happened == Scheduler::kInterrupted) {
    return IoStatus::kProgress;
  }
  if (happened == 0) {
    return IoStatus::kTimeout;
  }
  return read && (happened & ~POLLOUT) != 0 ? read_some(in) : write_some(out);
}

// For a while at a time, so that the socket's own timeout need not be set anew for each wait.
bool DescriptorChannel::be_patient(Deadline deadline) {
  constexpr std::chrono::milliseconds kWhile{10'000};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  if (left.count() <= 0) {
    return false;
  }
  if (std::min(left, kWhile) != patience_) {
    patience_ = std::min(left, kWhile);
    const timeval time{patience_.count() / 1000, patience_.count() % 1000 * 1000};
    setsockopt(in_.number(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  }
  return true;
}

IoStatus DescriptorChannel::await_input(std::string& in, Deadline deadline) {
  for (;;) {
    const bool wait = be_patient(deadline);
    const ssize_t count = receive(wait ? 0 : MSG_DONTWAIT);
    if (count >= 0 || errno != EAGAIN) {
      return heard(count, in);
    }
    if (!wait) {
      return IoStatus::kTimeout;
    }
  }
}

IoStatus DescriptorChannel::read_some(std::string& in) {
  return heard(in_is_socket_ ? receive(MSG_DONTWAIT) : read(in_.number(), buffer_.get(), kReadSize),
               in);
}

ssize_t DescriptorChannel::receive(int flags) {
  return recv(in_.number(), buffer_.get(), kReadSize, flags);
}

IoStatus DescriptorChannel::heard(ssize_t count, std::string& in) {
  streaming_ = count >= 4096;
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

}  // namespace lmtpq::mailer
