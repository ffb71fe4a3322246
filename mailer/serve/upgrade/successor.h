// The process that takes the place of this one in an upgrade, as this one sees it.
//
// It runs the program that is now at the executable's path, with the same arguments and
// environment. It inherits standard input and output, and no other descriptor but a socket, which
// is also its standard error until it has the real one: so what the dynamic linker reports comes
// here as well.
//
// That the process has ended, waitpid(2) tells, and not the end of the socket: a child of it may
// have the socket too. What the process has not read of it is then taken back, with the
// descriptors; those that it has read and given to a child are beyond our reach.
//
// Used by the main thread, which looks for the outcome; nothing here waits for the process, except
// that a message waits some seconds for room. Destroyed before release(), it ends the process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "mailer/io/channel.h"
#include "mailer/serve/upgrade/executable.h"

namespace lmtpq::mailer {

class Successor {
 public:
  using Clock = std::chrono::steady_clock;
  // For its start: as long as the unit's TimeoutStartSec=.
  static constexpr std::chrono::minutes kMostTime{2};

  enum class State { kStarting, kReady, kFailed };

  // Starts it. std::runtime_error: there is no process for it. That it cannot be executed is a
  // failure().
  Successor(const Executable& program, const std::vector<std::string>& arguments);
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  pid_t pid() const { return pid_; }
  // A message with descriptors (upgrade_words). Without a receiver, look() says so.
  void send(const std::vector<std::string>& words, const std::vector<int>& descriptors = {}) const;
  // What has become of it. At the end of kMostTime it is killed.
  State look();
  // After kFailed: why, in one line.
  std::string failure() const;
  // After kReady: it begins to serve, and outlives this object. False: it has just ended.
  bool release();

 private:
  void look_for_end(Deadline deadline);

  Descriptor channel_;
  Descriptor other_;  // our copy of the process's end, until it is released
  pid_t pid_ = -1;
  Descriptor process_;  // pidfd_open(2)
  bool ended_ = false;
  std::optional<int> status_;  // of waitpid(2), after the end
  bool late_ = false;
  std::string text_;  // that it sent
  Clock::time_point deadline_;
};

}  // namespace lmtpq::mailer
