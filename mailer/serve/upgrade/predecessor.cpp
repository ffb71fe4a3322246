#include "mailer/serve/upgrade/predecessor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "mailer/serve/upgrade/upgrade_message.h"

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kMostTime{60};

UpgradeMessage next(const Descriptor& channel) {
  if (auto message = receive_message(channel.number(), kMostTime)) {
    return std::move(*message);
  }
  throw std::runtime_error("the running daemon has given up the upgrade");
}

// The daemon need not be our parent (Successor), but it has made the socket.
pid_t maker_of_standard_error() {
  ucred maker{};
  socklen_t size = sizeof maker;
  return getsockopt(STDERR_FILENO, SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 ? maker.pid : 0;
}

}  // namespace

std::optional<Predecessor> Predecessor::find() {
  const char* const from = std::getenv(kVariable);
  const bool is_successor = from != nullptr && from == std::to_string(maker_of_standard_error());
  unsetenv(kVariable);
  if (!is_successor) {
    return {};
  }
  Predecessor made;
  made.channel_ = Descriptor(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  for (;;) {
    UpgradeMessage message = next(made.channel_);
    if (message.word(0) == upgrade_words::kAll) {
      return made;
    }
    made.take(std::move(message));
  }
}

void Predecessor::take(UpgradeMessage message) {
  const std::string what = message.word(0);
  std::vector<Descriptor>& descriptors = message.descriptors;
  if (what == upgrade_words::kNotBefore) {
    not_before_ = std::chrono::steady_clock::time_point(
        std::chrono::seconds(std::strtoll(message.word(1).c_str(), nullptr, 10)));
  } else if (descriptors.empty()) {
    return;
  } else if (what == upgrade_words::kStandardError) {
    dup2(descriptors[0].number(), STDERR_FILENO);
  } else if (what == upgrade_words::kPassed) {
    passed_.push_back({message.word(1), std::move(descriptors[0])});
  } else if (what == upgrade_words::kSocket) {
    const auto mode = static_cast<mode_t>(std::strtoul(message.word(2).c_str(), nullptr, 8));
    sockets_.push_back({message.word(1), mode, message.word(3), std::move(descriptors)});
  }
}

std::vector<PassedDescriptor> Predecessor::passed() { return std::exchange(passed_, {}); }

std::optional<HandedSocket> Predecessor::socket(const std::string& address) {
  const auto found = std::find_if(sockets_.begin(), sockets_.end(),
                                  [&](const HandedSocket& one) { return one.address == address; });
  if (found == sockets_.end()) {
    return {};
  }
  HandedSocket made = std::move(*found);
  sockets_.erase(found);
  return made;
}

void Predecessor::wait_for_go() {
  send_message(channel_.number(), {upgrade_words::kReady});
  while (next(channel_).word(0) != upgrade_words::kGo) {
  }
  channel_ = Descriptor();
}

bool Predecessor::fail(const std::string& why) const {
  return send_message(channel_.number(), {why});
}

}  // namespace lmtpq::mailer
