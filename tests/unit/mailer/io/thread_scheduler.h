// A Scheduler with one fiber, which is a thread: the thread that makes it waits through it until it
// is destroyed.
//
// It counts sleeps, wakes and paces, and can return from sleep() for no reason. wake() may be
// called from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <vector>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

class ThreadScheduler : public Scheduler {
 public:
  static constexpr std::uint64_t kFiber = 7;

  ThreadScheduler() { set_current(this); }
  ~ThreadScheduler() override { set_current(nullptr); }

  short wait_for(int descriptor, short events, Deadline deadline) override {
    asked_for = descriptor;
    asked_events = events;
    asked_deadline = deadline;
    return answers.empty() ? short{0} : take_answer();
  }
  void sleep(Deadline deadline) override {
    std::unique_lock lock(mutex_);
    ++sleeps;
    if (restless > 0) {
      --restless;
      return;
    }
    condition_.wait_until(lock, deadline, [this] { return called_; });
    called_ = false;
  }
  Sleeper self() override { return {this, kFiber}; }
  void wake(std::uint64_t fiber) override {
    const std::lock_guard lock(mutex_);
    wakes += fiber == kFiber ? 1 : 0;
    called_ = true;
    condition_.notify_one();
  }
  void start(std::function<void()>) override { throw std::bad_alloc(); }
  void pace() override { ++paces; }

  std::atomic<int> sleeps = 0;
  std::atomic<int> wakes = 0;
  int paces = 0;
  int restless = 0;            // this many sleeps end at once
  std::vector<short> answers;  // of wait_for(), the first last
  int asked_for = -1;
  short asked_events = 0;
  Deadline asked_deadline;

 private:
  short take_answer() {
    const short answer = answers.back();
    answers.pop_back();
    return answer;
  }

  std::mutex mutex_;
  std::condition_variable condition_;
  bool called_ = false;
};

}  // namespace lmtpq::mailer
