#include "milter/process/pid_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/config_error.h"

namespace lmtpq::milter {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw ConfigError('"' + path + "\": " + std::strerror(errno));
}

}  // namespace

PidFile::PidFile(const std::string& path) : path_(path) {
  if (path.empty()) {
    return;
  }
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0644);
  if (descriptor_ < 0) {
    fail(path);
  }
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    throw ConfigError('"' + path + "\": locked by another lmtpq-milter; stop that one first");
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
    fail(path_);
  }
}

void PidFile::remove() const {
  if (descriptor_ >= 0 && unlink(path_.c_str()) != 0) {
    [[maybe_unused]] const int emptied = ftruncate(descriptor_, 0);
  }
}

}  // namespace lmtpq::milter
