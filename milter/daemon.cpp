#include "milter/daemon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/config_error.h"

namespace lmtpq::milter {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw ConfigError(what + ": " + std::strerror(errno));
}

// The child's exit status, or 0 as soon as it says that it serves.
int await(pid_t child, int pipe) {
  char word = 0;
  ssize_t got = 0;
  do {
    got = read(pipe, &word, 1);
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

PidFile::PidFile(const std::string& path) : path_(path) {
  if (path.empty()) {
    return;
  }
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0644);
  if (descriptor_ < 0) {
    fail("pid-file " + path);
  }
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    throw ConfigError("pid-file " + path + ": another lmtpq-milter holds it; stop that one first");
  }
}

PidFile::~PidFile() {
  if (!written_) {
    remove();
  }
}

void PidFile::write() {
  if (descriptor_ < 0) {
    return;
  }
  written_ = true;
  const std::string line = std::to_string(getpid()) + '\n';
  if (ftruncate(descriptor_, 0) != 0 ||
      pwrite(descriptor_, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    fail("pid-file " + path_);
  }
}

void PidFile::remove() const {
  if (descriptor_ >= 0 && unlink(path_.c_str()) != 0) {
    [[maybe_unused]] const int emptied = ftruncate(descriptor_, 0);
  }
}

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
    fail("/");
  }
  return Launch(ends[1]);
}

void Launch::ready(bool keep_stderr) const {
  if (parent_ < 0) {
    return;
  }
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) {
    fail("/dev/null");
  }
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  if (!keep_stderr) {
    dup2(nowhere, STDERR_FILENO);
  }
  if (nowhere > STDERR_FILENO) {
    close(nowhere);
  }
  [[maybe_unused]] const ssize_t told = ::write(parent_, "1", 1);
  close(parent_);
}

}  // namespace lmtpq::milter
