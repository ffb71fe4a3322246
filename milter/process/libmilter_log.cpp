#include "milter/process/libmilter_log.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <exception>

// <syslog.h> would declare the functions that are defined here.

namespace lmtpq::milter {
namespace {

std::atomic<const Log*> g_log = nullptr;

void write_to(const Log& log, int priority, const char* text) {
  constexpr int kSeverity = 7;  // the bits of it, and the number of an error: RFC 5424
  constexpr int kError = 3;
  Record record("libmilter");
  record.add("text", text);
  if ((priority & kSeverity) <= kError) {
    log.error(record, Outsider{text});
  } else {
    log.warning(record, Outsider{text});
  }
}

// Called from C code, which an exception must not reach.
void take(int priority, const char* format, va_list arguments) noexcept {
  const int saved = errno;
  std::array<char, 1024> text{};
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): both callers have started it
  std::vsnprintf(text.data(), text.size(), format, arguments);
  try {
    if (const Log* const log = g_log) {
      write_to(*log, priority, text.data());
    } else {
      write_to(Log("lmtpq-milter", "syslog", LogLevel::kInfo), priority, text.data());
    }
  } catch (const std::exception&) {
    // Out of memory: the line is lost.
  }
  errno = saved;
}

}  // namespace

void take_libmilter_lines(const Log& log) { g_log = &log; }

}  // namespace lmtpq::milter

extern "C" {
void syslog(int priority, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lmtpq::milter::take(priority, format, arguments);
  va_end(arguments);
}

// What _FORTIFY_SOURCE makes of it.
void __syslog_chk(int priority, int /*flag*/, const char* format,
                  ...) {  // NOLINT(bugprone-reserved-identifier)
  va_list arguments;
  va_start(arguments, format);
  lmtpq::milter::take(priority, format, arguments);
  va_end(arguments);
}
}
