#include "milter/process/daemonize.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "common/shortage.h"

namespace lmtpq::milter {
namespace {

[[noreturn]] void fail(const std::string& call) {
  const int error = errno;
  refuse_by_error(error, "cannot go into the background: " + call + ": " + std::strerror(error));
}

// The child's exit status, or 0 as soon as it reports that it serves.
int await(pid_t child, int pipe) {
  char report = 0;
  ssize_t got = 0;
  do {
    got = read(pipe, &report, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) {
    return EX_OK;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != EX_OK ? WEXITSTATUS(status) : EX_SOFTWARE;
}

}  // namespace

Launch Launch::into_background() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    fail("pipe");
  }
  const pid_t child = fork();
  if (child < 0) {
    fail("fork");
  }
  if (child > 0) {
    close(ends[1]);
    _exit(await(child, ends[0]));
  }
  close(ends[0]);
  setsid();
  if (chdir("/") != 0) {
    fail("chdir to /");
  }
  return Launch(ends[1]);
}

void Launch::ready(bool keep_stderr) const {
  if (parent_ < 0) {
    return;
  }
  // Not one of the first three, which are open (fill_standard_descriptors()).
  const Descriptor null_device(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_device.valid()) {
    fail("open /dev/null");
  }
  dup2(null_device.number(), STDIN_FILENO);
  dup2(null_device.number(), STDOUT_FILENO);
  if (!keep_stderr) {
    dup2(null_device.number(), STDERR_FILENO);
  }
  [[maybe_unused]] const ssize_t reported = ::write(parent_, "1", 1);
  close(parent_);
}

}  // namespace lmtpq::milter
