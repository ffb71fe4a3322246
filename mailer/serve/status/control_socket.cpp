#include "mailer/serve/status/control_socket.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "common/config_error.h"
#include "mailer/io/waiting.h"
#include "mailer/settings/serve_settings.h"

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::seconds kClientTimeout{10};
constexpr std::size_t kMostReaders = 8;
constexpr std::chrono::seconds kPause{10};

}  // namespace

ControlSocket::ControlSocket(const DaemonParts& daemon, const std::string& path,
                             const OpenSocket& open, const Log& log)
    : daemon_(daemon), path_(path), log_(log), wakeup_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!path_.empty()) {
    listen(open);
  }
  thread_ = std::thread([this] { run(); });
}

ControlSocket::~ControlSocket() { stop(); }

void ControlSocket::listen(const OpenSocket& open) {
  try {
    socket_ = open(parse_destination("unix:" + path_), ListenerOptions());
  } catch (const std::exception& error) {
    if (path_ != kDefaultControl) {
      throw;
    }
    next_try_ = Clock::now() + kPause;
    log_.warning(Record("control-socket-failed")
                     .add("error", error.what())
                     .add("effect", "serve --status is unavailable"));
  }
}

void ControlSocket::restore() {
  const std::lock_guard lock(restoring_);
  if (socket_) {
    socket_->restore(log_);
  } else if (!shared_ && Clock::now() >= next_try_) {
    next_try_ = Clock::now() + kPause;
    try_again();
  }
}

void ControlSocket::try_again() {
  try {
    socket_ =
        std::make_shared<ListeningSocket>(parse_destination("unix:" + path_), ListenerOptions());
  } catch (const std::exception&) {
    return;  // as the log already has it
  }
  log_.info(Record("control-socket-opened")
                .add("socket", path_)
                .add("effect", "serve --status is available"));
}

void ControlSocket::share(bool shared) {
  const std::lock_guard lock(restoring_);
  shared_ = shared;
  if (socket_) {
    socket_->share(shared);
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
    std::vector<pollfd> entries{{wakeup_fd_.number(), POLLIN, 0},
                                {socket_ ? socket_->number() : -1, POLLIN, 0}};
    for (const Reader& reader : readers_) {
      entries.push_back({reader.socket.number(), POLLOUT, 0});
    }
    poll(entries.data(), entries.size(), milliseconds_until(next));
    if (entries[0].revents != 0) {
      return;
    }
    try {
      if (Clock::now() >= next) {
        next = Clock::now() + kTick;
        sample_rates(daemon_);
        restore();
      }
      if (entries[1].revents != 0) {
        accept_reader();
      }
    } catch (const std::exception&) {
      // Out of memory: the client may ask again.
    }
    std::erase_if(readers_, [](Reader& reader) { return !send_more(reader); });
  }
}

// In place of the one that has been there longest, if there are too many.
void ControlSocket::accept_reader() {
  Client client;
  Descriptor accepted = socket_->accept(client);
  if (!accepted.valid()) {
    poll(nullptr, 0, 100);  // no free descriptor: the socket stays readable
    return;
  }
  if (readers_.size() >= kMostReaders) {
    readers_.erase(readers_.begin());
  }
  readers_.push_back(
      {std::move(accepted), json_of(take_snapshot(daemon_)), Clock::now() + kClientTimeout});
}

// False: it has the whole answer, has gone, or does not read.
bool ControlSocket::send_more(Reader& reader) {
  while (!reader.left.empty()) {
    const ssize_t sent = send(reader.socket.number(), reader.left.data(), reader.left.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      reader.left.erase(0, static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      return errno == EAGAIN && Clock::now() < reader.deadline;
    }
  }
  return false;
}

}  // namespace lmtpq::mailer
