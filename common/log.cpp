#include "common/log.h"

#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "common/config_error.h"
#include "common/escape.h"
#include "common/open_file.h"

namespace lmtpq {
namespace {

struct LevelName {
  LogLevel level;
  const char* name;
  int priority;
};

constexpr std::array<LevelName, 4> kLevels = {{{LogLevel::kError, "error", LOG_ERR},
                                               {LogLevel::kWarning, "warning", LOG_WARNING},
                                               {LogLevel::kInfo, "info", LOG_INFO},
                                               {LogLevel::kDebug, "debug", LOG_DEBUG}}};

const LevelName& naming(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

// 2026-11-21T09:20:00.123Z
std::string timestamp() {
  using namespace std::chrono;
  const auto now = floor<milliseconds>(system_clock::now());
  const auto today = floor<days>(now);
  const year_month_day date(today);
  const hh_mm_ss time(now - today);
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&text](std::size_t end, long long number) {
    for (; number > 0; number /= 10) {
      text[--end] = static_cast<char>('0' + number % 10);
    }
  };
  put(4, static_cast<int>(date.year()));
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  put(13, time.hours().count());
  put(16, time.minutes().count());
  put(19, time.seconds().count());
  put(23, time.subseconds().count());
  return text;
}

constexpr std::size_t kUsualLength = 512;

// What a byte requires of the value that contains it.
enum Needs : unsigned char { kNothing = 0, kQuotes = 1, kEscapes = 2 };

constexpr std::array<Needs, 256> kNeeds = [] {
  std::array<Needs, 256> made{};
  for (std::size_t byte = 0; byte < made.size(); ++byte) {
    const bool plain = byte > ' ' && byte <= '~' && byte != '"' && byte != '\\';
    made[byte] = byte == ' ' || byte == '=' ? kQuotes : plain ? kNothing : kEscapes;
  }
  return made;
}();

// What all bytes of a value require together.
unsigned needs_of(std::string_view value) {
  unsigned all = kNothing;
  for (const char c : value) {
    all |= kNeeds[static_cast<unsigned char>(c)];
  }
  return all;
}

}  // namespace

LogLevel parse_log_level(std::string_view text) {
  for (const LevelName& entry : kLevels) {
    if (text == entry.name) {
      return entry.level;
    }
  }
  throw ConfigError("expected error, warning, info or debug");
}

Record::Record(std::string_view event) {
  text_.reserve(kUsualLength);
  add("event", event);
}

Record& Record::add(std::string_view key, std::string_view value) {
  if (!text_.empty()) {
    text_ += ' ';
  }
  text_ += key;
  text_ += '=';
  const unsigned needs = needs_of(value);
  if (needs == kNothing && !value.empty() && value.size() <= kMaxValue) {
    text_ += value;
  } else if (needs <= kQuotes && value.size() <= kMaxValue) {
    text_ += '"';
    text_ += value;
    text_ += '"';
  } else {
    add_escaped(value);
  }
  return *this;
}

void Record::add_escaped(std::string_view value) {
  bool quoted = false;
  std::string shown;
  while (!value.empty()) {
    const std::string piece = take_escaped(value);
    if (shown.size() + piece.size() > kMaxValue) {
      shown += "...";
      break;
    }
    if (piece[0] == '\\' || piece == " " || piece == "=") {
      quoted = true;
    }
    shown += piece;
  }
  const std::string_view quote = quoted ? "\"" : "";
  text_ += quote;
  text_ += shown;
  text_ += quote;
}

Record& Record::add(std::string_view key, long long number) {
  return add(key, std::to_string(number));
}

Log::Log(std::string_view program, const std::string& where, LogLevel threshold)
    : program_(program), threshold_(threshold) {
  int open_error = 0;
  if (where == "stderr") {
    descriptor_ = STDERR_FILENO;
  } else if (where != "syslog") {
    file_ = where;
    descriptor_ = open_to_append(where).release();
    owned_ = descriptor_ >= 0;
    if (!owned_) {
      open_error = errno;
    }
  }
  if (descriptor_ >= 0) {
    return;
  }
  openlog(program_.c_str(), LOG_PID, LOG_MAIL);
  if (open_error != 0) {
    error(Record("log-file-failed").add("file", where).add("error", strerror(open_error)));
  }
}

Log::~Log() {
  if (owned_) {
    close(descriptor_);
  }
  if (descriptor_ < 0) {
    closelog();  // syslog keeps a pointer to program_
  }
}

void Log::reopen() const {
  if (!owned_) {
    return;
  }
  const Descriptor fresh = open_to_append(file_);
  if (!fresh.valid()) {
    error(Record("log-file-failed").add("file", file_).add("error", strerror(errno)));
    return;
  }
  // In one step, since other threads are writing.
  dup3(fresh.number(), descriptor_, O_CLOEXEC);
}

void Log::write(LogLevel level, const Record& record) const {
  if (!wants(level)) {
    return;
  }
  if (descriptor_ < 0) {
    syslog(LOG_MAIL | naming(level).priority, "%s", record.text().c_str());
    return;
  }
  std::string line = timestamp() + ' ' + program_ + '[' + std::to_string(getpid()) + "]: ";
  if (level != LogLevel::kInfo) {
    line += std::string("level=") + naming(level).name + ' ';
  }
  line += record.text() + '\n';
  while (::write(descriptor_, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace lmtpq
