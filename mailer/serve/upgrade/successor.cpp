#include "mailer/serve/upgrade/successor.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "common/daemon_signals.h"
#include "mailer/serve/upgrade/predecessor.h"
#include "mailer/serve/upgrade/upgrade_message.h"

namespace lmtpq::mailer {
namespace {

constexpr timeval kSendTimeout{10, 0};
constexpr std::size_t kMostText = 2000;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> made;
  made.reserve(words.size() + 1);
  for (std::string& word : words) {
    made.push_back(word.data());
  }
  made.push_back(nullptr);
  return made;
}

std::vector<std::string> environment() {
  const std::string own = std::string(Predecessor::kVariable) + '=';
  std::vector<std::string> made{own + std::to_string(getpid())};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(own)) {
      made.emplace_back(*entry);
    }
  }
  return made;
}

// posix_spawn(3): the process has blocked the daemon's signals from its first instruction on, and
// has of our descriptors 0, 1 and, as 2, `standard_error`. 0, or errno.
int spawn(const std::string& program, std::vector<std::string> words, int standard_error,
          pid_t& pid) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_init(&actions);
  const sigset_t blocked = daemon_signals();
  posix_spawnattr_setsigmask(&attributes, &blocked);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawn_file_actions_adddup2(&actions, standard_error, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  std::vector<std::string> variables = environment();
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes,
                                pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

Successor::Successor(const Executable& program, const std::vector<std::string>& arguments)
    : deadline_(Clock::now() + kMostTime) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    throw std::runtime_error(std::string("socketpair: ") + std::strerror(errno));
  }
  channel_ = Descriptor(pair[0]);
  other_ = Descriptor(pair[1]);
  setsockopt(channel_.number(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  std::vector<std::string> words{"lmtpq-serve"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (const int error = spawn(program.path(), std::move(words), other_.number(), pid_);
      error != 0) {
    pid_ = -1;
    throw std::runtime_error("cannot run " + program.path() + ": " + std::strerror(error));
  }
  send({upgrade_words::kStandardError}, {STDERR_FILENO});
}

Successor::~Successor() {
  if (pid_ >= 0 && status_ == -1) {
    kill(pid_, SIGKILL);
    reap(0);
  }
  // What it has not read: a child of it that has the socket too must not keep ours open.
  while (other_.valid() && receive_message(other_.number(), std::chrono::milliseconds(0))) {
  }
}

void Successor::reap(int options) {
  int status = 0;
  if (status_ == -1 && waitpid(pid_, &status, options) == pid_) {
    status_ = status;
  }
}

void Successor::send(const std::vector<std::string>& words,
                     const std::vector<int>& descriptors) const {
  // A process that does not read it does not become ready either.
  [[maybe_unused]] const bool sent = send_message(channel_.number(), words, descriptors);
}

Successor::State Successor::look() {
  if (Clock::now() >= deadline_) {
    late_ = true;
    return State::kFailed;
  }
  reap(WNOHANG);  // before what it sent is read: that is then complete
  while (const auto message = receive_message(channel_.number(), std::chrono::milliseconds(0))) {
    if (message->word(0) == upgrade_words::kReady) {
      return status_ == -1 ? State::kReady : State::kFailed;
    }
    if (text_.size() < kMostText) {
      text_ += message->word(0);
    }
  }
  return status_ == -1 ? State::kStarting : State::kFailed;
}

std::string Successor::failure() const {
  if (late_) {
    return "the new process was not ready after " +
           std::to_string(std::chrono::seconds(kMostTime).count()) + " s";
  }
  const std::size_t end = text_.find_last_not_of("\r\n ");
  if (end != std::string::npos) {
    return text_.substr(0, end + 1);
  }
  return WIFSIGNALED(status_)
             ? "the new process ended by signal " + std::to_string(WTERMSIG(status_))
             : "the new process ended with status " + std::to_string(WEXITSTATUS(status_));
}

bool Successor::release() {
  other_ = Descriptor();  // so that the end of the process is an error of the message
  reap(WNOHANG);
  if (status_ != -1 || !send_message(channel_.number(), {upgrade_words::kGo})) {
    return false;
  }
  pid_ = -1;
  return true;
}

}  // namespace lmtpq::mailer
