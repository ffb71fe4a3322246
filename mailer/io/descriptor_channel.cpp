#include "mailer/io/descriptor_channel.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>
#include <vector>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// From a client, whose input is kept while the disk is waited for.
constexpr std::size_t kReadOfClient = 32 * 1024;
// After a read of this size there probably is more to read.
constexpr std::size_t kLargeRead = 16 * 1024;
// A peer that sends without reading what we write fills at most this much of our memory. The daemon
// has many clients, and they have read thousands of replies less than they sent commands by then.
constexpr std::size_t kMaxUnconsumed = 4 * kReadSize;
constexpr std::size_t kMaxUnconsumedOfClient = 16 * 1024;
// Of the input of a connection that we close.
constexpr std::size_t kMaxDiscarded = 256 * 1024;
// Between two looks at what a peer has acknowledged, which nothing reports by itself.
constexpr std::chrono::milliseconds kLookInterval{5};

// One for each thread: a connection that waits needs none.
char* read_buffer() {
  thread_local std::vector<char> buffer(kReadSize);
  return buffer.data();
}

bool is_socket(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}

bool is_local(int socket) {
  int family = 0;
  socklen_t size = sizeof family;
  return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX;
}

// Of a socket whose writing was shut down: the end of a TCP peer's side has not come. recv(2) shows
// an end also after our reading was shut down.
bool awaits_end(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         (info.tcpi_state == TCP_FIN_WAIT1 || info.tcpi_state == TCP_FIN_WAIT2);
}

// What ioctl(2) counts; 0 if it cannot.
int count_of(int descriptor, unsigned long request) {
  int count = 0;
  return ioctl(descriptor, request, &count) == 0 ? count : 0;
}

