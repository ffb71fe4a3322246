// Where the lines of a Log go: syslog's socket, standard error, or a file.
//
// syslog(3) waits as long as syslogd does not read, and has no timeout, so the datagrams are sent
// here, in the form that glibc gives them: <PRIORITY>Mmm dd hh:mm:ss PROGRAM[PID]: TEXT. A syslogd
// that was restarted is connected to again.
//
// Belongs to one thread at a time. Failures are results, and nothing is tried twice: the caller
// repeats a line that could not be written. write() never waits for syslog; for a file, or standard
// error, it may block as long as the disk or the reader does.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.h"
#include "common/log/log.h"

namespace lmtpq {

struct LogLine {
  std::chrono::system_clock::time_point at;
  LogLevel level;
  std::string text;
};

class LogTarget {
 public:
  enum class Result { kWritten, kFull, kFailed };

  // `where` is "syslog", "stderr" or the path of a file, which open() opens.
  LogTarget(std::string_view program, std::string where, std::string syslog_socket);

  bool is_file() const { return where_.starts_with('/'); }
  bool is_syslog() const { return where_ == "syslog"; }
  const std::string& where() const { return where_; }
  bool is_open() const { return opened_.valid(); }
  // Opens the file, or opens it again; the file that is open stays if that fails. 0, or errno.
  int open();
  void fall_back_to_syslog();

  // Counts those that were `written`, at least one if kWritten. The first of the others must be
  // given next, also after open(), if the target is midway().
  Result write(std::span<const LogLine> lines, std::size_t& written);
  bool midway() const { return done_ > 0; }  // a part of a line was written
  int error() const { return error_; }       // errno of the last kFailed
  // After kFull: until a line may be written, or this time has passed.
  void wait(std::chrono::milliseconds most) const;

 private:
  void append(const LogLine& line);
  void format(std::span<const LogLine> lines);
  std::size_t forget_written();
  Result write_to_file();
  Result send_to_syslog();
  bool connect_to_syslog();
  Result failed(int error);

  std::string program_;  // " NAME[PID]: "
  std::string where_;
  std::string syslog_socket_;
  Descriptor opened_;    // the file, or syslog's socket
  bool stream_ = false;  // syslog's socket is one: NUL ends a line
  std::string text_;     // lines as they are written; at rest, that of which a part was written
  std::vector<std::size_t> ends_;  // of each line in it
  std::size_t done_ = 0;           // bytes of it that were written
  int error_ = 0;
};

}  // namespace lmtpq
