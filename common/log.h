// Log lines as logfmt: `key=value key="quoted value"`, one event a line.
//
// What it is: a Record (ordered keys and values, escaped) and a Log (where lines go: syslog
//   LOG_MAIL, stderr, or a file that is appended to).
// What it does not know: which keys an event has, what a trace id is.
// Called by: every module of floors 2 and above that has something to say.
// Threads and lifetimes: Log may be used from several threads; a line is one write(2) or syslog(3)
//   call. Records belong to one thread.
// Failure: a log that cannot be written never stops mail: a file that cannot be opened falls back
//   to syslog, with a line that says so; later write errors are ignored. The program ignores
//   SIGPIPE, or a reader of stderr that went away would end it.
#pragma once

#include <string>
#include <string_view>

namespace lmtpq {

enum class LogLevel { kError, kWarning, kInfo, kDebug };
LogLevel parse_log_level(std::string_view text);  // error warning info debug; throws ConfigError

class Record {
 public:
  // Every line begins with `event=`: a value in kebab-case that means one thing.
  explicit Record(std::string_view event);

  // Control characters, quotes, backslashes and bytes that are not UTF-8 are escaped (\n, \",
  // \x1b); a value with a space, an equals sign, anything escaped or no byte at all is quoted. A
  // value is cut at kMaxValue bytes as shown, with "..." behind them; no escape or character is
  // split.
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
  // `where` is "syslog", "stderr" or the path of a file; `program` names us in each line.
  Log(std::string_view program, const std::string& where, LogLevel threshold);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Of a file: opens it again under its name, which may be a new file since (logrotate). Where that
  // fails, lines go on where they went.
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