bool try_again(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

DescriptorChannel::DescriptorChannel(Descriptor both, Order order)
    : DescriptorChannel(std::move(both), Descriptor(), order) {}

DescriptorChannel::DescriptorChannel(Descriptor in, Descriptor out)
    : DescriptorChannel(std::move(in), std::move(out), Order::kReadFirst) {}

DescriptorChannel::DescriptorChannel(Descriptor in, Descriptor out, Order order)
    : in_descriptor_(std::move(in)),
      out_descriptor_(std::move(out)),
      in_{in_descriptor_.number(), is_socket(in_descriptor_.number())},
      out_(in_),
      order_(order) {
  if (out_descriptor_.valid()) {
    out_ = {out_descriptor_.number(), is_socket(out_descriptor_.number())};
  }
  // One system call then waits and reads; MSG_DONTWAIT is used where we must not wait.
  if (in_.is_socket) {
    fcntl(in_.number, F_SETFL, fcntl(in_.number, F_GETFL) & ~O_NONBLOCK);
  }
}

IoStatus DescriptorChannel::exchange(std::string_view& out, std::string& in, Deadline deadline) {
  const bool write = out_.open && !out.empty();
  const bool client = order_ == Order::kWriteFirst;
  const std::size_t most = client && write ? kMaxUnconsumedOfClient : kMaxUnconsumed;
  read_size_ = std::min(client ? kReadOfClient : kReadSize, most - std::min(most, in.size()));
  const bool read = in_.open && read_size_ > 0;
  if (!in_.open && !write) {
    return IoStatus::kClosed;
  }
  const short events = static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
  if (Scheduler* const scheduler = Scheduler::current()) {
    scheduler->pace();
    return exchange_on_fiber(*scheduler, out, in, events, deadline);
  }
  if (in_.is_socket && events == POLLIN) {
    return await_input(in, deadline);
  }
  if (in_.is_socket && out_.is_socket && write) {
    if (const auto status = try_exchange(out, in, events)) {
      return *status;
    }
  }
  return exchange_by_poll(out, in, events, deadline);
}

IoStatus DescriptorChannel::exchange_by_poll(std::string_view& out, std::string& in, short events,
                                             Deadline deadline) {
  // poll(2) skips a descriptor of -1.
  std::array<pollfd, 2> entries{{{(events & POLLIN) != 0 ? in_.number : -1, POLLIN, 0},
                                 {(events & POLLOUT) != 0 ? out_.number : -1, POLLOUT, 0}}};
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

// Without poll(2), because there nearly always is room to write, and nothing to read. Empty: there
// is no room.
std::optional<IoStatus> DescriptorChannel::try_exchange(std::string_view& out, std::string& in,
                                                        short events) {
  const bool known_quiet = std::exchange(quiet_, false);
  if ((events & POLLIN) != 0 && order_ == Order::kReadFirst && !known_quiet) {
    const ssize_t count = receive(MSG_DONTWAIT);
    if (count >= 0 || !try_again(errno)) {
      return received(count, in);
    }
  }
  const std::size_t before = out.size();
  const IoStatus status = write_some(out);
  const bool done = status != IoStatus::kProgress || out.size() < before || !out_.open;
  return done ? std::optional(status) : std::nullopt;
}

// A fiber's descriptors are sockets.
IoStatus DescriptorChannel::exchange_on_fiber(Scheduler& scheduler, std::string_view& out,
                                              std::string& in, short events, Deadline deadline) {
  if ((events & POLLOUT) != 0) {
    if (const auto status = try_exchange(out, in, events)) {
      return *status;
    }
  } else if (last_read_ >= kLargeRead) {
    const ssize_t count = receive(MSG_DONTWAIT);
    if (count >= 0 || errno != EAGAIN) {
      return received(count, in);
    }
  }
  const short happened = scheduler.wait_for(in_.number, events, deadline);
  if (happened == Scheduler::kInterrupted) {
    return IoStatus::kProgress;
  }
  if (happened == 0) {
    return IoStatus::kTimeout;
  }
  const bool readable = (events & POLLIN) != 0 && (happened & ~POLLOUT) != 0;
  return readable ? read_some(in) : write_some(out);
}

// Limits how long a blocking receive() waits, to 10 s at a time: for longer deadlines the socket's
// timeout then need not be set for each wait. False: the deadline has passed.
bool DescriptorChannel::limit_receive(Deadline deadline) {
  constexpr std::chrono::milliseconds kMost{10'000};
  const std::chrono::milliseconds left(milliseconds_until(deadline));
  if (left.count() == 0) {
    return false;
  }
  if (std::min(left, kMost) != receive_timeout_) {
    receive_timeout_ = std::min(left, kMost);
    const timeval time{receive_timeout_.count() / 1000, receive_timeout_.count() % 1000 * 1000};
    setsockopt(in_.number, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  }
  return true;
}

IoStatus DescriptorChannel::await_input(std::string& in, Deadline deadline) {
  for (;;) {
    const bool wait = limit_receive(deadline);
    const ssize_t count = receive(wait ? 0 : MSG_DONTWAIT);
    if (count >= 0 || errno != EAGAIN) {
      return received(count, in);
    }
    if (!wait) {
      return IoStatus::kTimeout;
    }
  }
}

IoStatus DescriptorChannel::read_some(std::string& in) {
  return received(
      in_.is_socket ? receive(MSG_DONTWAIT) : read(in_.number, read_buffer(), read_size_), in);
}

ssize_t DescriptorChannel::receive(int flags) {
  return recv(in_.number, read_buffer(), read_size_, flags);
}

// `count` is what read(2) or recv(2) returned, and errno is still theirs.
IoStatus DescriptorChannel::received(ssize_t count, std::string& in) {
  last_read_ = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  if (count > 0) {
    in.append(read_buffer(), last_read_);
    return IoStatus::kProgress;
  }
  if (count == 0) {
    in_.open = false;
    failure_ = "the peer closed the connection";
    return IoStatus::kClosed;
  }
  return try_again(errno) ? IoStatus::kProgress : failed("read");
}

// A pipe that polls writable takes PIPE_BUF bytes without blocking. Our pipes are Sendmail's, so we
// do not set O_NONBLOCK on them.
ssize_t DescriptorChannel::send_some(std::string_view out) const {
  return out_.is_socket
             ? send(out_.number, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
             : write(out_.number, out.data(), std::min<std::size_t>(out.size(), PIPE_BUF));
}

IoStatus DescriptorChannel::write_some(std::string_view& out) {
  const ssize_t count = send_some(out);
  if (count >= 0) {
    out.remove_prefix(static_cast<std::size_t>(count));
    if (quick_acks_ > 0) {
      --quick_acks_;
      const int on = 1;  // until we write again (tcp(7))
      setsockopt(out_.number, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }
    return IoStatus::kProgress;
  }
  if (try_again(errno)) {
    return IoStatus::kProgress;
  }
  if (errno == EPIPE || errno == ECONNRESET) {
    broken_ = true;
    // A server may refuse and close while we send: its last reply can still be read.
    out_.open = false;
    return IoStatus::kProgress;
  }
  return failed("write");
}

bool DescriptorChannel::quiet() {
  quiet_ = poll_now(in_.number, POLLIN) == 0;
  return quiet_;
}

Presence DescriptorChannel::presence() const {
  if (out_descriptor_.valid()) {
    return poll_now(out_.number, 0) == 0 ? Presence::kThere : Presence::kGone;
  }
  const short happened = poll_now(in_.number, POLLRDHUP);
  if (happened != POLLRDHUP) {
    return happened == 0 ? Presence::kThere : Presence::kGone;
  }
  // No command is longer (RFC 5321 section 4.5.3.1.4, and our own limit).
  std::array<char, 4096> unread;
  const ssize_t count = recv(in_.number, unread.data(), unread.size(), MSG_PEEK | MSG_DONTWAIT);
  const bool has_line =
      std::memchr(unread.data(), '\n', static_cast<std::size_t>(std::max<ssize_t>(count, 0))) !=
      nullptr;
  return has_line ? Presence::kThere : Presence::kFinished;
}

void DescriptorChannel::write_now(std::string_view& out) noexcept {
  if (!out_.open || (!out_.is_socket && poll_now(out_.number, POLLOUT) != POLLOUT)) {
    return;
  }
  const ssize_t count = send_some(out);
  broken_ = broken_ || (count < 0 && !try_again(errno));
  out.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
}

// A unix socket and TCP have an error (POLLERR) after the peer has closed with bytes unread.
bool DescriptorChannel::has_error() const {
  return broken_ || (poll_now(out_.number, 0) & POLLERR) != 0;
}

// What a unix socket's peer has not read, and a TCP peer has not acknowledged.
bool DescriptorChannel::has_unread() const {
  return count_of(out_.number, out_.is_socket ? SIOCOUTQ : FIONREAD) > 0;
}

bool DescriptorChannel::may_have_read() const { return !has_unread() && !has_error(); }

bool DescriptorChannel::took_all(Deadline latest) const {
  if (!out_.is_socket) {
    return !has_error() || !has_unread();
  }
  const bool local = is_local(out_.number);
  while (!has_error()) {
    if (local || !has_unread()) {
      return true;
    }
    const Clock::time_point now = Clock::now();
    if (poll_now(out_.number, 0) != 0 || now >= latest) {
      return false;
    }
    wait_for(out_.number, 0, std::min(latest, now + kLookInterval));
  }
  return false;
}

// The end of a TCP peer's side without an error: it has closed, and had read all.
bool DescriptorChannel::await_reader(Deadline latest) const {
  if (!out_.is_socket) {
    return took_all(latest);
  }
  const bool local = is_local(out_.number);
  while (!has_error()) {
    if (!has_unread() && (local || poll_now(out_.number, POLLRDHUP) != 0)) {
      return true;
    }
    const Clock::time_point now = Clock::now();
    if (poll_now(out_.number, 0) != 0 || now >= latest) {
      return false;
    }
    if (local || has_unread()) {
      wait_for(out_.number, 0, std::min(latest, now + kLookInterval));
    } else {
      wait_for(out_.number, POLLRDHUP, latest);
    }
  }
  return false;
}

void DescriptorChannel::linger(Deadline latest) {
  shutdown(out_.number, SHUT_WR);
  for (std::size_t left = kMaxDiscarded; left > 0;) {
    read_size_ = std::min(kReadOfClient, left);
    const bool more = awaits_end(in_.number);  // asked first: nothing may come after the last read
    const ssize_t count = receive(MSG_DONTWAIT);
    if (count > 0) {
      left -= static_cast<std::size_t>(count);
      pace();
      continue;
    }
    const bool failed = count < 0 && !try_again(errno);
    const Clock::time_point now = Clock::now();
    if (failed || !more || now >= latest) {
      return;
    }
    if (count == 0) {
      sleep_until(std::min(latest, now + kLookInterval));  // poll(2) would return at once
    } else {
      wait_for(in_.number, POLLIN, latest);
    }
  }
}

// Only sockets are cut.
void DescriptorChannel::cut() { shutdown(in_.number, SHUT_RDWR); }

IoStatus DescriptorChannel::failed(const char* what) {
  broken_ = true;
  failure_ = std::string(what) + ": " + std::strerror(errno);
  return IoStatus::kFailed;
}

}  // namespace lmtpq::mailer
