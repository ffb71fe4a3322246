#include "tests/dialogues/binary_player.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <sstream>
#include <stdexcept>

#include "tests/dialogues/listener.h"
#include "tests/dialogues/scratch.h"

namespace dialogues {
namespace {

using Clock = std::chrono::steady_clock;
using lmtpq::Descriptor;

// A peer and its descriptors.
struct Wire {
  std::unique_ptr<Peer> peer;
  Descriptor in;   // from lmtpq; of a socket also to it
  Descriptor out;  // to lmtpq, where that is a different one
  bool is_client = false;
  std::string pending;
  bool half_closed = false;
  short events = 0;

  int target() const { return is_client ? out.number() : in.number(); }
};

// A process has a copy of all our descriptors until it has become lmtpq, and what another dialogue
// closes in the meantime stays open.
std::mutex spawning;
constexpr int kLastDescriptor = 900;

// Returns when the process has closed its copies: execve(2) does so in their order, the last of
// them after posix_spawn(3) has returned.
int spawn(pid_t& pid, const posix_spawn_file_actions_t& actions, char* const* argv) {
  const std::lock_guard lock(spawning);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return errno;
  }
  const Descriptor reader(ends[0]);
  Descriptor last(fcntl(ends[1], F_DUPFD_CLOEXEC, kLastDescriptor));
  close(ends[1]);
  const int trouble = posix_spawn(&pid, argv[0], &actions, nullptr, argv, environ);
  last = Descriptor();
  char byte = 0;
  while (read(reader.number(), &byte, 1) < 0 && errno == EINTR) {
  }
  return trouble;
}

void close_now(Descriptor& descriptor) {
  const std::lock_guard lock(spawning);
  descriptor = Descriptor();
}

struct Process {
  pid_t pid = -1;
  bool reaped = false;
  int status = 0;
};

class BinaryPlayer {
 public:
  BinaryPlayer(const Script& script, Cast& cast, const std::string& lmtpq)
      : script_(script), cast_(cast), scratch_(script) {
    for (std::size_t i = 0; i < cast.destinations(); ++i) {
      listeners_.emplace_back(script.inet, scratch_.path() + "/store" + std::to_string(i),
                              cast.listens(i));
    }
    start(lmtpq);
  }

  ~BinaryPlayer() {
    if (!process_.reaped) {
      kill(process_.pid, SIGKILL);
      waitpid(process_.pid, nullptr, 0);
    }
  }

  Played play() {
    const Clock::time_point end = Clock::now() + kLongest;
    while (!over() && !stage_.failed()) {
      advance();
      for (Wire& wire : wires_) {
        tell(wire);
      }
      if (!stage_.show_marks()) {
        wait();
      }
      if (Clock::now() > end) {
        stage_.fail("lmtpq hangs");
        for (Wire& wire : wires_) {
          wire.peer->finish();
        }
      }
    }
    return result();
  }

 private:
  void start(const std::string& lmtpq);
  std::vector<std::string> arguments(const std::string& lmtpq) const;
  void advance();
  void tell(Wire& wire);
  void end(Wire& wire);
  void wait();
  void hear(Wire& wire);
  bool over();
  Played result();

  const Script& script_;
  Cast& cast_;
  Scratch scratch_;
  Stage stage_;
  std::vector<Listener> listeners_;
  std::list<Wire> wires_;  // the first is the client
  Process process_;
};

std::vector<std::string> BinaryPlayer::arguments(const std::string& lmtpq) const {
  std::vector<std::string> words{lmtpq, script_.command};
  for (const std::string& option : options_of(script_, scratch_.path())) {
    words.push_back(option);
  }
  const bool relay = script_.command == "relay";
  std::string all;
  for (const Listener& listener : listeners_) {
    if (relay) {
      words.push_back(listener.destination());
    }
    all += (all.empty() ? "" : ",") + listener.destination();
  }
  if (!relay && !all.empty()) {
    words.push_back("-d");
    words.push_back(all);
  }
  for (const std::string& argument : script_.arguments) {
    words.push_back(argument);
  }
  return words;
}

void BinaryPlayer::start(const std::string& lmtpq) {
  int to[2];
  int from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipes");
  }
  std::vector<std::string> words = arguments(lmtpq);
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  const std::string errors = scratch_.path() + "/stderr";
  // Not fork(2), which would copy the page tables of all running dialogues.
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
  if (script_.joined_stderr) {
    posix_spawn_file_actions_adddup2(&actions, from[1], STDERR_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT,
                                     0600);
  }
  const int trouble = spawn(process_.pid, actions, argv.data());
  posix_spawn_file_actions_destroy(&actions);
  close(to[0]);
  close(from[1]);
  if (trouble != 0) {
    process_.reaped = true;
    throw std::runtime_error(lmtpq + ": " + std::strerror(trouble));
  }
  Wire& client = wires_.emplace_back();
  client.is_client = true;
  client.in = Descriptor(from[0]);
  client.out = Descriptor(to[1]);
  fcntl(to[1], F_SETFL, O_NONBLOCK);
  if (script_.command == "relay") {
    client.peer = std::make_unique<ScriptedPeer>("mta", stage_, script_.client);
  } else {
    client.peer = std::make_unique<StdinPeer>("stdin", stage_, script_.client);
  }
}

