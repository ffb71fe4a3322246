#include "milter/process/pid_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/config_error.h"
#include "common/shortage.h"

namespace lmtpq::milter {
namespace {

[[noreturn]] void fail(const std::string& path) {
  const int error = errno;
  refuse_by_error(error, '"' + path + "\": " + std::strerror(error));
}

}  // namespace

PidFile::PidFile(const std::string& path) : path_(path) {
  if (!path.empty()) {
    file_.emplace(path, 0644,
                  '"' + path + "\": locked by another lmtpq-milter; stop that one first");
  }
}

PidFile::~PidFile() {
  if (!written_) {
    remove();
  }
}

void PidFile::write() {
  if (!file_) {
    return;
  }
  written_ = true;
  const std::string line = std::to_string(getpid()) + '\n';
  errno = ENOSPC;  // a part was written
  if (ftruncate(file_->number(), 0) != 0 ||
      pwrite(file_->number(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    fail(path_);
  }
}

void PidFile::remove() const {
  if (file_ && !file_->remove()) {
    [[maybe_unused]] const int emptied = ftruncate(file_->number(), 0);
  }
}

}  // namespace lmtpq::milter
