// Writes log lines as logfmt: `event=name key=value key="quoted value"`, one event a line.
//
// A Record is the text of a line and belongs to one thread. A Log writes records to syslog
// (LOG_MAIL), stderr or a file, in their order, and may be used from several threads.
//
// Logging never stops mail, and no call waits for the log (LogWriter): lines that it does not take
// are kept, then dropped and counted. Only flush() and the end of a Log wait, for a second at most.
// A file that cannot be opened falls back to syslog with a line that says so. The program must
// ignore SIGPIPE, and makes its Log after it has forked and changed its user.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lmtpq {

class LogWriter;

enum class LogLevel { kError, kWarning, kInfo, kDebug };
LogLevel parse_log_level(std::string_view text);  // error warning info debug; throws ConfigError

class Record {
 public:
  // Every line begins with `event=NAME`. The name is in kebab-case and means one thing.
  explicit Record(std::string_view event);

  // Keys are in kebab-case. In a value, what controls_display() (common/escape.h), quotes,
  // backslashes and invalid UTF-8 are escaped (\n, \", \x1b). A value is quoted when it is empty or
  // has a space, an equals sign or an escape. It is cut after kMaxValue bytes, between characters,
  // and "..." follows.
  static constexpr std::size_t kMaxValue = 512;
  Record& add(std::string_view key, std::string_view value);
  Record& add(std::string_view key, long long number);
  const std::string& text() const { return text_; }
  std::string_view event() const;

 private:
  void add_escaped(std::string_view value);

  std::string text_;
  std::size_t event_end_ = 0;
};

// Who can cause an event as often as it likes, without a message that is accepted: a client's
// address, or uid:N; empty: it is not known. Of each event an outsider has one line a minute, and
// event=lines-left-out counts the others (LogLimit).
struct Outsider {
  std::string_view name;
};

class Log {
 public:
  // `where` is "syslog", "stderr" or the path of a file; each line has the name `program`.
  Log(std::string_view program, const std::string& where, LogLevel threshold,
      const std::string& syslog_socket = "/dev/log");
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Opens the log file again, for logrotate. If that fails, the old file stays in use.
  void reopen() const;
  // Before the process ends without the end of this object.
  void flush() const;
  std::uint64_t dropped() const;  // lines

  void set_level(LogLevel threshold) { threshold_ = threshold; }
  bool wants(LogLevel level) const { return level <= threshold_; }
  void write(LogLevel level, const Record& record) const;
  void error(const Record& record) const { write(LogLevel::kError, record); }
  void warning(const Record& record) const { write(LogLevel::kWarning, record); }
  void info(const Record& record) const { write(LogLevel::kInfo, record); }
  void debug(const Record& record) const { write(LogLevel::kDebug, record); }

  void error(const Record& record, Outsider by) const { write(LogLevel::kError, record, by); }
  void warning(const Record& record, Outsider by) const { write(LogLevel::kWarning, record, by); }

 private:
  void write(LogLevel level, const Record& record, Outsider by) const;

  std::atomic<LogLevel> threshold_;
  const std::shared_ptr<LogWriter> writer_;
};

}  // namespace lmtpq
