// Writes the lines of a Log in their order, so that no thread waits for the log.
//
// What syslog takes at once is sent by the calling thread. All other lines go through a queue of
// kRoom bytes to a thread of the writer, which starts with the first such line: a process that
// forks or changes its user does so before. It gathers lines for some milliseconds. A line that
// could not be written stays in the queue, and is tried again until the log takes it. Lines that
// find no room are dropped and counted; when there is room again, event=log-recovered has their
// number in their place. The last part of the room is for warnings and errors, which say what
// nobody else does: that a message may be a duplicate.
//
// May be used by several threads. The thread outlives the writer where a write never returns.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/log/log_limit.h"
#include "common/log/log_target.h"

namespace lmtpq {

class LogWriter : public std::enable_shared_from_this<LogWriter> {
 public:
  static constexpr std::size_t kRoom = 4 * 1024 * 1024;     // bytes of lines
  static constexpr std::size_t kForWarnings = 1024 * 1024;  // of it
  static constexpr std::chrono::seconds kPatience{1};       // flush() waits no longer

  explicit LogWriter(LogTarget target);

  void write(LogLine line);
  // A line that this outsider can cause at will (LogLimit).
  void write(LogLine line, std::string_view event, std::string_view outsider);
  // Opens the file again before the next line.
  void reopen();
  // Waits until all lines are written, unless the log does not take them, or fails now: an error of
  // before is tried again at once.
  void flush();
  // flush(), and the thread ends. Nothing may be written afterwards.
  void close();
  std::uint64_t dropped() const { return dropped_; }

 private:
  using Lock = std::unique_lock<std::mutex>;

  bool wanted(std::string_view event, std::string_view outsider);
  void log_left_out(LogLimit::Clock::time_point now);
  bool has_room(const LogLine& line) const;
  void add(LogLine line);
  void push(LogLine line);
  LogLine recovered();
  void start_thread();
  void run();
  void wait_for_work(Lock& lock);
  void open(Lock& lock);
  void take_batch();
  LogTarget::Result write_some(Lock& lock);
  void forget(std::size_t lines);

  const bool direct_;  // to syslog
  std::mutex mutex_;
  std::condition_variable work_;  // for the thread
  std::condition_variable idle_;  // for flush() and close(): no line waits, or the log fails
  LogTarget target_;              // used by the thread without the lock while lines wait
  LogLimit limit_;
  std::deque<LogLine> queue_;
  std::vector<LogLine> batch_;  // the lines before the queue, which are being written
  std::size_t bytes_ = 0;       // in both; 0: no line waits
  std::uint64_t lost_ = 0;      // lines since the last event=log-recovered
  int error_ = 0;               // why the log failed, likewise
  std::atomic<std::uint64_t> dropped_ = 0;
  bool to_open_ = true;
  bool running_ = false;  // the thread
  bool failing_ = false;  // the last attempt was an error
  bool hurry_ = false;    // flush() waits
  bool closing_ = false;
};

}  // namespace lmtpq
