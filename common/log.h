// Writes log lines as logfmt: `event=name key=value key="quoted value"`, one event a line.
//
// A Record is the text of a line and belongs to one thread. A Log writes records to syslog
// (LOG_MAIL), stderr or a file, and may be used from several threads: each line is one write(2) or
// syslog(3) call. Logging never stops mail: a file that cannot be opened falls back to syslog with
// a line that says so, and write errors are ignored. The program must ignore SIGPIPE.
#pragma once

#include <string>
#include <string_view>

namespace lmtpq {

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

 private:
  void add_escaped(std::string_view value);

  std::string text_;
};

class Log {
 public:
  // `where` is "syslog", "stderr" or the path of a file; each line has the name `program`.
  Log(std::string_view program, const std::string& where, LogLevel threshold);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Opens the log file again, for logrotate. If that fails, the old file stays in use.
  void reopen() const;

  bool wants(LogLevel level) const { return level <= threshold_; }
  void write(LogLevel level, const Record& record) const;
  void error(const Record& record) const { write(LogLevel::kError, record); }
  void warning(const Record& record) const { write(LogLevel::kWarning, record); }
  void info(const Record& record) const { write(LogLevel::kInfo, record); }
  void debug(const Record& record) const { write(LogLevel::kDebug, record); }

 private:
  std::string program_;
  std::string file_;  // empty: none
  LogLevel threshold_;
  int descriptor_ = -1;  // -1: syslog
  bool owned_ = false;
};

}  // namespace lmtpq
