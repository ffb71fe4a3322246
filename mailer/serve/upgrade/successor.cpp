#include "mailer/serve/upgrade/successor.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 has forgotten it
#include <sys/pidfd.h>
}

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "mailer/io/waiting.h"
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

// systemd waits at a stop only for a main process that is its own child: it would kill any other
// one at once, with the messages in progress.
bool under_service_manager() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

// The process has the daemon's signals blocked, as we have, from its first instruction on, and has
// of our descriptors 0, 1 and, as 2, `standard_error`. It is our child or, under a service manager,
// our parent's. 0, or errno. Between clone and execve only what a signal handler may do.
int spawn(const std::string& program, std::vector<std::string> words, int standard_error,
          pid_t& pid, Descriptor& process) {
  std::vector<std::string> variables = environment();
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> settings = pointers(variables);
  std::string failed = "cannot run " + program + ": ";
  const int whose = under_service_manager() ? CLONE_PARENT : 0;
  int handle = -1;
  const long made =
      syscall(SYS_clone, whose | CLONE_PIDFD | SIGCHLD, nullptr, &handle, nullptr, nullptr);
  if (made == 0) {
    if (dup2(standard_error, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0) {
      execve(program.c_str(), arguments.data(), settings.data());
    }
    const char* const error = strerrordesc_np(errno);
    const std::array<iovec, 2> parts{
        {{failed.data(), failed.size()}, {const_cast<char*>(error), std::strlen(error)}}};
    [[maybe_unused]] const ssize_t written = writev(STDERR_FILENO, parts.data(), parts.size());
    _exit(127);
  }
  if (made == -1) {
    return errno;
  }
  pid = static_cast<pid_t>(made);
  process = Descriptor(handle);
  return 0;
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
  const int error = spawn(program.path(), std::move(words), other_.number(), pid_, process_);
  if (error != 0) {
    throw std::runtime_error("cannot run " + program.path() + ": " + std::strerror(error));
  }
  send({upgrade_words::kStandardError}, {STDERR_FILENO});
}

Successor::~Successor() {
  if (pid_ >= 0 && !ended_) {
    pidfd_send_signal(process_.number(), SIGKILL, nullptr, 0);
    look_for_end(Deadline::max());
  }
  // What it has not read: a child of it that has the socket too must not keep ours open.
  while (other_.valid() && receive_message(other_.number(), std::chrono::milliseconds(0))) {
  }
}

// Under a service manager its parent is not we, and has its status.
void Successor::look_for_end(Deadline deadline) {
  if (!ended_ && wait_for(process_.number(), POLLIN, deadline) != 0) {
    ended_ = true;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = status;
    }
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
  look_for_end(Clock::now());  // before what it sent is read: that is then complete
  while (const auto message = receive_message(channel_.number(), std::chrono::milliseconds(0))) {
    if (message->word(0) == upgrade_words::kReady) {
      return ended_ ? State::kFailed : State::kReady;
    }
    if (text_.size() < kMostText) {
      text_ += message->word(0);
    }
  }
  return ended_ ? State::kFailed : State::kStarting;
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
  if (!status_) {
    return "the new process ended";
  }
  return WIFSIGNALED(*status_)
             ? "the new process ended by signal " + std::to_string(WTERMSIG(*status_))
             : "the new process ended with status " + std::to_string(WEXITSTATUS(*status_));
}

bool Successor::release() {
  other_ = Descriptor();  // so that the end of the process is an error of the message
  look_for_end(Clock::now());
  if (ended_ || !send_message(channel_.number(), {upgrade_words::kGo})) {
    return false;
  }
  pid_ = -1;
  return true;
}

}  // namespace lmtpq::mailer
