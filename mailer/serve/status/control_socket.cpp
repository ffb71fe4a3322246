#include "mailer/serve/status/control_socket.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "common/config_error.h"
#include "mailer/io/waiting.h"
#include "mailer/settings/serve_settings.h"

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::seconds kClientTimeout{2};

}  // namespace

ControlSocket::ControlSocket(const DaemonParts& daemon, const std::string& path, const Log& log)
    : daemon_(daemon), log_(log), wakeup_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!path.empty()) {
    listen(path);
  }
  thread_ = std::thread([this] { run(); });
}

ControlSocket::~ControlSocket() { stop(); }

void ControlSocket::listen(const std::string& path) {
  try {
    socket_.emplace(parse_destination("unix:" + path), ListenerOptions());
  } catch (const ConfigError& error) {
    if (path != kDefaultControl) {
      throw;
    }
    log_.warning(Record("control-socket-failed")
                     .add("error", error.what())
                     .add("effect", "serve --status is unavailable"));
  }
}

void ControlSocket::stop() {
  const std::uint64_t one = 1;
  if (thread_.joinable() && write(wakeup_fd_.number(), &one, sizeof one) > 0) {
    thread_.join();
    socket_.reset();
  }
}

void ControlSocket::run() {
  Deadline next = Clock::now();
  for (;;) {
    pollfd entries[] = {{wakeup_fd_.number(), POLLIN, 0},
                        {socket_ ? socket_->number() : -1, POLLIN, 0}};
    const int ready = poll(entries, 2, milliseconds_until(next));
    if (entries[0].revents != 0) {
      return;
    }
    try {
      if (Clock::now() >= next) {
        next = Clock::now() + kTick;
        sample_rates(daemon_);
        if (socket_) {
          socket_->restore(log_);
        }
      }
      Client client;
      if (ready > 0 && entries[1].revents != 0) {
        if (const Descriptor accepted = socket_->accept(client); accepted.valid()) {
          send_snapshot(accepted);
        } else {
          poll(nullptr, 0, 100);  // no free descriptor: the socket stays readable
        }
      }
    } catch (const std::exception&) {
      // Out of memory: the client may ask again.
    }
  }
}

void ControlSocket::send_snapshot(const Descriptor& client) const {
  const std::string answer = json_of(take_snapshot(daemon_));
  const Deadline deadline = Clock::now() + kClientTimeout;
  // With room for the whole answer a client that does not read it holds up nobody.
  const int room = static_cast<int>(answer.size());
  setsockopt(client.number(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  std::string_view left = answer;
  while (!left.empty() && Clock::now() < deadline) {
    const ssize_t sent = send(client.number(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      left.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      pollfd entry{client.number(), POLLOUT, 0};
      poll(&entry, 1, milliseconds_until(deadline));
    } else {
      return;
    }
  }
}

}  // namespace lmtpq::mailer
