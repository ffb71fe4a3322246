// Messages between the running daemon and the process that takes its place: words, and descriptors
// (SCM_RIGHTS), over a unix(7) socket of SOCK_SEQPACKET.
//
// The two processes can be of different versions: a message whose first word the receiver does not
// know is ignored, and so are further words. A word has no NUL.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"

namespace lmtpq::mailer {

struct UpgradeMessage {
  std::vector<std::string> words;
  std::vector<Descriptor> descriptors;

  // The word at this place; empty: it has fewer.
  std::string word(std::size_t index) const {
    return index < words.size() ? words[index] : std::string();
  }
};

// What the first words mean.
namespace upgrade_words {
// From the running daemon.
inline constexpr const char* kStandardError = "stderr";  // 1 descriptor
inline constexpr const char* kPassed = "passed";  // NAME; 1 descriptor, which systemd has passed
inline constexpr const char* kSocket = "socket";  // ADDRESS MODE OWNER; see HandedSocket
inline constexpr const char* kNotBefore = "memory-upgrade-not-before";  // CLOCK_MONOTONIC seconds
inline constexpr const char* kAll = "all";  // the end of the messages above
inline constexpr const char* kGo = "go";    // it has stopped accepting: serve
// From the new process. Any other message is a part of the text that says why it failed.
inline constexpr const char* kReady = "ready";
}  // namespace upgrade_words

// False: errno. Waits for room up to the socket's timeout.
bool send_message(int socket, const std::vector<std::string>& words,
                  const std::vector<int>& descriptors = {});

// The next message within this time. Without a value: none came (errno is EAGAIN), or none will
// come, as the other process has ended (errno is EPIPE).
std::optional<UpgradeMessage> receive_message(int socket, std::chrono::milliseconds most);

}  // namespace lmtpq::mailer
