#include "mailer/serve/upgrade/executable.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace lmtpq::mailer {
namespace {

constexpr const char* kRunning = "/proc/self/exe";

}  // namespace

Executable::Executable() {
  std::array<char, PATH_MAX> text{};
  const ssize_t length = readlink(kRunning, text.data(), text.size());
  path_.assign(text.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
}

bool Executable::replaced() const {
  struct stat running {};
  struct stat found {};
  return stat(kRunning, &running) == 0 && stat(path_.c_str(), &found) == 0 &&
         (running.st_dev != found.st_dev || running.st_ino != found.st_ino);
}

}  // namespace lmtpq::mailer