void BinaryPlayer::advance() {
  bool any = true;
  while (any && !stage_.failed()) {
    any = false;
    for (Wire& wire : wires_) {
      any = wire.peer->advance() || any;
    }
  }
  if (stage_.take_termination()) {
    kill(process_.pid, SIGTERM);
  }
}

// Carries what the peer sends, then how it ends.
void BinaryPlayer::tell(Wire& wire) {
  while (wire.target() >= 0 && !wire.half_closed &&
         (!wire.pending.empty() || wire.peer->has_outbox())) {
    if (wire.pending.empty()) {
      wire.pending = wire.peer->take_outbox();
    }
    const ssize_t count = write(wire.target(), wire.pending.data(), wire.pending.size());
    if (count < 0 && errno == EAGAIN) {
      return;
    }
    // lmtpq may stop reading; the script's expectations decide whether that is right.
    wire.pending.erase(0, count < 0 ? std::string::npos : static_cast<std::size_t>(count));
    if (wire.peer->dribbles()) {
      usleep(100);
      return;
    }
  }
  end(wire);
}

void BinaryPlayer::end(Wire& wire) {
  if (!wire.pending.empty()) {
    return;
  }
  const bool leaves =
      wire.is_client && wire.peer->waiting() == Peer::Waiting::kNot && !wire.peer->has_outbox();
  const Peer::Ending ending = wire.peer->ending();
  if (ending == Peer::Ending::kClosed || ending == Peer::Ending::kAborted) {
    const linger at_once{1, 0};
    if (ending == Peer::Ending::kAborted) {
      setsockopt(wire.in.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close_now(wire.in);
    close_now(wire.out);
  } else if (ending == Peer::Ending::kHalfClosed || leaves) {
    if (wire.is_client) {
      close_now(wire.out);
    } else if (!wire.half_closed) {
      shutdown(wire.in.number(), SHUT_WR);
    }
    wire.half_closed = true;
  }
}

void BinaryPlayer::wait() {
  std::vector<pollfd> entries;
  int timeout = process_.reaped ? 1 : 20;
  for (const Listener& listener : listeners_) {
    entries.push_back({listener.number(), POLLIN, 0});
  }
  for (const Wire& wire : wires_) {
    entries.push_back({wire.peer->deaf() ? -1 : wire.in.number(), POLLIN, 0});
    entries.push_back({wire.pending.empty() ? -1 : wire.target(), POLLOUT, 0});
    timeout = wire.peer->has_outbox() && wire.pending.empty() ? 0 : timeout;
    if (wire.peer->waiting() == Peer::Waiting::kForClock) {
      timeout = std::min(timeout, 2);
    }
  }
  if (!wires_.front().in.valid()) {
    timeout = std::min(timeout, 1);  // no event reports the end of the process
  }
  poll(entries.data(), entries.size(), timeout);
  std::size_t at = listeners_.size();
  for (Wire& wire : wires_) {
    if (entries[at].revents != 0) {
      hear(wire);
    }
    at += 2;
  }
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (entries[i].revents != 0) {
      Wire& wire = wires_.emplace_back();
      wire.in = listeners_[i].accept();
      wire.peer = cast_.accept(i, stage_);
      if (!cast_.listens(i)) {
        listeners_[i].stop();
      }
    }
  }
}

void BinaryPlayer::hear(Wire& wire) {
  thread_local std::string buffer(256 * 1024, '\0');
  const ssize_t count = read(wire.in.number(), buffer.data(), buffer.size());
  if (count > 0) {
    wire.peer->receive(std::string_view(buffer).substr(0, static_cast<std::size_t>(count)));
  } else if (count == 0 || errno != EAGAIN) {
    close_now(wire.in);
    wire.peer->receive_end();
  }
}

// The process has ended, and its output has been read.
bool BinaryPlayer::over() {
  const Wire& client = wires_.front();
  if (!process_.reaped && (!client.in.valid() || client.peer->deaf())) {
    process_.reaped = waitpid(process_.pid, &process_.status, WNOHANG) == process_.pid;
  }
  bool heard = process_.reaped;
  for (const Wire& wire : wires_) {
    heard = heard && (!wire.in.valid() || wire.peer->deaf());
  }
  return heard;
}

Played BinaryPlayer::result() {
  Played played;
  advance();
  if (!stage_.failed()) {
    for (Wire& wire : wires_) {
      wire.peer->finish();
    }
    cast_.finish(stage_);
  }
  const auto& client = static_cast<ScriptedPeer&>(*wires_.front().peer);
  played.heard = client.heard();
  played.failure = stage_.failure();
  played.exit =
      WIFEXITED(process_.status) ? WEXITSTATUS(process_.status) : -WTERMSIG(process_.status);
  played.log = Scratch::read(scratch_.log_file());
  played.err = Scratch::read(scratch_.path() + "/stderr");
  if (script_.command != "relay") {
    played.out = static_cast<const StdinPeer&>(client).printed();
  }
  return played;
}

}  // namespace

Played play_binary(const Script& script, Cast& cast, const std::string& lmtpq) {
  return BinaryPlayer(script, cast, lmtpq).play();
}

}  // namespace dialogues
