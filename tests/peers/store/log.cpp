#include "log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace store {
namespace {

std::string now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  tm parts{};
  gmtime_r(&time.tv_sec, &parts);
  char day[32];
  strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  char text[64];
  snprintf(text, sizeof text, "%s.%06ldZ", day, time.tv_nsec / 1000);
  return text;
}

}  // namespace

Event& Event::add(std::string_view key, std::string_view value) {
  text_.append(" ").append(key).append("=<");
  for (const char c : value) {
    if (c <= ' ' || c > '~' || c == '<' || c == '>' || c == '"' || c == '\\') {
      char escape[5];
      snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
      text_ += escape;
    } else {
      text_ += c;
    }
  }
  text_ += '>';
  return *this;
}

Event& Event::add(std::string_view key, std::uint64_t number) {
  text_.append(" ").append(key).append("=").append(std::to_string(number));
  return *this;
}

Log::Log(const std::string& file) : descriptor_(STDERR_FILENO) {
  if (file.empty()) return;
  descriptor_ = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), file);
}

void Log::write(const Event& event) const {
  static const std::string tag = " store[" + std::to_string(getpid()) + "]: ";
  const std::string line = now() + tag + event.text() + "\n";
  // One write, so that the lines of two threads never mix; a log that fails stops no mail.
  [[maybe_unused]] const auto written = ::write(descriptor_, line.data(), line.size());
}

}  // namespace store
