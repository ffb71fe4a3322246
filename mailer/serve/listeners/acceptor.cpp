#include "mailer/serve/listeners/acceptor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace lmtpq::mailer {
namespace {

constexpr int kMaxAtOnce = 64;  // clients of one socket before the other sockets are checked
constexpr int kPause = 50;      // milliseconds, when no descriptor is free

}  // namespace

Acceptor::Acceptor(Clients& clients, const Log& log)
    : clients_(clients), log_(log), wakeup_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { run(); });
}

Acceptor::~Acceptor() { stop(); }

void Acceptor::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wakeup_fd_.number(), &one, sizeof one);
}

void Acceptor::use(Sockets sockets) {
  std::unique_lock lock(mutex_);
  sockets_ = std::move(sockets);
  const unsigned version = ++version_;
  wake();
  seen_.wait(lock, [&] { return seen_version_ == version; });
}

void Acceptor::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) {
      return;
    }
    wake();
  }
  thread_.join();
}

void Acceptor::run() {
  Sockets sockets;
  std::vector<pollfd> entries;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        return;
      }
      sockets = sockets_;
      seen_version_ = version_;
      seen_.notify_all();
    }
    entries.assign(1, {wakeup_fd_.number(), POLLIN, 0});
    for (const auto& socket : sockets) {
      entries.push_back({socket->number(), POLLIN, 0});
    }
    if (poll(entries.data(), entries.size(), -1) == -1) {
      continue;
    }
    if (entries[0].revents != 0) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] const ssize_t size = read(wakeup_fd_.number(), &ignored, sizeof ignored);
      continue;
    }
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      if (entries[i + 1].revents != 0) {
        accept_all(*sockets[i]);
      }
    }
  }
}

// The clients stay in the socket's queue.
void Acceptor::wait_for_descriptors(const ListeningSocket& socket, const char* error) {
  if (!std::exchange(starved_, true)) {
    log_.error(Record("accept-failed")
                   .add("listener", socket.address().text)
                   .add("error", error)
                   .add("effect", "clients wait; raise the limit of open files"),
               Outsider{});
  }
  poll(nullptr, 0, kPause);
}

void Acceptor::accept_all(const ListeningSocket& socket) {
  for (int i = 0; i < kMaxAtOnce; ++i) {
    if (clients_.full()) {
      wait_for_descriptors(socket, "only the reserve of descriptors is free");
      return;
    }
    Client client;
    Descriptor accepted = socket.accept(client);
    if (!accepted.valid()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        wait_for_descriptors(socket, std::strerror(errno));
      }
      return;
    }
    starved_ = false;
    clients_.admit(std::move(accepted), client, socket.address().text);
  }
}

}  // namespace lmtpq::mailer
