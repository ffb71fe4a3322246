// What changes a process for good is tried in a child.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <exception>

namespace lmtpq {

// The body's result, in a child process. An exception is `false`.
template <typename Body>
bool in_a_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    bool good = false;
    try {
      good = body();
    } catch (const std::exception&) {
    }
    _exit(good ? 0 : 1);
  }
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace lmtpq
