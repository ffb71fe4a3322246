#include "mailer/serve/systemd/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string_view>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMostKept = 16;

std::deque<std::string>& kept() {
  static std::deque<std::string> all;
  return all;
}

// False: it does not read, and may later. An address that begins with @ is an abstract name.
bool send_now(const std::string& lines) {
  const char* const variable = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = variable == nullptr ? "" : variable;
  sockaddr_un address{};
  if (name.empty() || name.size() >= sizeof address.sun_path ||
      (name[0] != '/' && name[0] != '@')) {
    return true;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') {
    address.sun_path[0] = '\0';
  }
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return sendto(socket.number(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address), size) >= 0 ||
         (errno != EAGAIN && errno != ENOBUFS && errno != EBADF);
}

bool send_kept() {
  while (!kept().empty() && send_now(kept().front())) {
    kept().pop_front();
  }
  return kept().empty();
}

}  // namespace

std::vector<PassedDescriptor> passed_descriptors() {
  std::vector<PassedDescriptor> passed;
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    const int number = SD_LISTEN_FDS_START + i;
    fcntl(number, F_SETFD, FD_CLOEXEC);
    passed.push_back({names[i], Descriptor(number)});
    free(names[i]);
  }
  free(names);
  return passed;
}

void notify_service_manager(const std::string& lines) {
  if (kept().size() == kMostKept) {
    kept().pop_front();
  }
  kept().push_back(lines);
  send_kept();
}

void beat_service_manager(const std::string& lines) {
  if (send_kept() && !lines.empty()) {
    send_now(lines);
  }
}

}  // namespace lmtpq::mailer
