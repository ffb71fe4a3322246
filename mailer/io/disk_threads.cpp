#include "mailer/io/disk_threads.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kThreads = 4;

class DiskThreads {
 public:
  // False: there is no thread. std::bad_alloc: there is no place in the line.
  bool post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (line_.size() >= idle_ && threads_ < kThreads) {
      start();
    }
    if (threads_ == 0) {
      return false;
    }
    line_.push_back(std::move(work));
    posted_.notify_one();
    return true;
  }

 private:
  void start() {
    try {
      std::thread([this] { run(); }).detach();
      ++threads_;
    } catch (const std::exception&) {
      // The present ones do all the work.
    }
  }

  [[noreturn]] void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      posted_.wait(lock, [this] { return !line_.empty(); });
      --idle_;
      const std::function<void()> work = std::move(line_.front());
      line_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> line_;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
};

DiskThreads& disk_threads() {
  static DiskThreads& all = *new DiskThreads;
  return all;
}

}  // namespace

void run_on_disk(const std::function<void()>& work) {
  std::mutex mutex;
  Waiter waiter;
  bool done = false;
  const auto work_and_call = [&] {
    work();
    const std::lock_guard lock(mutex);
    done = true;
    waiter.call();
  };
  if (Scheduler::current() == nullptr || !disk_threads().post(work_and_call)) {
    work();
    return;
  }
  std::unique_lock lock(mutex);
  waiter.wait_until(lock, Deadline::max(), [&] { return done; });
}

void leave_to_disk(const std::function<void()>& work) noexcept {
  try {
    if (Scheduler::current() != nullptr && disk_threads().post(work)) {
      return;
    }
  } catch (const std::exception&) {
    // No memory for it.
  }
  work();
}

}  // namespace lmtpq::mailer
