#include "mailer/serve/upgrade/upgrade_message.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMostBytes = 16 * 1024;
constexpr std::size_t kMostDescriptors = 8;

// Where the descriptors of a message are (cmsg(3)).
struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> bytes{};
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('\0', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::vector<Descriptor> descriptors_of(msghdr& header) {
  std::vector<Descriptor> made;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + at, sizeof number);
      made.emplace_back(number);
    }
  }
  return made;
}

}  // namespace

bool send_message(int socket, const std::vector<std::string>& words,
                  const std::vector<int>& descriptors) {
  std::string text;
  for (const std::string& word : words) {
    text += (&word == &words.front() ? "" : std::string(1, '\0')) + word;
  }
  text.resize(std::min(text.size(), kMostBytes));
  iovec data{text.data(), text.size()};
  Control control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const std::size_t size = std::min(descriptors.size(), kMostDescriptors) * sizeof(int);
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(part), descriptors.data(), size);
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) >= 0;
}

std::optional<UpgradeMessage> receive_message(int socket, std::chrono::milliseconds most) {
  pollfd entry{socket, POLLIN, 0};
  if (poll(&entry, 1, static_cast<int>(most.count())) <= 0) {
    errno = EAGAIN;
    return {};
  }
  std::string text(kMostBytes, '\0');
  iovec data{text.data(), text.size()};
  Control control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  ssize_t length = 0;
  do {
    // ECONNRESET, once: the other process ended without reading all, and may have sent before.
    length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (length < 0 && errno == ECONNRESET);
  if (length <= 0) {
    errno = length < 0 && errno == EAGAIN ? EAGAIN : EPIPE;
    return {};
  }
  text.resize(static_cast<std::size_t>(length));
  return UpgradeMessage{split(text), descriptors_of(header)};
}

}  // namespace lmtpq::mailer
