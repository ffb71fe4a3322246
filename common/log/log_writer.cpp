#include "common/log/log_writer.h"

#include <pthread.h>
#include <signal.h>

#include <cstring>
#include <exception>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

namespace lmtpq {
namespace {

// To be woken for each line would cost as much as the line.
constexpr std::chrono::milliseconds kGather{5};
constexpr std::size_t kBatch = 64;               // lines
constexpr std::chrono::milliseconds kLook{200};  // for a reopen() or close(), while the log is full
constexpr std::chrono::seconds kRetry{1};        // after an error

LogLine line_of(LogLevel level, const Record& record) {
  return {std::chrono::system_clock::now(), level, record.text()};
}
LogLine warning(const Record& record) { return line_of(LogLevel::kWarning, record); }
LogLine error(const Record& record) { return line_of(LogLevel::kError, record); }

}  // namespace

LogWriter::LogWriter(LogTarget target)
    : direct_(target.is_syslog()), target_(std::move(target)), to_open_(target_.is_file()) {}

void LogWriter::write(LogLine line) {
  Lock lock(mutex_);
  if (direct_ && bytes_ == 0) {
    std::size_t written = 0;
    switch (target_.write({&line, 1}, written)) {
      case LogTarget::Result::kWritten:
        return;
      case LogTarget::Result::kFailed:
        failing_ = true;
        error_ = target_.error();
        break;
      case LogTarget::Result::kFull:
        break;
    }
  }
  const bool first = bytes_ == 0;
  add(std::move(line));
  if (!running_) {
    start_thread();
  }
  if (running_) {
    lock.unlock();
    if (first) {
      work_.notify_one();
    }
    return;
  }
  // Without memory for a thread, what the log takes now.
  while (bytes_ > 0 && write_some(lock) == LogTarget::Result::kWritten) {
  }
}

bool LogWriter::wanted(std::string_view event, std::string_view outsider) {
  const Lock lock(mutex_);
  const auto now = LogLimit::Clock::now();
  log_left_out(now);
  if (limit_.admits(event, outsider, now)) {
    return true;
  }
  if (!running_) {
    start_thread();  // for the line that says how many were left out
  }
  work_.notify_one();
  return false;
}

void LogWriter::write(LogLine line, std::string_view event, std::string_view outsider) {
  if (wanted(event, outsider)) {
    write(std::move(line));
  }
}

void LogWriter::log_left_out(LogLimit::Clock::time_point now) {
  for (const LogLimit::LeftOut& left : limit_.ended(now)) {
    Record record("lines-left-out");
    record.add("of", left.event);
    if (!left.outsider.empty()) {
      record.add("by", left.outsider);
    }
    add(warning(record.add("lines", static_cast<long long>(left.lines))));
  }
}

// Once lines are lost, half of the room must become free before one that is no warning is taken:
// otherwise every second line would be about a gap.
bool LogWriter::has_room(const LogLine& line) const {
  const std::size_t room = line.level <= LogLevel::kWarning ? kRoom
                           : lost_ > 0                      ? kRoom / 2
                                                            : kRoom - kForWarnings;
  return bytes_ + line.text.size() <= room;
}

void LogWriter::add(LogLine line) {
  if (!has_room(line)) {
    ++lost_;
    ++dropped_;
    return;
  }
  if (lost_ > 0 && line.level > LogLevel::kWarning) {
    push(recovered());
  }
  push(std::move(line));
}

void LogWriter::push(LogLine line) {
  const std::size_t size = line.text.size();
  queue_.push_back(std::move(line));
  bytes_ += size;  // last: bytes without a line would keep the thread busy
}

LogLine LogWriter::recovered() {
  Record record("log-recovered");
  record.add("dropped", static_cast<long long>(std::exchange(lost_, 0)));
  const int error = std::exchange(error_, 0);
  return warning(record.add("error", error != 0 ? std::strerror(error) : "lines were not read"));
}

void LogWriter::reopen() {
  const Lock lock(mutex_);
  to_open_ = !direct_;
  work_.notify_one();
}

void LogWriter::flush() {
  Lock lock(mutex_);
  log_left_out(LogLimit::Clock::time_point::max());
  if (bytes_ > 0 && !running_) {
    start_thread();
  }
  hurry_ = true;
  failing_ = false;  // the disk may have room again since the last attempt
  work_.notify_one();
  idle_.wait_for(lock, kPatience, [this] { return bytes_ == 0 || failing_ || !running_; });
}

void LogWriter::close() {
  flush();
  Lock lock(mutex_);
  closing_ = true;
  work_.notify_one();
  if (bytes_ == 0) {
    idle_.wait_for(lock, kPatience, [this] { return !running_; });
  }
}

// With all signals blocked: they are for the threads that wait for them.
void LogWriter::start_thread() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([self = shared_from_this()] { self->run(); }).detach();
    running_ = true;
  } catch (const std::system_error&) {
    running_ = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LogWriter::run() {
  pthread_setname_np(pthread_self(), "log");
  Lock lock(mutex_);
  while (!closing_) {
    try {
      log_left_out(LogLimit::Clock::now());
      if (bytes_ == 0) {
        wait_for_work(lock);
        continue;
      }
      switch (write_some(lock)) {
        case LogTarget::Result::kWritten:
          break;
        case LogTarget::Result::kFull:
          lock.unlock();
          target_.wait(kLook);
          lock.lock();
          break;
        case LogTarget::Result::kFailed:
          hurry_ = false;
          work_.wait_for(lock, kRetry, [this] { return closing_ || to_open_ || hurry_; });
          break;
      }
    } catch (const std::exception&) {  // out of memory
      if (!lock.owns_lock()) {
        lock.lock();
      }
      work_.wait_for(lock, kRetry);
    }
  }
  running_ = false;
  idle_.notify_all();
}

void LogWriter::wait_for_work(Lock& lock) {
  hurry_ = false;
  const auto due = [this] { return closing_ || bytes_ > 0; };
  if (const auto end = limit_.next_end()) {
    work_.wait_until(lock, *end, due);
  } else {
    work_.wait(lock);
  }
  work_.wait_for(lock, kGather, [this] { return closing_ || hurry_ || bytes_ == 0; });
}

void LogWriter::open(Lock& lock) {
  to_open_ = false;
  const bool unlocked = running_;
  if (unlocked) {
    lock.unlock();
  }
  const bool first = !target_.is_open();
  const int failure = target_.open();
  const std::string file = target_.where();
  if (failure != 0 && first) {
    target_.fall_back_to_syslog();
  }
  if (unlocked) {
    lock.lock();
  }
  if (failure == 0) {
    return;
  }
  LogLine line =
      error(Record("log-file-failed").add("file", file).add("error", std::strerror(failure)));
  const std::size_t size = line.text.size();
  batch_.insert(batch_.begin() + (target_.midway() ? 1 : 0), std::move(line));
  bytes_ += size;
}

// Some at a time, so that there is room again for others soon.
void LogWriter::take_batch() {
  batch_.reserve(kBatch);
  while (!queue_.empty() && batch_.size() < kBatch) {
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

// Only the thread has a batch or, where there is none, the caller with the lock.
LogTarget::Result LogWriter::write_some(Lock& lock) {
  if (to_open_) {
    open(lock);
  }
  if (batch_.empty()) {
    take_batch();
  }
  const bool unlocked = running_;
  if (unlocked) {
    lock.unlock();
  }
  std::size_t written = 0;
  const LogTarget::Result result = target_.write(batch_, written);
  if (unlocked) {
    lock.lock();
  }
  failing_ = result == LogTarget::Result::kFailed;
  if (failing_) {
    error_ = target_.error();
  }
  forget(written);
  if (bytes_ == 0 && (lost_ > 0 || error_ != 0)) {
    push(recovered());
  }
  if (bytes_ == 0 || failing_) {
    idle_.notify_all();
  }
  return result;
}

// Of the batch, the first lines, which were written.
void LogWriter::forget(std::size_t lines) {
  const auto end = batch_.begin() + static_cast<std::ptrdiff_t>(lines);
  bytes_ -=
      std::accumulate(batch_.begin(), end, std::size_t{0},
                      [](std::size_t sum, const LogLine& line) { return sum + line.text.size(); });
  batch_.erase(batch_.begin(), end);
}

}  // namespace lmtpq
