#include "common/log/log_target.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "common/open_file.h"

namespace lmtpq {
namespace {

struct LevelFacts {
  const char* field;  // in a file; syslog has the priority
  int priority;
};

constexpr std::size_t kMostPrefix = 64;       // before and after the name and the text of a line
constexpr std::size_t kMostText = 16 * 1024;  // at a time

constexpr std::array<LevelFacts, 4> kLevels = {{{"level=error ", LOG_ERR},
                                                {"level=warning ", LOG_WARNING},
                                                {"", LOG_INFO},
                                                {"level=debug ", LOG_DEBUG}}};

const LevelFacts& facts(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

constexpr std::string_view kFileTime = "0000-00-00T00:00:00.000Z";

// 2026-11-21T09:20:00.123Z
void append_file_time(std::chrono::system_clock::time_point at, std::string& text) {
  using namespace std::chrono;
  const auto now = floor<milliseconds>(at);
  const auto today = floor<days>(now);
  const year_month_day date(today);
  const hh_mm_ss time(now - today);
  const std::size_t start = text.size();
  text += kFileTime;
  const auto put = [&text, start](std::size_t end, long long number) {
    for (; number > 0; number /= 10) {
      text[start + --end] = static_cast<char>('0' + number % 10);
    }
  };
  put(4, static_cast<int>(date.year()));
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  put(13, time.hours().count());
  put(16, time.minutes().count());
  put(19, time.seconds().count());
  put(23, time.subseconds().count());
}

// Nov  1 09:20:00, in local time and English, whatever the locale.
std::string syslog_time(std::chrono::system_clock::time_point at) {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[64];
  std::snprintf(text, sizeof text, "%s %2d %02d:%02d:%02d", kMonths[local.tm_mon % 12],
                local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
  return text;
}

}  // namespace

LogTarget::LogTarget(std::string_view program, std::string where, std::string syslog_socket)
    : program_(' ' + std::string(program) + '[' + std::to_string(getpid()) + "]: "),
      where_(std::move(where)),
      syslog_socket_(std::move(syslog_socket)) {}

int LogTarget::open() {
  if (!is_file()) {
    return 0;
  }
  Descriptor fresh = open_to_append(where_);
  if (!fresh.valid()) {
    return errno;
  }
  opened_ = std::move(fresh);
  done_ = 0;  // all of a line that is half in the old file
  return 0;
}

void LogTarget::fall_back_to_syslog() { where_ = "syslog"; }

// Leaves the text as it is if there is no memory.
void LogTarget::append(const LogLine& line) {
  const LevelFacts& level = facts(line.level);
  text_.reserve(text_.size() + kMostPrefix + program_.size() + line.text.size());
  if (is_syslog()) {
    text_ += '<' + std::to_string(LOG_MAIL | level.priority) + '>' + syslog_time(line.at);
    text_.append(program_).append(line.text);
    return;
  }
  append_file_time(line.at, text_);
  text_.append(program_).append(level.field).append(line.text) += '\n';
}

LogTarget::Result LogTarget::failed(int error) {
  error_ = error;
  return Result::kFailed;
}

// A file takes many lines at once, syslog one.
void LogTarget::format(std::span<const LogLine> lines) {
  const std::size_t most = is_syslog() ? 1 : kMostText;
  ends_.reserve(lines.size());  // what throws comes before a line is taken
  for (std::size_t i = ends_.size(); i < lines.size() && text_.size() < most; ++i) {
    append(lines[i]);
    ends_.push_back(text_.size() + (is_syslog() ? 1 : 0));  // the NUL of a stream
  }
}

// Lines that come before the others may follow, so only one that is half written is kept.
std::size_t LogTarget::forget_written() {
  const auto next = std::upper_bound(ends_.begin(), ends_.end(), done_);
  const auto written = static_cast<std::size_t>(next - ends_.begin());
  const std::size_t start = written == 0 ? 0 : ends_[written - 1];
  done_ -= start;
  const std::size_t kept = done_ == 0 ? 0 : *next - start;
  text_.erase(0, start);
  text_.resize(std::min(text_.size(), kept));
  ends_.assign(kept == 0 ? 0 : 1, kept);
  return written;
}

LogTarget::Result LogTarget::write(std::span<const LogLine> lines, std::size_t& written) {
  format(lines);
  const Result result = is_syslog() ? send_to_syslog() : write_to_file();
  written = forget_written();
  return result;
}

LogTarget::Result LogTarget::write_to_file() {
  const int descriptor = is_file() ? opened_.number() : STDERR_FILENO;
  while (done_ < text_.size()) {
    const ssize_t written = ::write(descriptor, text_.data() + done_, text_.size() - done_);
    if (written >= 0) {
      done_ += static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {
      return Result::kFull;
    } else if (errno != EINTR) {
      return failed(errno);
    }
  }
  return Result::kWritten;
}

bool LogTarget::connect_to_syslog() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  syslog_socket_.copy(address.sun_path, sizeof address.sun_path - 1);
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    Descriptor made(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (made.valid() &&
        connect(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      opened_ = std::move(made);
      stream_ = type == SOCK_STREAM;
      done_ = 0;
      return true;
    }
    if (errno != EPROTOTYPE) {
      break;
    }
  }
  return false;
}

LogTarget::Result LogTarget::send_to_syslog() {
  for (;;) {
    const bool fresh = !opened_.valid();
    if (fresh && !connect_to_syslog()) {
      return failed(errno);
    }
    const std::size_t size = text_.size() + (stream_ ? 1 : 0);
    const ssize_t sent =
        send(opened_.number(), text_.c_str() + done_, size - done_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      done_ += static_cast<std::size_t>(sent);
    }
    // A line that is too long would never be taken.
    if (sent >= 0 ? done_ == size : errno == EMSGSIZE) {
      done_ = ends_.front();
      return Result::kWritten;
    }
    if (sent >= 0) {
      continue;
    }
    if (errno == EAGAIN) {
      return Result::kFull;
    }
    if (errno != EINTR) {
      const int error = errno;
      opened_ = Descriptor();  // that of a syslogd that has ended, most likely
      if (fresh) {
        return failed(error);
      }
    }
  }
}

void LogTarget::wait(std::chrono::milliseconds most) const {
  const bool own = is_file() || is_syslog();
  pollfd entry{own ? opened_.number() : STDERR_FILENO, POLLOUT, 0};
  poll(&entry, 1, static_cast<int>(most.count()));
}

}  // namespace lmtpq
